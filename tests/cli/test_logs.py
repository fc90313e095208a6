import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_intercept import logsearch


@pytest.fixture(autouse=True)
def files(home: Path) -> None:
    folder = home / "logs"
    folder.mkdir(parents=True)
    events = [
        {
            "timestamp": f"2026-11-20T07:0{n}:00.000000+00:00",
            "level": level,
            "name": "x",
            "message": f"event {n}",
        }
        for n, level in enumerate(("INFO", "WARNING", "ERROR"))
    ]
    (folder / "events.jsonl.1").write_text(json.dumps(events[0]) + "\n")
    (folder / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events[1:]) + '{"half": ')
    row = {"ts": "2026-11-20T07:01:30.000+00:00", "project": "demo", "token": "laptop", "provider": "openai"}
    row |= {"model": "gpt-4o", "status": 200, "outcome": "ok", "input_tokens": 5, "output_tokens": 7}
    row |= {"cost_nanos": 1000, "duration_ms": 12.0}
    (folder / "requests.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "notes.txt").write_text("event 9\n")


def times(text: str) -> list[str]:
    return [line[11:19] for line in text.splitlines()]


def test_tail_merges_the_files_in_order_of_time(cli) -> None:
    assert times(cli("logs", "tail").stdout) == ["07:00:00", "07:01:00", "07:01:30", "07:02:00"]
    assert times(cli("logs", "tail", "-n", "2").stdout) == ["07:01:30", "07:02:00"]
    assert times(cli("logs", "tail", "--kind", "requests").stdout) == ["07:01:30"]


def test_a_call_reads_as_a_line(cli) -> None:
    text = cli("logs", "tail", "--kind", "requests").stdout
    assert "ok        200  demo/laptop  openai/gpt-4o  5+7 tokens  $0.000001  12 ms" in text


def test_a_call_that_the_cache_has_answered_says_so(cli, home: Path) -> None:
    row = {"ts": "2026-11-20T08:00:00.000+00:00", "outcome": "ok", "cache": "hit", "saved_nanos": 5}
    with (home / "logs" / "requests.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    assert "cache hit" in cli("logs", "tail", "-n", "1").stdout


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["EVENT"], ["07:00:00", "07:01:00", "07:02:00"]),
        (["event", "--level", "warning"], ["07:01:00", "07:02:00"]),
        (["event", "--since", "2026-11-20T07:01"], ["07:01:00", "07:02:00"]),
        (["event", "--until", "2026-11-20T07:01"], ["07:00:00"]),
        (["gpt-4o"], ["07:01:30"]),
        (["nowhere"], []),
    ],
)
def test_search(cli, words: list[str], found: list[str]) -> None:
    assert times(cli("logs", "search", *words).stdout) == found


def test_json_prints_the_lines_as_they_are(cli) -> None:
    lines = [json.loads(line) for line in cli("logs", "search", "event", "--json").stdout.splitlines()]
    assert [line["message"] for line in lines] == ["event 0", "event 1", "event 2"]


def test_no_logs_yet(cli, tmp_path: Path) -> None:
    env = {"LLM_INTERCEPT_HOME": str(tmp_path / "fresh")}
    assert cli("logs", "tail", env=env).stdout == ""


def test_rotated_files_come_before_the_current_one(home: Path) -> None:
    for number in (2, 10):
        (home / "logs" / f"events.jsonl.{number}").touch()
    names = [path.name for path in logsearch.log_files(home / "logs")["events.jsonl"]]
    assert names == ["events.jsonl.10", "events.jsonl.2", "events.jsonl.1", "events.jsonl"]


def test_follow_goes_on_after_a_rotation(home: Path) -> None:
    command = [sys.executable, "-m", "llm_intercept.cli", "logs", "tail", "-f", "-n", "1", "--kind", "events"]
    env = {"PATH": os.environ["PATH"], "LLM_INTERCEPT_HOME": str(home)}
    file = home / "logs" / "events.jsonl"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        assert "event 2" in process.stdout.readline()
        with file.open("a") as log:
            log.write('1}\n{"timestamp": "2026-11-20T08:00:00+00:00", "message": "appended"}\n')
        assert "appended" in process.stdout.readline()
        file.rename(home / "logs" / "events.jsonl.1")
        file.write_text('{"timestamp": "2026-11-20T09:00:00+00:00", "message": "rotated"}\n')
        assert "rotated" in process.stdout.readline()
        process.terminate()
