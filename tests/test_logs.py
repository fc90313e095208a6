import io
import json
import logging
from pathlib import Path

import pytest

from llm_intercept.logs import EVENTS, REQUESTS, Logs
from llm_intercept.settings import LogSettings
from tests.store.example import row

KEY = "sk-proj-0123456789abcdefghij"


def test_no_log_has_a_key_in_it(tmp_path: Path) -> None:
    terminal = io.StringIO()
    handler = logging.StreamHandler(terminal)
    logging.getLogger().addHandler(handler)
    logs = Logs(tmp_path, LogSettings())
    try:
        logger = logging.getLogger("llm_intercept.store.writer")
        logger.info("begun with %s", KEY)
        try:
            raise ValueError(f"{KEY} is no number")
        except ValueError:
            logger.exception("a row could not be made", extra={"request_id": "r-1"})
        logger.warning("%s and %s", "https://me:hunter2@proxy.example", "Bearer abcdefghijklmnop")
        logger.warning("%d calls", 7)
    finally:
        logs.close()
        logging.getLogger().removeHandler(handler)
    assert (tmp_path / EVENTS).stat().st_mode & 0o077 == 0
    lines = [json.loads(line) for line in (tmp_path / EVENTS).read_text().splitlines()]
    assert [line["level"] for line in lines] == ["INFO", "ERROR", "WARNING", "WARNING"]
    assert lines[0]["message"] == "begun with [redacted]"
    assert lines[1]["request_id"] == "r-1"
    assert "ValueError: [redacted] is no number" in lines[1]["message"]
    assert lines[2]["message"] == "https://[redacted]@proxy.example and Bearer [redacted]"
    assert lines[3]["message"] == "7 calls"
    assert "ValueError: [redacted] is no number" in terminal.getvalue()
    assert "hunter2" not in terminal.getvalue()
    assert KEY not in terminal.getvalue()


def test_the_line_of_a_call_says_what_the_cache_did(tmp_path: Path) -> None:
    logs = Logs(tmp_path, LogSettings())
    logs.write([row(0), row(1, cache="hit", saved_tokens=120, saved_nanos=5)])
    logs.close()
    plain, hit = [json.loads(line) for line in (tmp_path / REQUESTS).read_text().splitlines()]
    assert (hit["cache"], hit["saved_tokens"], hit["saved_nanos"]) == ("hit", 120, 5)
    assert "cache" not in plain


def test_a_file_that_cannot_be_written_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / EVENTS).symlink_to("/dev/full")
    logs = Logs(tmp_path, LogSettings())
    try:
        for _ in range(3):
            logging.getLogger("llm_intercept.store.writer").error("the disk is full")
    finally:
        logs.close()
    said = capsys.readouterr().err
    assert said.count("cannot be written: No space left on device") == 1
    assert "Traceback" not in said
