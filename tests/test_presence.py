"""The proxy of a home is found while it lives, and not after."""

import json
import subprocess
import sys
from pathlib import Path

from llm_intercept import presence


def test_found_while_alive(tmp_path: Path):
    assert presence.find(tmp_path) is None
    presence.announce(tmp_path, "http://127.0.0.1:9")
    assert presence.find(tmp_path) == "http://127.0.0.1:9"
    presence.withdraw(tmp_path)
    assert presence.find(tmp_path) is None


def test_proxy_and_dashboard_are_two(tmp_path: Path):
    presence.announce(tmp_path, "http://127.0.0.1:9", presence.DASHBOARD)
    assert presence.find(tmp_path) is None
    assert presence.find(tmp_path, presence.DASHBOARD) == "http://127.0.0.1:9"
    presence.withdraw(tmp_path, presence.DASHBOARD)
    assert presence.find(tmp_path, presence.DASHBOARD) is None


def test_a_dead_one_is_not_believed(tmp_path: Path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    (tmp_path / presence.NAME).write_text(json.dumps({"url": "http://x", "pid": done.pid}))
    assert presence.find(tmp_path) is None


def test_nonsense_is_nothing(tmp_path: Path):
    for text in ("", "[]", '{"pid": "x"}'):
        (tmp_path / presence.NAME).write_text(text)
        assert presence.find(tmp_path) is None


def test_somebody_elses_word_stays(tmp_path: Path):
    (tmp_path / presence.NAME).write_text(json.dumps({"url": "http://x", "pid": 1}))
    presence.withdraw(tmp_path)
    assert (tmp_path / presence.NAME).exists()
