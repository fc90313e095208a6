"""docs/cli.md is what the commands say of themselves."""

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_current() -> None:
    # In a process of its own, as the page is made: click keeps a command's first --help option,
    # so a test that called a command without its group would change the page in this one.
    made = subprocess.run(
        [sys.executable, "-m", "llm_intercept.cli.reference"], capture_output=True, text=True, check=True
    )
    assert PAGE.read_text(encoding="utf-8") == made.stdout, (
        "run: python -m llm_intercept.cli.reference > docs/cli.md"
    )
