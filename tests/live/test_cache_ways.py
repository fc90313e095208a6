"""The cache beside everything else: codings, sizes, people who hang up, other targets, limits, capture."""

import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import anthropic
import brotli
import pytest
from pydantic import SecretStr

from llm_intercept.policy.allow import Policy
from llm_intercept.policy.limits import Limit
from llm_intercept.policy.routing import Route
from llm_intercept.store.bodies import read_bodies
from llm_intercept.store.cache import Entry, Which, opened
from llm_intercept.store.migrate import connect
from tests.live import wire
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import Call, Proxied, proxied
from tests.live.stack import free_port, wait_for

CONFIG = """
[cache]
mode = "on"
max_object = 400000

[capture]
bodies = "all"
redact = ["SECRET-[0-9]{4}"]

[retries]
backoff = 0.001

[models.aliases]
"translated" = "anthropic/claude-sonnet-5"
"""
SSE = "text/event-stream"


async def answer_all(request: Request, answer: Answer) -> None:
    body = json.loads(await request.read())
    if "messages" in request.target:
        stream, whole = wire.message_stream(), wire.message_answer()
    else:
        stream, whole = wire.chat_stream(), wire.chat_answer()
    if body.get("stream"):
        await answer.stream(*stream)
    else:
        await answer.whole(200, whole)


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream(answer_all) as running:
        yield running


@pytest.fixture(scope="module")
def other() -> Iterator[Upstream]:
    with upstream(answer_all) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Upstream, other: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    bases = {"openai": server.url, "anthropic": server.url, "mistral": other.url}
    with proxied(tmp_path_factory.mktemp("ways"), bases, config=CONFIG) as running:
        yield running


@pytest.fixture(autouse=True)
def _reset(server: Upstream, other: Upstream) -> None:
    for each in (server, other):
        each.script = answer_all
        each.requests.clear()


def chat(proxy: Proxied, text: str, headers: Mapping[str, str] | None = None, **more: Any) -> Call:
    body = {**wire.CHAT, "messages": [{"role": "user", "content": text}], **more}
    return proxy.call("/v1/chat/completions", body, headers)


def told(
    proxy: Proxied, text: str, headers: Mapping[str, str] | None = None, **more: Any
) -> tuple[str, bytes]:
    """What the answer says of the cache, and what it says."""
    with chat(proxy, text, headers, **more) as call:
        assert call.status == 200
        return str(call.headers["x-cache"]), call.read()


def kept(proxy: Proxied) -> list[Entry]:
    with opened(proxy.home / "cache.db") as store:
        return store.entries(Which(), 1000)


# --- what the provider sends


def packed(coding: str) -> Any:
    pack = gzip.compress if coding == "gzip" else brotli.compress

    async def script(request: Request, answer: Answer) -> None:
        stream = json.loads(await request.read()).get("stream")
        body = pack(b"".join(wire.chat_stream()) if stream else wire.chat_answer())
        kind = SSE if stream else "application/json"
        await answer.head(200, [("content-type", kind), ("content-encoding", coding)])
        await answer.send(body[:20], body[20:])
        await answer.end()

    return script


@pytest.mark.parametrize("coding", ["gzip", "br"])
@pytest.mark.parametrize("stream", [False, True])
def test_compressed_answers_are_given_plain(
    server: Upstream, proxy: Proxied, stream: bool, coding: str
) -> None:
    server.script = packed(coding)
    asks = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    text, unpack = f"packed {stream} {coding}", gzip.decompress if coding == "gzip" else brotli.decompress
    with chat(proxy, text, {"accept-encoding": coding}, **asks) as first:
        said = unpack(first.read())
    with chat(proxy, text, **asks) as again:
        assert again.read() == said
        assert again.headers["content-encoding"] is None
    assert (again.headers["x-cache"], len(server.requests)) == ("HIT", 1)
    wait_for(lambda: (found := kept(proxy)) and found[0].size == len(said), "it is stored as it reads")


def saying(text: str, *, framed: bool = True) -> Any:
    async def script(request: Request, answer: Answer) -> None:
        stream = json.loads(await request.read()).get("stream")
        if stream:
            pieces = [wire.chat_chunk(text[at : at + 1000]) for at in range(0, len(text), 1000)]
            await answer.stream(*pieces, wire.chat_chunk("", "stop"), wire.chat_usage(), wire.DONE)
        elif framed:
            await answer.whole(200, wire.chat_answer(text))
        else:
            await answer.stream(wire.chat_answer(text), content_type="application/json")

    return script


@pytest.mark.parametrize("how", ["stream", "counted", "chunked"])
@pytest.mark.parametrize(("size", "cache"), [(250_000, "stored"), (450_000, "miss")])
def test_large_answers(server: Upstream, proxy: Proxied, how: str, size: int, cache: str) -> None:
    server.script = saying("word " * (size // 5), framed=how == "counted")
    more = {"stream": True, "stream_options": {"include_usage": True}} if how == "stream" else {}
    text = f"large {how} {size}"
    with chat(proxy, text, **more) as first:
        said = first.read()
    row = proxy.row(first)
    assert (row["cache"], row["usage_source"], row["outcome"]) == (cache, "provider", "ok")
    expected = "HIT" if cache == "stored" else "MISS"
    assert told(proxy, text, **more) == (expected, said)


# --- what is not stored


def keys(proxy: Proxied) -> dict[str, str]:
    return {
        "the stored key": "sk-real-openai-0123456789abcdefghij",
        "the token": proxy.token,
        "somebody's key": "AKIAIOSFODNN7EXAMPLE",
        "what settings take out": "SECRET-1234",
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("which", ["the stored key", "the token", "somebody's key", "what settings take out"])
def test_answers_that_tell_a_key(server: Upstream, proxy: Proxied, which: str, stream: bool) -> None:
    """They reach the client, as ever, and nobody else: not even where each letter comes by itself."""
    key = keys(proxy)[which]

    async def echo(request: Request, answer: Answer) -> None:
        await request.read()
        if stream:
            letters = [wire.chat_chunk(letter) for letter in f"It is {key}!"]
            await answer.stream(*letters, wire.chat_chunk("", "stop"), wire.chat_usage(), wire.DONE)
        else:
            await answer.whole(200, wire.chat_answer(f"It is {key}!"))

    server.script = echo
    since = [entry.id for entry in kept(proxy)]
    for _ in range(2):
        cache, _ = told(proxy, f"tell {which}", stream=stream)
        assert cache == "MISS"
    proxy.settled()
    assert told(proxy, f"something else after {which} {stream}")[0] == "MISS"
    wait_for(lambda: told(proxy, f"something else after {which} {stream}")[0] == "MISS", "asked")
    assert [entry.id for entry in kept(proxy)] == since
    assert len(server.requests) >= 3


async def many(request: Request, answer: Answer) -> None:
    """The first of two answers ends in mid-sentence."""
    await request.read()
    choices = [json.loads(wire.chat_answer())["choices"][0] | {"index": n} for n in (0, 1)]
    choices[0]["finish_reason"] = "length"
    await answer.whole(200, json.dumps({**json.loads(wire.chat_answer()), "choices": choices}).encode())


async def unended(request: Request, answer: Answer) -> None:
    await request.read()
    await answer.stream(*wire.chat_stream()[:4])


async def half_an_error(request: Request, answer: Answer) -> None:
    await request.read()
    await answer.stream(
        *wire.chat_stream()[:4], b'data: {"error":{"message":"no","type":"server_error"}}\n\n'
    )


@pytest.mark.parametrize("script", [many, unended, half_an_error])
def test_answers_that_are_not_whole(server: Upstream, proxy: Proxied, script: Any) -> None:
    server.script = script
    for _ in range(2):
        with chat(proxy, script.__name__, stream=script is not many, n=2) as call:
            call.read()
            assert call.headers["x-cache"] == "MISS"
        assert proxy.row(call)["cache"] == "miss"


@pytest.mark.parametrize("hangup", ["cut", "drain"])
def test_a_client_that_goes_away(server: Upstream, proxy: Proxied, hangup: str) -> None:
    """An answer that nobody has got is not stored, even where it was read to its end."""
    gate = server.gate()

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.head(200, [("content-type", SSE)])
        await answer.send(*wire.chat_stream()[:4])
        await gate.passed()
        await answer.send(*wire.chat_stream()[4:])
        await answer.end()

    with proxy.control() as control:
        control.projects.change("demo", hangup=hangup)
    server.script = script
    with chat(proxy, f"gone {hangup}", stream=True) as call:
        call.take(10)
    gate.open()
    row = proxy.row(call)
    assert (row["outcome"], row["cache"]) == ("client_gone", "miss")
    server.script = answer_all
    assert told(proxy, f"gone {hangup}", stream=True)[0] == "MISS"
    assert told(proxy, f"gone {hangup}", stream=True)[0] == "HIT"
    with proxy.control() as control:
        control.projects.change("demo", hangup="cut")


# --- other targets


def test_the_answer_of_another_target_is_its_own(server: Upstream, other: Upstream, proxy: Proxied) -> None:
    failing = [True]

    async def script(request: Request, answer: Answer) -> None:
        if failing[0]:
            await request.read()
            await answer.whole(503, b'{"error":{"message":"busy"}}')
        else:
            await answer_all(request, answer)

    async def second(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.whole(200, wire.chat_answer("by the other"))

    targets = ["openai/gpt-4o-mini", "mistral/mistral-small-latest"]
    document = {"name": "two", "match": {"models": ["two"]}, "targets": targets}
    with proxy.control() as control:
        control.routes.set(Route.model_validate(document))
    server.script, other.script = script, second
    with chat(proxy, "failover", model="two") as call:
        assert b"by the other" in call.read()
    assert proxy.row(call)["cache"] == "stored"
    assert kept(proxy)[0].provider == "mistral"
    failing[0] = False
    cache, said = told(proxy, "failover", model="two")
    assert cache == "MISS"
    assert b"by the other" not in said
    assert told(proxy, "failover", model="two")[0] == "HIT"
    assert told(proxy, "failover", model="mistral/mistral-small-latest")[0] == "HIT"
    assert len(other.requests) == 1


def test_a_second_try_at_the_same_target(server: Upstream, proxy: Proxied) -> None:
    tries: list[int] = []

    async def script(request: Request, answer: Answer) -> None:
        tries.append(1)
        if len(tries) == 1:
            await request.read()
            await answer.whole(503, b'{"error":{"message":"busy"}}')
        else:
            await answer_all(request, answer)

    server.script = script
    with chat(proxy, "again") as call:
        call.read()
    row = proxy.row(call)
    assert (row["cache"], row["attempts"]) == ("stored", 2)
    assert told(proxy, "again")[0] == "HIT"


def test_keys_of_one_host_share(server: Upstream, proxy: Proxied) -> None:
    """Whichever of them the pool picks."""
    with proxy.control() as control:
        for name in ("second", "third"):
            control.credentials.add("openai", SecretStr(f"sk-{name}-0123456789abcdefgh"), name=name)
    assert told(proxy, "pooled")[0] == "MISS"
    assert [told(proxy, "pooled")[0] for _ in range(6)] == ["HIT"] * 6
    assert len(server.requests) == 1


# --- who asks


def test_own_keys_never_share(server: Upstream, proxy: Proxied) -> None:
    mine, theirs = ({"authorization": f"Bearer sk-own-{n}-0123456789abcdef"} for n in "ab")
    found = [told(proxy, "own", headers)[0] for headers in (mine, mine, theirs, theirs)]
    assert found == ["MISS", "HIT", "MISS", "HIT"]
    assert told(proxy, "own")[0] == "MISS"
    # One token for the way through the proxy, two keys for the provider.
    tunnel = {"proxy-authorization": f"Bearer {proxy.token}"}
    found = [told(proxy, "own too", {**headers, **tunnel})[0] for headers in (mine, mine, theirs)]
    assert found == ["MISS", "HIT", "MISS"]


def test_keys_that_only_the_provider_can_check(server: Upstream, proxy: Proxied) -> None:
    """Whose they are is not known here: neither a signature's nor one that is in no place known."""
    scope = "20261120/us-east-1/bedrock/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential=AKIAOWNOWNOWNOWN0001/{scope}, SignedHeaders=host, Signature=00"
    for headers in ({"authorization": signed}, {"authorization": "Basic dXNlcjpwYXNzd29yZA=="}):
        for _ in range(2):
            with chat(proxy, "unknown", headers) as call:
                call.read()
                assert call.headers["x-cache"] == "BYPASS"
    assert len(server.requests) == 4


def test_those_who_may_not_ask_get_no_hit(server: Upstream, proxy: Proxied) -> None:
    assert told(proxy, "forbidden")[0] == "MISS"
    with proxy.control() as control:
        narrow = control.tokens.create("demo", "narrow", policy=Policy(models=("claude-*",))).text
        expired = control.tokens.create("demo", "late")
        control.tokens.suspend(expired.token.id)
    with chat(proxy, "forbidden", {"authorization": f"Bearer {narrow}"}) as call:
        assert call.status == 403
        assert call.headers["x-cache"] is None
    with chat(proxy, "forbidden", {"authorization": f"Bearer {expired.text}"}) as call:
        assert call.status == 401
    assert len(server.requests) == 1


# --- beside others


def test_bodies_of_a_hit_are_captured(server: Upstream, proxy: Proxied) -> None:
    told(proxy, "captured", stream=True)
    with chat(proxy, "captured", stream=True) as call:
        said = call.read()
    row = proxy.row(call)
    assert row["cache"] == "hit"
    path = proxy.home / "bodies.db"
    asked, answered = wait_for(lambda: len(b := read_bodies(path, row["id"])) == 2 and b, "two bodies")
    assert "captured" in asked.text
    assert (answered.content_type, answered.text) == (SSE, said.decode())


def test_limits_are_told_of_but_not_used(server: Upstream, proxy: Proxied) -> None:
    with proxy.control() as control:
        token = control.tokens.create("demo", "told").text
        limit = {"scope": "token", "name": "demo/told", "measure": "requests", "amount": 9, "per": "minute"}
        control.limits.set(Limit.model_validate(limit))
    mine = {"authorization": f"Bearer {token}"}
    with chat(proxy, "allowance", mine, stream=True) as first:
        first.read()
    left = first.headers["x-ratelimit-remaining-requests"]
    assert left == "8"
    for _ in range(3):
        with chat(proxy, "allowance", mine, stream=True) as hit:
            hit.read()
            assert hit.headers["x-cache"] == "HIT"
            assert hit.headers["x-ratelimit-remaining-requests"] in (None, left)
    with chat(proxy, "allowance two", mine) as second:
        second.read()
    assert second.headers["x-ratelimit-remaining-requests"] == "7"


def test_a_stream_with_tools_for_anthropic_s_sdk(server: Upstream, proxy: Proxied) -> None:
    use = {"type": "tool_use", "id": "toolu_01", "name": "weather", "input": {}}
    pieces = [
        wire.message_start(),
        wire.event({"type": "content_block_start", "index": 0, "content_block": use}, "content_block_start"),
        *(
            wire.event(
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "input_json_delta", "partial_json": p},
                },
                "content_block_delta",
            )
            for p in ('{"city": ', '"Berlin"}')
        ),
        wire.event({"type": "content_block_stop", "index": 0}, "content_block_stop"),
        wire.event(
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
            "message_delta",
        ),
        wire.event({"type": "message_stop"}, "message_stop"),
    ]

    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.stream(*pieces)

    server.script = script
    tool: Any = {
        "name": "weather",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    asked: Any = {**wire.MESSAGES, "tools": [tool]}
    with closing(anthropic.Anthropic(api_key=proxy.token, base_url=proxy.url, max_retries=0)) as client:
        found = []
        for _ in range(2):
            with client.messages.stream(**asked) as stream:
                found.append(stream.get_final_message())
        found.append(client.messages.create(**asked))
    for message in found:
        block: Any = message.content[0]
        assert (block.name, block.input, message.stop_reason) == ("weather", {"city": "Berlin"}, "tool_use")
    assert [m.usage.output_tokens for m in found] == [9, 9, 9]
    assert len(server.requests) == 1


def test_translated_hits_in_both_forms(server: Upstream, proxy: Proxied) -> None:
    first = told(proxy, "abroad", model="translated")
    again = told(proxy, "abroad", model="translated")
    assert (first[0], again[0]) == ("MISS", "HIT")
    words = [json.loads(said)["choices"][0]["message"]["content"] for _, said in (first, again)]
    assert words[0] == words[1]
    cache, streamed = told(proxy, "abroad", model="translated", stream=True)
    assert cache == "HIT"
    assert b"Once upon a time" in streamed
    assert streamed.rstrip().endswith(b"[DONE]")
    assert len(server.requests) == 1


def test_two_proxies_share_a_home(server: Upstream, proxy: Proxied) -> None:
    second = Proxied(proxy.home, proxy.config, port=free_port(), token=proxy.token)
    second.start_proxy()
    try:
        assert told(proxy, "between")[0] == "MISS"
        proxy.settled()
        wait_for(lambda: told(second, "between")[0] == "HIT", "the second knows it")
        assert told(second, "the other way")[0] == "MISS"
        wait_for(lambda: told(proxy, "the other way")[0] == "HIT", "the first knows it")
    finally:
        second.stop()


def test_a_damaged_answer_is_asked_for_again(server: Upstream, proxy: Proxied) -> None:
    assert told(proxy, "damaged")[0] == "MISS"
    proxy.settled()
    wait_for(lambda: told(proxy, "damaged")[0] == "HIT" and kept(proxy)[0].hits, "it is on the disk")
    with closing(connect(proxy.home / "cache.db")) as db:
        db.execute("UPDATE answers SET body = x'00' WHERE id = (SELECT max(id) FROM answers)")
    assert told(proxy, "damaged")[0] == "MISS"
    assert told(proxy, "damaged")[0] == "HIT"
    assert len(server.requests) == 2


def test_a_file_that_is_no_database_costs_its_answers_only(server: Upstream, tmp_path: Path) -> None:
    """What is logged as an error while mitmproxy starts would end it."""
    (tmp_path / "cache.db").write_bytes(b"no database" * 1000)
    with proxied(tmp_path, {"openai": server.url}, config=CONFIG) as alone:
        for _ in range(2):
            with chat(alone, "no file") as call:
                assert (call.status, call.headers["x-cache"]) == (200, None)
        assert len(server.requests) == 2
