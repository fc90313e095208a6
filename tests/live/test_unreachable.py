"""Targets that cannot be reached from here: names that nobody knows, no address, a key that is none.

The proxy listens off loopback: what providers lie on this machine was decided by whoever set it up.
"""

import base64
import contextlib
import http.client
import json
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from llm_intercept.policy.routing import Route
from tests.live import wire
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import Proxied, proxied

CONFIG = """
host = "0.0.0.0"
[retries]
backoff = 0.001
[breaker]
consecutive = 0
rate = 0
"""
KEYS = {"openai": "sk-real-0123456789abcdef", "groq": "gsk-0123456789abcdef", "vertex": "{no JSON"}
TARGETS = {"unknown": "groq/llama", "nowhere": "azure/gpt-5", "no-key": "vertex/gemini-2.5-pro"}


async def answer(request: Request, answer: Answer) -> None:
    asked = json.loads(await request.read())
    if asked.get("stream"):
        await answer.stream(*wire.chat_stream())
    else:
        await answer.whole(200, wire.chat_answer())


@pytest.fixture(scope="module")
def there() -> Iterator[Upstream]:
    with upstream() as server:
        server.script = answer
        yield server


@pytest.fixture(scope="module")
def proxy(there: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    bases = {"openai": there.url, "groq": "http://nobody-knows-me.invalid"}
    with proxied(tmp_path_factory.mktemp("unreachable"), bases, config=CONFIG, keys=KEYS) as running:
        with running.control() as control:
            control.credentials.add("azure", SecretStr("azure-0123456789abcdef"))
            for name, target in TARGETS.items():
                route = {"name": name, "match": {"models": [name]}, "targets": [target, "openai/gpt-4o"]}
                control.routes.set(Route.model_validate(route))
            every = {"name": "all", "match": {"models": ["all"]}, "targets": [*TARGETS.values()]}
            control.routes.set(Route.model_validate(every))
        yield running


@pytest.mark.parametrize("entry", ["base URL", "CONNECT"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", TARGETS)
def test_the_next_target_answers(proxy: Proxied, model: str, stream: bool, entry: str) -> None:
    body = json.dumps({**(wire.CHAT_STREAM_ASKED if stream else wire.CHAT), "model": model})
    connection = proxy.connection() if entry == "base URL" else _tunnel(proxy)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/chat/completions", body, proxy.headers)
        answered = connection.getresponse()
        said, number = answered.read(), answered.headers["x-llm-intercept-request-id"]
    assert answered.status == 200, said
    row = proxy.settled()[-1]
    assert (row["request_id"], row["provider"], row["route"]) == (number, "openai", model)
    tried = [t["provider"] for t in proxy.query("SELECT * FROM attempts WHERE request_id = ?", row["id"])]
    if model == "unknown":
        assert tried == ["groq", "openai"]
        assert json.loads(row["changes"])[0] == "try 2: openai after connect"
    else:
        assert tried == ["openai"]
        assert json.loads(row["warnings"])[0].startswith(f"not tried: {TARGETS[model]}: ")


def _tunnel(proxy: Proxied) -> http.client.HTTPSConnection:
    connection = proxy.tunnel("api.openai.com")
    basic = base64.b64encode(f"x:{proxy.token}".encode()).decode()
    connection.set_tunnel("api.openai.com", 443, {"proxy-authorization": f"Basic {basic}"})
    return connection


def test_when_none_can_be_reached_the_call_fails(proxy: Proxied) -> None:
    with proxy.call(wire.COMPLETIONS, {**wire.CHAT, "model": "all"}) as call:
        assert call.status == 502
        assert b"nobody-knows-me.invalid could not be reached" in call.read()


def test_a_token_count_that_the_next_target_cannot_give_is_made_here(proxy: Proxied) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "how long is this?"}]}]}
    with proxy.call("/gemini/v1beta/models/no-key:countTokens", body) as call:
        assert call.status == 200
        assert json.loads(call.read())["totalTokens"] > 0
        warnings = json.loads(proxy.row(call)["warnings"])
    assert [warning.partition(":")[0] for warning in warnings] == ["not tried", "estimated here"]
