from pathlib import Path

from llm_intercept.cli.reference import markdown

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), (
        "run: python -m llm_intercept.cli.reference > docs/cli.md"
    )
