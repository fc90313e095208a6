"""What goes wrong in a page is told to the log, without keys, and to nobody else."""

import logging
import sys
from typing import Any

import pytest

from tests.dashboard.conftest import Visitor

KEY = "sk-proj-0123456789abcdefghij"
PAGES = ("/", "/-/llm/requests/x", "/-/llm/live.json", "/-/llm/export.csv", "/-/api/users")


@pytest.fixture
def broken(owner: Visitor, monkeypatch: pytest.MonkeyPatch) -> Visitor:
    def fail() -> int:
        password = "hunter2hunter2"  # a variable, which no log shows
        raise RuntimeError(f"{KEY} and {len(password)}")

    monkeypatch.setattr(sys.modules["llm_dashboard.clock"], "now", fail)
    return owner


def test_a_fault_of_ours_is_told_to_the_log_alone(
    broken: Visitor, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    failed = 0
    for path in PAGES:
        try:
            answer: Any = broken.get(path)
        except RuntimeError:  # the frame around the page
            continue
        failed += answer.status_code == 500
        assert KEY not in answer.text
        assert "RuntimeError" not in answer.text
    assert failed >= 2
    said = "".join(logging.Formatter().format(record) for record in caplog.records)
    printed = capfd.readouterr()
    for text in (said, printed.out, printed.err):
        assert KEY not in text
        assert "hunter2" not in text
    assert "RuntimeError: [redacted] and 14" in said


def test_what_is_not_there_is_still_said(owner: Visitor) -> None:
    assert owner.get("/usage/nothing").status_code == 404
    assert owner.get("/-/llm/requests/nothing").status_code == 404
