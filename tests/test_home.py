import stat
from pathlib import Path

import pytest

from llm_intercept.errors import ConfigError
from llm_intercept.home import Home
from llm_intercept.resources import checkout


def test_the_variable_decides(tmp_path: Path) -> None:
    home = Home.find({"LLM_INTERCEPT_HOME": str(tmp_path / "elsewhere")})
    assert home.path == tmp_path / "elsewhere"
    assert home.certs == tmp_path / "elsewhere" / "certs"
    assert not home.path.exists()


def test_the_variable_may_be_relative_or_begin_with_a_tilde() -> None:
    assert Home.find({"LLM_INTERCEPT_HOME": "~/x"}).path == Path.home() / "x"
    assert Home.find({"LLM_INTERCEPT_HOME": "x"}).path == Path.cwd() / "x"


def test_the_default_uses_the_certs_of_a_checkout() -> None:
    home = Home.find({})
    root = checkout()
    assert home.path == Path.home() / ".llm-intercept"
    assert home.certs == (root / "certs" if root else home.path / "certs")


def test_everything_is_created_and_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.ensure()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home.path, *home.path.iterdir())}
    assert modes == {
        "home": 0o700,
        "logs": 0o700,
        "journal": 0o700,
        "secret.key": 0o600,
        "usage.db": 0o600,
        "control.db": 0o600,
        "bodies.db": 0o600,
        "limits.db": 0o600,
        "leases": 0o700,
    }


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.ensure()
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in home.path.iterdir()}
    key = home.secret_key.read_bytes()
    home.ensure()
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in home.path.iterdir()} == before
    assert home.secret_key.read_bytes() == key


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot create the home folder .*LLM_INTERCEPT_HOME"):
        Home(tmp_path / "file" / "home").ensure()
