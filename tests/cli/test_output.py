import pytest

from llm_intercept.cli import output


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "$0.00"),
        (450_000, "$0.000450"),
        (-450_000, "$-0.000450"),
        (1_500_000_000, "$1.50"),
        (1_234_567_890_000_000, "$1,234,567.89"),
    ],
)
def test_dollars(nanos: int, text: str) -> None:
    assert output.dollars(nanos) == text


@pytest.mark.parametrize(("value", "text"), [(0.4, "0 ms"), (999.4, "999 ms"), (1234.0, "1.23 s")])
def test_milliseconds(value: float, text: str) -> None:
    assert output.milliseconds(value) == text


def test_a_pipe_gets_whole_cells_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "x" * 150, "value": None}, {"name": "[bold]y[/bold]", "value": 3}]
    output.print_table({"name": "name", "value": "value"}, rows, {"value": output.count})
    text = capsys.readouterr().out
    assert "x" * 150 in text
    assert "[bold]y[/bold]" in text
    assert "\x1b" not in text
