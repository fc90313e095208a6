"""Programs recorded and replayed without a provider: the same answers, or a clear difference."""

import contextlib
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.cassette.format import Cassette, Recorded, read
from tests.live.stack import DEADLINE, ROOT, Stack, get

LOOPS = ROOT / "tests" / "live" / "tool_loops.py"
AGENT = ROOT / "tests" / "live" / "cassette_agent.py"
OWN_KEY = "sk-own-0123456789abcdefghijklmnop"
MODELS = {"openai_chat": "gpt-4o", "openai_responses": "gpt-4o", "anthropic": "claude-opus-4-6"}
CHAT = "https://api.openai.com/v1/chat/completions"
HELLO: Any = {"model": "gpt-5", "messages": [{"role": "user", "content": "hello there"}]}
STREAM = {**HELLO, "stream": True}

type Step = dict[str, Any]
type Done = subprocess.CompletedProcess[str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "calls.cassette"


def environ(stack: Stack, key: str) -> dict[str, str]:
    return {**stack.env, "GATEWAY": "", "ENTRY": "connect", "TOKEN": key, "PYTHONPATH": str(ROOT)}


def run(stack: Stack, *arguments: str | Path, key: str = OWN_KEY) -> Done:
    command = [sys.executable, "-m", "llm_intercept.cli", *map(str, arguments)]
    return subprocess.run(
        command,
        env=environ(stack, key),
        capture_output=True,
        text=True,
        timeout=3 * DEADLINE,
        cwd=ROOT,
        check=False,
    )


def agent(*steps: Step) -> list[str]:
    return ["--", sys.executable, str(AGENT), json.dumps(steps)]


def record(stack: Stack, file: Path, *steps: Step, options: tuple[str, ...] = ()) -> list[Any]:
    done = run(stack, "record", *options, file, *agent(*steps))
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def replay(stack: Stack, file: Path, *steps: Step, options: tuple[str, ...] = ()) -> list[Any]:
    done = run(stack, "replay", *options, file, *agent(*steps), key="another-key-0123456789")
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


@contextlib.contextmanager
def without_provider(stack: Stack) -> Iterator[None]:
    """The simulator is off meanwhile."""
    stack.processes["sim"].stop()
    try:
        yield
    finally:
        stack.start_sim()


@contextlib.contextmanager
def scenario(stack: Stack, *rules: dict[str, Any]) -> Iterator[None]:
    address = f"{stack.sim}/__sim/scenario"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    put = urllib.request.Request(address, json.dumps({"rules": rules}).encode(), method="PUT")
    with opener.open(put, timeout=10):
        pass
    try:
        yield
    finally:
        with opener.open(urllib.request.Request(address, method="DELETE"), timeout=10):
            pass


@pytest.mark.parametrize("client", MODELS)
def test_a_tool_loop_replays_to_identical_answers(stack: Stack, tmp_path: Path, client: str) -> None:
    file = tmp_path / "loop.cassette.gz"
    program = ["--", sys.executable, LOOPS, client, MODELS[client]]
    recorded = run(stack, "record", file, *program)
    assert recorded.returncode == 0, recorded.stderr
    assert "8 calls in" in recorded.stderr
    with without_provider(stack):
        replayed = run(stack, "replay", file, *program, key="another-key-0123456789")
    assert replayed.returncode == 0, replayed.stderr
    assert "8 calls answered from" in replayed.stderr
    turns = json.loads(recorded.stdout)
    assert any(turn["calls"] for talk in turns.values() for turn in talk)
    assert json.loads(replayed.stdout) == turns


def test_no_key_and_no_token_is_in_the_file(stack: Stack, file: Path) -> None:
    said = {**HELLO, "messages": [{"role": "user", "content": f"my key is {OWN_KEY}, keep it"}]}
    steps = [{"url": f"{CHAT}?key={OWN_KEY}", "body": said}, {"url": CHAT, "body": {**said, "stream": True}}]
    answers = record(stack, file, *steps)
    assert OWN_KEY in answers[0]["body"]
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    assert "[redacted]" in text
    for secret in (OWN_KEY, OWN_KEY[:20], "lli_", "real-openai-key", "authorization"):
        assert secret not in text
    again = replay(stack, file, *steps[:1])
    assert again[0]["body"] == answers[0]["body"].replace(OWN_KEY, "[redacted]")


def test_a_changed_request_is_named_and_compared(stack: Stack, file: Path) -> None:
    steps = [{"url": CHAT, "body": HELLO}, {"url": CHAT, "body": {**HELLO, "temperature": 0.5, "n": 2}}]
    record(stack, file, *steps)
    changed = {"url": CHAT, "body": {**HELLO, "temperature": 0.7, "n": 2}}
    done = run(stack, "replay", file, *agent(steps[0], changed))
    assert done.returncode == 1
    told = json.loads(done.stdout)[1]
    assert told["status"] == 404
    error = json.loads(told["body"])["error"]
    assert error["code"] == "not_in_cassette"
    assert "POST api.openai.com/v1/chat/completions" in error["message"]
    assert "nearest to it is its call 2" in done.stderr
    assert '-  "temperature": 0.5' in done.stderr
    assert '+  "temperature": 0.7' in done.stderr
    assert "call 2: POST api.openai.com/v1/chat/completions" in done.stderr  # was not asked for


def test_fields_can_be_ignored(stack: Stack, file: Path) -> None:
    def step(user: str) -> Step:
        return {"url": CHAT, "body": {**HELLO, "metadata": {"at": user}}}

    answers = record(stack, file, step("monday"))
    assert replay(stack, file, step("tuesday"), options=("--ignore", "metadata.at")) == answers


def test_equal_calls_are_answered_in_their_order_and_not_more_often(stack: Stack, file: Path) -> None:
    step = {"url": CHAT, "body": HELLO}
    with scenario(stack, {"nth": 1, "then": "error", "status": 422}):
        answers = record(stack, file, step, step)
    assert [answer["status"] for answer in answers] == [422, 200]
    assert replay(stack, file, step, step) == answers
    done = run(stack, "replay", file, *agent(step, step, step))
    assert done.returncode == 1
    assert "2 times, and it was made once more" in done.stderr


def test_streams_keep_their_chunks(stack: Stack, file: Path) -> None:
    step = {"url": CHAT, "body": STREAM}
    answers = record(stack, file, step)
    (call,) = read(file).calls
    assert call.answer is not None
    assert not call.answer.sized
    assert len(call.answer.chunks) > 1
    times = [chunk.at for chunk in call.answer.chunks]
    assert times == sorted(times)
    for pace in ("fast", "original"):
        assert replay(stack, file, step, options=("--pace", pace)) == answers


@pytest.mark.parametrize("body", [HELLO, STREAM])
@pytest.mark.parametrize("coding", ["gzip", "br", "deflate"])
def test_compressed_answers_are_kept_readable(stack: Stack, file: Path, body: Any, coding: str) -> None:
    step = {"url": CHAT, "body": body, "headers": {"x-sim-encoding": coding}}
    answers = record(stack, file, step)
    assert '"content' in file.read_text().replace("\\", "")
    assert replay(stack, file, step) == answers


@pytest.mark.parametrize("then", [{"then": "drop", "after_events": 2}, {"then": "drop", "after_bytes": 0}])
def test_what_broke_breaks_again(stack: Stack, file: Path, then: dict[str, Any]) -> None:
    step = {"url": CHAT, "body": STREAM}
    with scenario(stack, then):
        answers = record(stack, file, step)
    assert answers[0].get("cut") or '"error"' in answers[0]["body"]
    assert replay(stack, file, step) == answers


def test_a_client_that_leaves_is_noted(stack: Stack, file: Path) -> None:
    step = {"url": CHAT, "body": STREAM, "leave": True}
    with scenario(stack, {"then": "hang", "after_events": 2}):
        answers = record(stack, file, step)
    (call,) = read(file).calls
    assert call.answer is not None
    assert call.answer.ended == "client"
    assert replay(stack, file, step) == answers


def test_base_urls_lists_and_what_is_no_inference(stack: Stack, file: Path) -> None:
    steps = [
        {"url": "gateway:/openai/v1/chat/completions", "body": HELLO},
        {
            "url": "gateway:/v1/messages",
            "body": {**HELLO, "max_tokens": 9},
            "headers": {"x-api-key": OWN_KEY},
        },
        {"url": "https://api.openai.com/v1/models"},
        {"url": "https://api.anthropic.com/api/hello", "body": {"sent_at": 1}},
    ]
    answers = record(stack, file, *steps)
    calls = read(file).calls
    assert [call.request.host for call in calls] == [
        "openai",
        "anthropic",
        "api.openai.com",
        "api.anthropic.com",
    ]
    assert [call.inference for call in calls] == [True, True, True, False]
    later = [*steps[:3], {**steps[3], "body": {"sent_at": 2}}]
    with without_provider(stack):
        assert replay(stack, file, *later) == answers


def test_websockets_and_uploads_are_noted(stack: Stack, file: Path) -> None:
    steps = [
        {"url": "https://api.openai.com/v1/responses", "socket": True},
        {"url": "https://api.openai.com/v1/files", "upload": 12_000_000, "headers": {"content-type": "a/b"}},
    ]
    done = run(stack, "record", file, *agent(*steps))
    assert json.loads(done.stdout)[0]["status"] == 101
    noted = {call.request.path: call.note for call in read(file).calls if call.answer is None}
    assert "a WebSocket" in noted["/v1/responses"]
    assert "an upload" in noted["/v1/files"]
    assert "cannot be replayed: GET api.openai.com/v1/responses: a WebSocket" in done.stderr
    for step, status in zip(steps, (426, 404), strict=True):
        again = run(stack, "replay", file, *agent(step))
        assert (again.returncode, json.loads(again.stdout)[0]["status"]) == (1, status)
        assert "cannot be replayed: it is a" in again.stderr


def test_websockets_can_be_refused(stack: Stack, file: Path) -> None:
    step = {"url": "https://api.openai.com/v1/responses", "socket": True}
    answers = record(stack, file, step, {"url": CHAT, "body": HELLO}, options=("--no-websockets",))
    assert [answer["status"] for answer in answers] == [426, 200]
    assert [call.request.method for call in read(file).calls] == ["POST"]


def test_recorded_calls_are_in_the_books_and_replayed_ones_are_not(stack: Stack, file: Path) -> None:
    since, step = stack.last_id(), {"url": CHAT, "body": {**HELLO, "user": "booked"}}
    record(stack, file, step, options=("--project", "demo"))
    (row,) = stack.rows(1, since)
    assert (row["project"], row["provider"], row["outcome"]) == ("demo", "openai", "ok")
    replay(stack, file, step)
    assert len(stack.query("SELECT id FROM requests WHERE id > ?", since)) == 1


@pytest.mark.parametrize("command", ["record", "run"])
def test_the_bill_has_calls_with_a_token_of_the_programs_own(stack: Stack, file: Path, command: str) -> None:
    """They are filed under that token, and another program's calls with it are not on the bill."""
    since, step = stack.last_id(), {"url": CHAT, "body": HELLO}
    made = stack.cli("token", "create", "--project", "demo", "--name", f"own-{command}", "--json")
    token = json.loads(made)["token"]
    own = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    elsewhere = urllib.request.Request(f"{stack.url}/v1/chat/completions", json.dumps(HELLO).encode(), own)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(elsewhere, timeout=10):
        pass
    steps = [step, {**step, "url": "gateway:/v1/chat/completions"}]
    words = ["record", str(file)] if command == "record" else ["run"]
    # What comes by a base URL says nothing of a run; a recording has a proxy of its own.
    done = run(stack, *words, *agent(*steps[: 1 + (command == "record")]), key=token)
    assert done.returncode == 0, done.stderr
    count = "2 calls · " if command == "record" else "1 call · "
    assert done.stderr.splitlines()[-1].startswith(f"llm-intercept: {count}")
    rows = stack.rows(1 + len(json.loads(done.stdout)), since)
    assert {row["token"] for row in rows} == {f"own-{command}"}
    assert ["proxy: default/run-" in row["changes"] for row in rows].count(False) == 1


def test_the_proxy_that_runs_already_stays_the_one_that_is_found(stack: Stack, file: Path) -> None:
    before = (stack.home / "proxy.json").read_text()
    step = {"url": CHAT, "body": HELLO}
    record(stack, file, step)
    replay(stack, file, step)
    assert (stack.home / "proxy.json").read_text() == before
    assert get(f"{stack.url}/ready")[0] == 200


def test_it_can_serve_without_a_program(stack: Stack, file: Path) -> None:
    record(stack, file, {"url": CHAT, "body": HELLO})
    command = [sys.executable, "-m", "llm_intercept.cli", "replay", "--serve", str(file)]
    with subprocess.Popen(
        command, env=environ(stack, ""), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        variables = {}
        while "OPENAI_API_KEY" not in variables:
            name, _, value = process.stdout.readline().removeprefix("export ").rstrip().partition("=")
            variables[name] = value.strip("'")
        step = {"url": CHAT, "body": HELLO}
        done = subprocess.run(
            [sys.executable, AGENT, json.dumps([step])],
            env=environ(stack, variables["OPENAI_API_KEY"]) | variables,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=True,
        )
        assert json.loads(done.stdout)[0]["status"] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 0
        assert "1 call answered" in process.stderr.read()


def test_the_programs_exit_code_is_returned(stack: Stack, file: Path) -> None:
    program = [sys.executable, "-c", "raise SystemExit(7)"]
    assert run(stack, "record", file, "--", *program).returncode == 7
    assert isinstance(read(file), Cassette)
    assert run(stack, "replay", file, *program).returncode == 7


def test_what_is_wrong_is_said_before_anything_starts(stack: Stack, file: Path) -> None:
    file.write_text('{"cassette": 1}\n{"number": "x"}\n')
    assert "exists already" in run(stack, "record", file, "true").stderr
    nowhere = run(stack, "record", file.with_name("nowhere") / "a.cassette", "true")
    assert (nowhere.returncode, "there is no folder" in nowhere.stderr) == (3, True)
    assert "line 2, is not a line of a cassette" in run(stack, "replay", file, "true").stderr
    missing = run(stack, "replay", file.with_name("none"), "true")
    assert (missing.returncode, "there is no cassette" in missing.stderr) == (3, True)
    assert run(stack, "replay", file).returncode == 2


def test_every_call_has_its_place(stack: Stack, file: Path) -> None:
    """The numbers are the order in which calls were made."""
    steps = [{"url": CHAT, "body": {**HELLO, "user": str(n)}} for n in range(5)]
    record(stack, file, *steps)
    calls: tuple[Recorded, ...] = read(file).calls
    assert [json.loads(call.request.body)["user"] for call in calls] == list("01234")
    assert [call.number for call in calls] == [1, 2, 3, 4, 5]


def test_what_is_recorded_comes_from_the_provider(stack: Stack, file: Path) -> None:
    """The cache is not asked, and nothing is stored."""
    wish = {"cache-control": "max-age=600"}
    step = {"url": CHAT, "body": HELLO, "headers": wish}
    before = len(stack.received())
    answers = record(stack, file, step, step)
    assert len(stack.received()) == before + 2
    with without_provider(stack):
        assert [a["body"] for a in replay(stack, file, step, step)] == [a["body"] for a in answers]
    rows = stack.query("SELECT cache FROM requests ORDER BY id DESC LIMIT 4")
    assert [row["cache"] for row in rows] == [""] * 4
