"""Tries under a plain `mitmdump -s addons/gateway.py`, by every way in: one proxy, two simulators."""

import http.client
import json
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.failover import Simulator
from tests.live.http2 import Client
from tests.live.stack import Stack, running, wait_for

CONFIG = "[retries]\nbackoff = 0.001\n[breaker]\nconsecutive = 0\nrate = 0\n"
PATH = "/v1/chat/completions"
BODY = json.dumps({"model": "pair", "messages": [{"role": "user", "content": "Say hello."}], "stream": True})


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(tmp_path_factory.mktemp("second")) as running_:
        yield running_


@pytest.fixture(scope="module")
def stack(second: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The first simulator is the one of the stack; Groq's key leads to the second."""
    home: Path = tmp_path_factory.mktemp("home")
    with running(home, config=CONFIG, stock=True) as started:
        secret = "sk-second-0123456789abcdef"
        started.cli("key", "remove", "groq")
        started.cli("key", "add", "groq", "--key-stdin", "--base-url", second.url, stdin=secret)
        started.cli("route", "set", "pair", "--model", "pair", "--to", "openai/gpt-4o", "--to", "groq/")
        yield started


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return str(
        json.loads(stack.cli("token", "create", "--project", "demo", "--name", "t", "--json"))["token"]
    )


def headers(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "content-type": "application/json"}


def by_base_url(stack: Stack, token: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
    connection.request("POST", f"/openai{PATH}", BODY, headers(token))
    return _read(connection)


def absolute(stack: Stack, token: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
    connection.request("POST", f"http://api.openai.com{PATH}", BODY, headers(token))
    return _read(connection)


def by_connect(stack: Stack, token: str) -> bytes:
    trust = ssl.create_default_context(cafile=str(stack.home / "certs" / "mitmproxy-ca-cert.pem"))
    connection = http.client.HTTPSConnection("127.0.0.1", stack.port, timeout=60, context=trust)
    connection.set_tunnel("api.openai.com", 443)
    connection.request("POST", PATH, BODY, headers(token))
    return _read(connection)


def by_http2(stack: Stack, token: str) -> bytes:
    with Client(stack.port, "api.openai.com", stack.home / "certs" / "mitmproxy-ca-cert.pem") as client:
        reply = client.post(PATH, BODY.encode(), headers(token))
        client.until(lambda: reply.ended)
    assert reply.status == 200
    return reply.body


def _read(connection: http.client.HTTPConnection) -> bytes:
    response = connection.getresponse()
    said = response.read()
    connection.close()
    assert response.status == 200, said
    return said


ENTRIES = {"base_url": by_base_url, "absolute": absolute, "connect": by_connect, "http2": by_http2}


@pytest.mark.parametrize(
    "then", [{"then": "error", "status": 503}, {"then": "stream_error"}, {"then": "reset"}]
)
@pytest.mark.parametrize("entry", ENTRIES)
def test_the_second_answers_for_the_first(
    stack: Stack, second: Simulator, token: str, entry: str, then: dict[str, object]
) -> None:
    scenario = json.dumps({"rules": [then]}).encode()
    request = urllib.request.Request(f"{stack.sim}/__sim/scenario", scenario, method="PUT")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10):
        second.play()
    since = stack.last_id()
    said = ENTRIES[entry](stack, token)
    assert b"hello" in said.lower()
    assert said.endswith(b"data: [DONE]\n\n")
    [row] = wait_for(lambda: stack.rows(1, since), "the row")
    assert (row["outcome"], row["attempts"], row["provider"]) == ("ok", 2, "groq")
    assert row["entry"] == {"http2": "connect"}.get(entry, entry)
    assert token not in str(second.received())
