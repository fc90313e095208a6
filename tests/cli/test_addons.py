from pathlib import Path


def test_the_path_is_a_script(cli) -> None:
    path = Path(cli("addons").stdout.strip())
    assert path.name == "gateway.py"
    assert "addons" in path.read_text()
