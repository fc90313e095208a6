"""Streams that reach their limit: SDKs see an answer that was too long, and the next call is refused."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import boto3
import openai
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from google import genai
from google.genai.errors import ClientError as GeminiError

from tests.live import failover, wire
from tests.live.loopback import Answer, Gate, Request, Upstream, upstream
from tests.live.proxied import Proxied, proxied
from tests.live.stack import Stack
from tests.live.test_limits import PRICES, counted, limit

LOREM: Any = "sim-lorem"
ASK: Any = [{"role": "user", "content": "Go on."}]
CONFIG = (
    PRICES
    + """
[models.aliases]
"by-anthropic" = "anthropic/sim-lorem"
"by-openai" = "openai/sim-lorem"
"by-gemini" = "gemini/sim-lorem"
"by-bedrock" = "bedrock/sim-lorem"
"by-ollama" = "ollama/sim-lorem"

[lint]
sample = 1

[[prices]]
model = "sim-lorem"
input = 1
output = 10
"""
)
AMOUNT, STEP, MAX = 400, 50, 2000
PROVIDERS = ("openai", "anthropic", "gemini", "bedrock", "ollama")


@dataclass
class Keys:
    proxy: Proxied
    aws: tuple[str, str]

    @property
    def url(self) -> str:
        return self.proxy.url


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    folder = tmp_path_factory.mktemp("sim")
    sim = Stack(folder)
    sim.start_sim()
    try:
        home = tmp_path_factory.mktemp("stops")
        secrets = {name: f"sk-real-{name}-0123456789" for name in PROVIDERS}
        secrets["bedrock"] = "AKIAREALREALREAL0001:realsecretrealsecretrealsecretreal000001"
        with proxied(home, dict.fromkeys(PROVIDERS, sim.sim), config=CONFIG, keys=secrets) as running:
            with running.control() as control:
                pair = control.tokens.create("demo", "aws", aws=True)
            assert pair.secret is not None
            yield Keys(running, (pair.text, pair.secret.get_secret_value()))
    finally:
        sim.stop()


@pytest.fixture(autouse=True)
def _reset(keys: Keys) -> Iterator[None]:
    yield
    with keys.proxy.control() as control:
        for record in control.limits.list():
            control.limits.remove(record.id)


type Said = tuple[str, int | None]
"""Why the answer ended, and the output tokens that the SDK was told."""


def _openai(keys: Keys) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{keys.url}/v1", api_key=keys.proxy.token, max_retries=0)


def chat(keys: Keys, model: str = LOREM) -> Said:
    with _openai(keys) as client:
        stream = client.chat.completions.create(
            model=model, messages=ASK, max_tokens=MAX, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
    usage = chunks[-1].usage
    assert usage is not None
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert reasons[:-1] == [None] * (len(reasons) - 1)
    return str(reasons[-1]), usage.completion_tokens


def chat_without_usage(keys: Keys) -> Said:
    with _openai(keys) as client:
        stream = client.chat.completions.create(model=LOREM, messages=ASK, max_tokens=MAX, stream=True)
        chunks = list(stream)
    assert all(chunk.choices for chunk in chunks)
    return str(chunks[-1].choices[0].finish_reason), None


def completions(keys: Keys) -> Said:
    with _openai(keys) as client:
        chunks = list(client.completions.create(model=LOREM, prompt="Go on.", max_tokens=MAX, stream=True))
    return str(chunks[-1].choices[0].finish_reason), None


def responses(keys: Keys, model: str = LOREM) -> Said:
    with _openai(keys) as client:
        stream = client.responses.stream(model=model, input="Go on.", max_output_tokens=MAX)
        with stream as events:
            kinds = [event for event in events]
    last: Any = kinds[-1]
    assert last.type == "response.incomplete"
    streamed = "".join(event.delta for event in kinds if event.type == "response.output_text.delta")
    assert last.response.output_text == streamed
    return last.response.incomplete_details.reason, last.response.usage.output_tokens


def messages(keys: Keys, model: str = LOREM) -> Said:
    with anthropic.Anthropic(base_url=keys.url, api_key=keys.proxy.token, max_retries=0) as client:
        ask: Any = {"model": model, "max_tokens": MAX, "messages": ASK}
        with client.messages.stream(**ask) as stream:
            final = stream.get_final_message()
    return str(final.stop_reason), final.usage.output_tokens


def gemini(keys: Keys, model: str = LOREM) -> Said:
    client = genai.Client(api_key=keys.proxy.token, http_options={"base_url": keys.url})
    config: Any = {"max_output_tokens": MAX}
    chunks = list(client.models.generate_content_stream(model=model, contents="Go on.", config=config))
    candidate = (chunks[-1].candidates or [])[0]
    usage = chunks[-1].usage_metadata
    assert usage is not None
    assert candidate.finish_reason is not None
    return candidate.finish_reason.value, usage.candidates_token_count


def converse(keys: Keys, model: str = LOREM) -> Said:
    client = boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=keys.url,
        aws_access_key_id=keys.aws[0], aws_secret_access_key=keys.aws[1],
        config=Config(retries={"max_attempts": 1, "mode": "standard"}),
    )  # fmt: skip
    with contextlib.closing(client):
        said: Any = [{"role": "user", "content": [{"text": "Go on."}]}]
        answer = client.converse_stream(modelId=model, messages=said, inferenceConfig={"maxTokens": MAX})
        events = list(answer["stream"])
    reason = next(event["messageStop"]["stopReason"] for event in events if "messageStop" in event)
    return reason, events[-1]["metadata"]["usage"]["outputTokens"]


def ollama(keys: Keys, model: str = LOREM) -> Said:
    body = {"model": model, "messages": ASK, "options": {"num_predict": MAX}}
    with keys.proxy.call("/ollama/api/chat", body) as call:
        assert call.status == 200, call.read().decode()
        lines = [json.loads(line) for line in call.read().splitlines()]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    return lines[-1]["done_reason"], lines[-1]["eval_count"]


CASES: dict[str, tuple[Callable[[Keys], Said], str]] = {
    "chat": (chat, "length"),
    "chat without usage": (chat_without_usage, "length"),
    "completions": (completions, "length"),
    "responses": (responses, "max_output_tokens"),
    "messages": (messages, "max_tokens"),
    "gemini": (gemini, "MAX_TOKENS"),
    "converse": (converse, "max_tokens"),
    "ollama": (ollama, "length"),
    "chat by anthropic": (lambda keys: chat(keys, "by-anthropic"), "length"),
    "chat by gemini": (lambda keys: chat(keys, "by-gemini"), "length"),
    "responses by anthropic": (lambda keys: responses(keys, "by-anthropic"), "max_output_tokens"),
    "messages by openai": (lambda keys: messages(keys, "by-openai"), "max_tokens"),
    "messages by bedrock": (lambda keys: messages(keys, "by-bedrock"), "max_tokens"),
    "messages by ollama": (lambda keys: messages(keys, "by-ollama"), "max_tokens"),
    "gemini by openai": (lambda keys: gemini(keys, "by-openai"), "MAX_TOKENS"),
    "converse by openai": (lambda keys: converse(keys, "by-openai"), "max_tokens"),
    "ollama by openai": (lambda keys: ollama(keys, "by-openai"), "length"),
}
REFUSED = (openai.RateLimitError, anthropic.RateLimitError, GeminiError, ClientError, AssertionError)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("measure", ["tokens", "cost"])
def test_a_stream_ends_at_its_limit(keys: Keys, case: str, measure: str) -> None:
    call, reason = CASES[case]
    amount = AMOUNT if measure == "tokens" else AMOUNT * 10_000
    id_ = limit(keys.proxy, measure, amount, reserve=STEP)
    since = keys.proxy.last_id()
    said, told = call(keys)
    [row] = keys.proxy.settled(since)
    assert (said, row["outcome"], row["finish_reason"]) == (reason, "ok", "length")
    assert told in (None, row["output_tokens"])
    what = "use 400 tokens" if measure == "tokens" else "spend $0.0040"
    assert f"stopped at the limit: project demo may {what} in total (limit {id_})" in row["warnings"]
    assert keys.proxy.query("SELECT * FROM violations WHERE request_id = ?", row["id"]) == []
    used = row["input_tokens"] + row["output_tokens"] if measure == "tokens" else row["cost_nanos"]
    assert counted(keys.proxy, id_) == (used, 0)
    assert amount * 0.8 < used <= amount * 1.02
    with pytest.raises(REFUSED, match=what.replace("$", "[$]")):
        call(keys)


def test_room_is_taken_step_by_step(keys: Keys) -> None:
    """Where there is enough of it, the stream ends by itself."""
    id_ = limit(keys.proxy, "tokens", 10_000, reserve=STEP)
    since = keys.proxy.last_id()
    said, told = chat(keys)
    assert (said, told) == ("length", MAX)
    [row] = keys.proxy.settled(since)
    assert (row["usage_source"], row["warnings"]) == ("provider", "")
    assert counted(keys.proxy, id_) == (row["input_tokens"] + MAX, 0)


# --- a provider that would go on for ever


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    bases = {"openai": server.url, "anthropic": server.url}
    with proxied(tmp_path_factory.mktemp("endless"), bases, config=PRICES) as running:
        yield running


@pytest.fixture
def limited(proxy: Proxied, server: Upstream) -> Iterator[Proxied]:
    """The same proxy, without the limits and manners of others' tests."""
    server.requests.clear()
    yield proxy
    with proxy.control() as control:
        for record in control.limits.list():
            control.limits.remove(record.id)
        control.projects.change("demo", hangup="cut")


def endless(server: Upstream, *first: bytes, word: bytes = b"") -> tuple[Gate, Gate]:
    """Streams for ever once the first gate is open; the second one opens when the provider is hung up on."""
    go, gone = server.gate(), server.gate()

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(*first)
        await go.passed()
        try:
            while True:
                await answer.send(word or wire.chat_chunk(" upon"))
        finally:
            gone.open()

    server.script = script
    return go, gone


def test_the_provider_is_told(server: Upstream, limited: Proxied) -> None:
    """And the client's connection is as good as before."""
    id_ = limit(limited, "tokens", 300, reserve=20)
    go, gone = endless(server, wire.chat_chunk("Once"))
    go.open()
    connection = limited.connection()
    for status in (200, 429):
        body = json.dumps({**wire.CHAT_STREAM_ASKED, "max_tokens": 5000}).encode()
        connection.request("POST", wire.COMPLETIONS, body, {**limited.headers, "accept-encoding": "gzip"})
        response = connection.getresponse()
        said = response.read()
        assert response.status == status
        if status == 200:
            assert said.endswith(wire.DONE)
            gone.wait("the provider is hung up on")
            assert server.last.header("accept-encoding") == "identity"
    connection.close()
    [row] = [row for row in limited.settled() if row["outcome"] == "ok"][-1:]
    assert counted(limited, id_) == (row["input_tokens"] + row["output_tokens"], 0)


def test_a_limit_that_is_lowered_meanwhile(server: Upstream, limited: Proxied) -> None:
    limit(limited, "tokens", 10**6, reserve=20)
    go, gone = endless(server, wire.chat_chunk("Once"))
    since = limited.last_id()
    with limited.call(wire.COMPLETIONS, {**wire.CHAT_STREAM, "max_tokens": 50_000}) as call:
        call.take(10)
        limit(limited, "tokens", 200, reserve=20)
        go.open()
        said = call.read()
    assert b'"finish_reason":"length"' in said
    gone.wait("the provider is hung up on")
    [row] = limited.settled(since)
    assert row["output_tokens"] < 200
    assert "may use 200 tokens" in row["warnings"]


def test_an_input_that_was_more_than_it_seemed(server: Upstream, limited: Proxied) -> None:
    """No limit says to reserve less: the worst case was not bad enough."""
    id_ = limit(limited, "tokens", 200)
    start = wire.message_start().replace(b'"input_tokens":20', b'"input_tokens":160')
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    first = (start, wire.event(block, "content_block_start"))
    go, gone = endless(server, *first, word=wire.message_delta(" upon"))
    go.open()
    since = limited.last_id()
    with limited.call(wire.ANTHROPIC, wire.MESSAGES_STREAM) as call:
        said = call.read()
    assert b'"stop_reason":"max_tokens"' in said
    gone.wait("the provider is hung up on")
    [row] = limited.settled(since)
    assert (row["input_tokens"], row["output_tokens"]) == (165, 35)
    assert counted(limited, id_) == (200, 0)


def test_as_long_as_was_asked_for_is_no_reason(server: Upstream, limited: Proxied) -> None:
    """The provider counts in tokens of its own: its word is taken for what the client allowed."""
    id_ = limit(limited, "tokens", 40)

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.stream(*wire.chat_stream())

    server.script = script
    since = limited.last_id()
    with limited.call(wire.COMPLETIONS, {**wire.CHAT_STREAM_ASKED, "max_tokens": 5}) as call:
        assert call.read() == b"".join(wire.chat_stream())
    [row] = limited.settled(since)
    assert (row["usage_source"], row["warnings"]) == ("provider", "")
    assert counted(limited, id_) == (25, 0)


def test_nothing_is_different_without_a_hard_limit(server: Upstream, limited: Proxied) -> None:
    limit(limited, "tokens", 10, soft=True, reserve=5)
    limit(limited, "requests", 10)

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.stream(*wire.chat_stream())

    server.script = script
    with limited.call(wire.COMPLETIONS, wire.CHAT_STREAM_ASKED, {"accept-encoding": "gzip"}) as call:
        assert call.read() == b"".join(wire.chat_stream())
    assert server.last.header("accept-encoding") == "gzip"


def test_the_limit_ends_what_is_read_without_a_client(server: Upstream, limited: Proxied) -> None:
    with limited.control() as control:
        control.projects.change("demo", hangup="drain")
    id_ = limit(limited, "tokens", 300, reserve=20)
    go, gone = endless(server, wire.chat_chunk("Once"))
    since = limited.last_id()
    with limited.call(wire.COMPLETIONS, {**wire.CHAT_STREAM, "max_tokens": 50_000}) as call:
        call.take(10)
    limited.metrics()
    go.open()
    gone.wait("the provider is hung up on")
    [row] = limited.settled(since)
    assert row["outcome"] == "client_gone"
    assert row["error_message"].endswith("stopped at a limit")
    assert counted(limited, id_) == (row["input_tokens"] + row["output_tokens"], 0)


def test_one_of_two_over_http2(server: Upstream, limited: Proxied) -> None:
    """Their connection is shared; only one of the models has a limit."""
    limit(limited, "tokens", 300, scope="model", name="gpt-4o-mini", reserve=20)
    gates = {name: server.gate() for name in ("gpt-4o-mini", "gpt-4o")}

    async def script(request: Request, answer: Answer) -> None:
        model = json.loads(await request.read())["model"]
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(wire.chat_chunk("Once"))
        await gates[model].passed()
        if model == "gpt-4o":
            await answer.send(*wire.chat_stream())
            return await answer.end()
        while True:
            await answer.send(wire.chat_chunk(" upon"))

    server.script = script
    with failover.client(limited, "api.openai.com") as client:
        head = {"authorization": f"Bearer {limited.token}"}
        calls = {}
        for model in gates:
            body = {**wire.CHAT_STREAM_ASKED, "model": model, "max_tokens": 50_000}
            calls[model] = client.post("/v1/chat/completions", json.dumps(body).encode(), head)
        client.until(lambda: all(call.body for call in calls.values()))
        gates["gpt-4o-mini"].open()
        client.until(lambda: calls["gpt-4o-mini"].ended)
        assert b'"finish_reason":"length"' in calls["gpt-4o-mini"].body
        assert calls["gpt-4o-mini"].body.endswith(wire.DONE)
        gates["gpt-4o"].open()
        client.until(lambda: calls["gpt-4o"].ended)
        assert calls["gpt-4o"].body == wire.chat_chunk("Once") + b"".join(wire.chat_stream())


def test_many_at_once_share_what_there_is(server: Upstream, limited: Proxied) -> None:
    """Each takes its steps; together they take no more than there is, and nothing stays reserved."""
    id_ = limit(limited, "tokens", 2000, reserve=20)
    go, _ = endless(server, wire.chat_chunk("Once"))
    since = limited.last_id()
    calls = [limited.call(wire.COMPLETIONS, {**wire.CHAT_STREAM, "max_tokens": 50_000}) for _ in range(8)]
    assert {call.status for call in calls} == {200}
    go.open()
    for call in calls:
        with call:
            assert call.read().endswith(wire.DONE)
    rows = limited.settled(since)
    assert {(row["outcome"], row["finish_reason"]) for row in rows} == {("ok", "length")}
    used, reserved = counted(limited, id_)
    assert reserved == 0
    assert 1600 < used <= 2040
