"""Which bodies are kept, what is taken out of them, and that no secret is in any file of the home."""

import base64
import contextlib
import gzip
import json
import re
import signal
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.store.bodies import StoredBody, read_bodies
from tests.live import wire
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import AWS, Proxied, proxied
from tests.live.stack import wait_for

MAX = 20_000
OWN = "employee-\\d{4}"
REAL = "sk-real-openai-key-that-nobody-may-see-0123456789"
# A key of no shape that a pattern could know.
SHAPELESS = "kQ7vXn3pZr8sTy2wLm5dBc9fHg4jKa6e"


def settings(bodies: str) -> str:
    return f'[capture]\nbodies = "{bodies}"\nmax_bytes = {MAX}\nredact = ["{OWN}"]\n'.replace("\\", "\\\\")


async def scripted(request: Request, answer: Answer) -> None:
    """As the body says: an error, a stream, an echo of the caller's headers, or an answer."""
    body = await request.read()
    asked = json.loads(body) if body.startswith(b"{") else {}
    wanted = asked.get("user", "")
    if wanted == "error":
        await answer.whole(400, b'{"error":{"message":"no good","type":"invalid_request_error"}}')
    elif wanted == "echo":
        said = f"Incorrect API key: {request.header('authorization')} {request.header('x-api-key')}"
        await answer.whole(401, json.dumps({"error": {"message": said, "type": "auth"}}).encode())
    elif wanted == "reflect":
        await answer.whole(200, wire.chat_answer(request.head.decode()))
    elif wanted == "hang":
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(*wire.chat_stream()[:3])
        await request.reader.read()  # until the proxy hangs up as well
    elif asked.get("stream"):
        await answer.stream(*wire.chat_stream(usage=False))
    else:
        await answer.whole(200, wire.chat_answer())


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream(scripted) as running:
        yield running


@pytest.fixture(scope="module", params=["none", "errors", "all"])
def proxy(
    request: pytest.FixtureRequest, server: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    home = tmp_path_factory.mktemp(f"capture-{request.param}")
    keys = {"openai": REAL}
    with proxied(home, {"openai": server.url}, config=settings(request.param), keys=keys) as running:
        with running.control() as control:
            for mode in ("none", "errors", "all"):
                control.projects.create(f"keeps-{mode}", capture=mode)
                running.extra[mode] = control.tokens.create(f"keeps-{mode}", "laptop").text
        running.extra["default"] = request.param
        yield running


def kept(proxy: Proxied, row: dict[str, Any]) -> list[StoredBody]:
    return read_bodies(proxy.home / "bodies.db", row["id"])


def call(proxy: Proxied, body: object, token: str = "", **headers: str) -> dict[str, Any]:
    given = {"authorization": f"Bearer {token or proxy.token}", **headers}
    with proxy.call(wire.COMPLETIONS, body, given) as answer:
        answer.read()
        return proxy.row(answer)


@pytest.mark.parametrize("project", ["default", "none", "errors", "all"])
def test_the_mode_decides_and_a_project_decides_otherwise(proxy: Proxied, project: str) -> None:
    mode = proxy.extra["default"] if project == "default" else project
    token = proxy.token if project == "default" else proxy.extra[project]
    fine = call(proxy, wire.CHAT, token)
    streamed = call(proxy, wire.CHAT_STREAM, token)
    failed = call(proxy, {**wire.CHAT, "user": "error"}, token)
    last = call(proxy, wire.CHAT, token)  # rows are written in order, bodies with them
    assert (fine["outcome"], streamed["outcome"], failed["outcome"]) == ("ok", "ok", "client_error")
    sides = ["request", "response"]
    wait_for(lambda: mode != "all" or kept(proxy, last), "the last body")
    assert [b.side for b in kept(proxy, fine)] == (sides if mode == "all" else [])
    assert [b.side for b in kept(proxy, streamed)] == (sides if mode == "all" else [])
    wait_for(lambda: mode == "none" or kept(proxy, failed), "the error's body")
    assert [b.side for b in kept(proxy, failed)] == (sides if mode != "none" else [])


@pytest.fixture(scope="module")
def keeper(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    home = tmp_path_factory.mktemp("keeper")
    keys = {"openai": REAL, "anthropic": SHAPELESS}
    bases = dict.fromkeys(keys, server.url)
    with proxied(home, bases, config=settings("all"), keys=keys) as running:
        yield running


def both(proxy: Proxied, row: dict[str, Any]) -> tuple[StoredBody, StoredBody]:
    request, response = wait_for(lambda: kept(proxy, row), "the bodies")
    return request, response


def test_bodies_are_what_was_said(keeper: Proxied) -> None:
    request, response = both(keeper, call(keeper, wire.CHAT))
    assert json.loads(request.text) == wire.CHAT
    assert response.text.encode() == wire.chat_answer()
    assert (request.content_type, response.content_type) == ("application/json", "application/json")
    assert (request.size, response.size) == (len(json.dumps(wire.CHAT)), len(wire.chat_answer()))
    assert not request.truncated


def test_streams_are_kept_as_they_came(keeper: Proxied) -> None:
    _, response = both(keeper, call(keeper, wire.CHAT_STREAM_ASKED))
    assert response.text.encode() == b"".join(wire.chat_stream(usage=False))
    assert response.content_type == "text/event-stream"


def test_encodings_are_undone(server: Upstream, keeper: Proxied) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", "text/event-stream"), ("content-encoding", "gzip")])
        await answer.send(gzip.compress(b"".join(wire.chat_stream())))
        await answer.end()

    server.script = script
    body = gzip.compress(json.dumps(wire.CHAT_STREAM_ASKED).encode())
    request, response = both(keeper, call(keeper, body, **{"content-encoding": "gzip"}))
    server.script = scripted
    assert json.loads(request.text) == wire.CHAT_STREAM_ASKED
    assert response.text.encode() == b"".join(wire.chat_stream())


def test_a_large_body_is_cut(server: Upstream, keeper: Proxied) -> None:
    long = "x" * 3 * MAX

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.stream(wire.chat_chunk(long), *wire.chat_stream())

    server.script = script
    body = {**wire.CHAT_STREAM_ASKED, "messages": [{"role": "user", "content": long}]}
    row = call(keeper, body)
    server.script = scripted
    request, response = both(keeper, row)
    assert (request.truncated, response.truncated) == (True, True)
    assert (len(request.text), len(response.text)) == (MAX, MAX)
    assert request.size == len(json.dumps(body)) == row["request_bytes"]
    assert response.size == row["response_bytes"] > 3 * MAX


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_no_half_of_a_secret_remains_at_the_cut(server: Upstream, keeper: Proxied, stream: bool) -> None:
    start = wire.chat_chunk("").index(b'""') if stream else wire.chat_answer("").index(b'""')
    text = "x" * (MAX - start - 14) + f" {SECRETS[0]} " + "y" * MAX

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        if stream:
            await answer.stream(wire.chat_chunk(text), *wire.chat_stream())
        else:
            await answer.whole(200, wire.chat_answer(text))

    server.script = script
    row = call(keeper, wire.CHAT_STREAM_ASKED if stream else wire.CHAT)
    server.script = scripted
    _, response = both(keeper, row)
    assert len(response.text) == MAX
    assert re.search(r"x \[redacted\] ?y*$", response.text)
    assert SECRETS[0][:6] not in response.text


SECRETS = [
    "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789",
    "AKIAIOSFODNN7EXAMPLE",
    "lli_0123456789012345678901234567890123456789012abcdef",
    "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB",
    "employee-4711",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_secrets_are_taken_out(server: Upstream, keeper: Proxied, secret: str, stream: bool) -> None:
    """Also where a stream cuts them in two chunks of bytes."""

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        whole = b"".join([wire.chat_chunk(f"mind {secret} well"), *wire.chat_stream()])
        at = whole.index(secret.encode()) + len(secret) // 2
        if stream:
            await answer.stream(whole[:at], whole[at:])
        else:
            await answer.whole(200, wire.chat_answer(f"mind {secret} well"))

    server.script = script
    said = [{"role": "user", "content": f"mind {secret} well"}]
    body = {**(wire.CHAT_STREAM_ASKED if stream else wire.CHAT), "messages": said}
    with keeper.call(wire.COMPLETIONS, body) as answer:
        assert secret.encode() in answer.read()  # the client gets what was sent
        row = keeper.row(answer)
    server.script = scripted
    assert secret.encode() in server.last.body
    for side in both(keeper, row):
        assert secret not in side.text
        assert "mind [redacted] well" in side.text


@pytest.mark.parametrize("path", [wire.COMPLETIONS, wire.ANTHROPIC])
@pytest.mark.parametrize("user", ["echo", "reflect"])
def test_the_real_key_is_taken_out_of_what_a_provider_repeats(keeper: Proxied, path: str, user: str) -> None:
    """Whatever it looks like: in bodies, in the row, in the logs; and errors do not tell it to clients."""
    with keeper.call(path, {**wire.CHAT, "user": user}) as answer:
        told = (SHAPELESS if path == wire.ANTHROPIC else REAL).encode() in answer.read()
        assert told == (user == "reflect")
        row = keeper.row(answer)
    _, response = both(keeper, row)
    assert "[redacted]" in response.text
    if user == "echo":
        assert "Incorrect API key" in row["error_message"]
    for text in (response.text, row["error_message"], *files(keeper.home).values()):
        assert SHAPELESS not in str(text)
        assert REAL not in str(text)


# --- the whole home


def files(home: Path) -> dict[str, bytes]:
    """Everything that lies in the home, captured bodies unpacked as well."""
    found = {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    with contextlib.closing(sqlite3.connect(home / "bodies.db")) as db:
        rows = db.execute("SELECT request_id, side, content FROM bodies").fetchall()
    return found | {f"bodies.db {number} {side}": zlib.decompress(content) for number, side, content in rows}


def mixed_run(proxy: Proxied, own: str, aws: tuple[str, str]) -> None:
    """Calls by every way in which a credential can be shown, and by every way in which they can end."""
    token = proxy.token
    typed = token[:-1] + ("a" if token[-1] != "a" else "b")
    basic = base64.b64encode(f"user:{token}".encode()).decode()
    pasted = {**wire.CHAT, "messages": [{"role": "user", "content": f"my token is {token}, my key {own}"}]}
    gemini = "/gemini/v1beta/models/gemini-2.5-flash:generateContent"
    for path, body, headers in (
        (wire.COMPLETIONS, wire.CHAT, {}),
        (wire.COMPLETIONS, wire.CHAT_STREAM, {}),
        (wire.COMPLETIONS, pasted, {}),
        (wire.COMPLETIONS, {**wire.CHAT, "user": "error"}, {}),
        (wire.COMPLETIONS, {**wire.CHAT, "user": "echo"}, {}),
        (wire.COMPLETIONS, {**wire.CHAT, "user": "echo"}, {"authorization": f"Bearer {own}"}),
        (wire.COMPLETIONS, {**wire.CHAT, "user": "reflect"}, {"authorization": f"Bearer {own}"}),
        (wire.COMPLETIONS, wire.CHAT, {"authorization": f"Bearer {typed}"}),
        (
            wire.COMPLETIONS,
            wire.CHAT,
            {"authorization": f"Bearer {own}", "proxy-authorization": f"Basic {basic}"},
        ),
        (wire.ANTHROPIC, wire.MESSAGES, {"authorization": "", "x-api-key": token}),
        (f"{gemini}?key={token}", wire.GEMINI_BODY, {"authorization": ""}),
        (f"{gemini}?key={own}", wire.GEMINI_BODY, {"authorization": ""}),
        (f"/v1/nothing/here?key={token}", wire.CHAT, {"authorization": ""}),
        ("/mistral/v1/chat/completions", wire.CHAT, {}),
        ("/bedrock/model/amazon.nova-micro-v1:0/converse", wire.CONVERSE_BODY, _signed(aws)),
        (
            "/openai/v1/files",
            f"--b\r\n\r\n{token}\r\n--b--".encode(),
            {"content-type": "multipart/form-data"},
        ),
        ("/metrics", None, {}),
        ("/", None, {}),
        ("/nowhere", None, {}),
    ):
        with proxy.call(path, body, {name: value for name, value in headers.items() if value}) as answer:
            answer.read()
    with proxy.call(wire.COMPLETIONS, {**wire.CHAT_STREAM, "user": "hang"}) as answer:
        answer.take(10)


def _signed(pair: tuple[str, str]) -> dict[str, str]:
    scope = f"{pair[0]}/20260101/us-east-1/bedrock/aws4_request"
    signature = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"
    return {"authorization": signature, "x-amz-date": "20260101T000000Z"}


def test_no_secret_is_in_any_file(server: Upstream, tmp_path: Path) -> None:
    keys = {
        "openai": REAL,
        "anthropic": SHAPELESS,
        "gemini": "AIzaSyD-real-gemini-key-0123456789abcdef",
        "mistral": "Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OWFi",
        "bedrock": AWS,
    }
    own = "sk-own-key-of-the-client-0123456789abcdef"
    bases = dict.fromkeys(keys, server.url) | {"mistral": "http://127.0.0.1:1"}
    config = settings("all") + '[log]\nlevel = "debug"\n'
    with proxied(tmp_path / "home", bases, config=config, keys=keys) as proxy:
        with proxy.control() as control:
            aws = control.tokens.create("demo", "aws", aws=True)
            gone = control.tokens.create("demo", "gone").text
            control.tokens.revoke("gone", "demo")
        assert aws.secret is not None
        mixed_run(proxy, own, (aws.text, aws.secret.get_secret_value()))
        with proxy.call(wire.COMPLETIONS, wire.CHAT, {"authorization": f"Bearer {gone}"}) as answer:
            assert answer.status == 401
        proxy.settled()
        before = files(proxy.home)
        with contextlib.closing(sqlite3.connect(proxy.home / "usage.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # what is not committed lies in the journal
            mixed_run(proxy, own, (aws.text, aws.secret.get_secret_value()))
            proxy.processes["proxy"].stop(signal.SIGKILL)
            killed = files(proxy.home)
            other.execute("ROLLBACK")
        rows = proxy.query("SELECT * FROM requests")
    secrets = [
        *(part for key in keys.values() for part in key.split(":")[-1:]),
        *(proxy.token, gone, own, aws.secret.get_secret_value()),
        base64.b64encode(f"user:{proxy.token}".encode()).decode(),
    ]
    assert any(path.endswith(".jsonl") and "journal" in path and data for path, data in killed.items())
    for path, data in [*before.items(), *killed.items()]:
        for secret in secrets:
            assert secret.encode() not in data, f"{secret} in {path}"
    assert len(rows) >= 15
    assert {"ok", "client_error", "refused", "connect_failed", "client_gone"} <= {r["outcome"] for r in rows}
    assert any(row["token"].startswith("own:") for row in rows)


def test_files_are_private(keeper: Proxied) -> None:
    assert keeper.home.stat().st_mode & 0o077 == 0 or keeper.home.parent.stat().st_mode & 0o077 == 0
    for name in ("control.db", "secret.key", "certs/mitmproxy-ca.pem"):
        assert (keeper.home / name).stat().st_mode & 0o077 == 0, name
