"""The response cache through a real proxy: what is asked again is answered again, and costs nothing."""

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import anthropic
import openai
import pytest

from llm_intercept.policy.limits import Limit
from llm_intercept.store.cache import Which, opened
from tests.live import wire
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import Call, Proxied, proxied
from tests.live.stack import wait_for

CONFIG = """
[cache]
mode = "on"

[models.aliases]
"claude-sonnet-5" = "openai/gpt-4o-mini"

[[prices]]
model = "gpt-4o-mini*"
input = 1
output = 10
"""
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say it."}]}
VECTOR = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}


async def answer_all(request: Request, answer: Answer) -> None:
    body = json.loads(await request.read())
    if request.target.endswith("/embeddings"):
        await answer.whole(200, json.dumps(VECTOR).encode())
    elif "/messages" in request.target:
        await answer.whole(200, wire.message_answer())
    elif body.get("stream"):
        usage = (body.get("stream_options") or {}).get("include_usage")
        await answer.stream(*wire.chat_stream(usage=bool(usage)))
    else:
        await answer.whole(200, wire.chat_answer())


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream(answer_all) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    bases = {"openai": server.url, "anthropic": server.url}
    with proxied(tmp_path_factory.mktemp("cache"), bases, config=CONFIG) as running:
        yield running


@pytest.fixture(autouse=True)
def _reset(server: Upstream) -> None:
    server.script = answer_all
    server.requests.clear()


def chat(proxy: Proxied, text: str, headers: Mapping[str, str] | None = None, **more: Any) -> Call:
    body = {**CHAT, "messages": [{"role": "user", "content": text}], **more}
    return proxy.call("/v1/chat/completions", body, headers)


def told(proxy: Proxied, text: str, headers: Mapping[str, str] | None = None, **more: Any) -> str:
    """What the answer says of the cache."""
    with chat(proxy, text, headers, **more) as call:
        assert call.status == 200
        call.read()
        return str(call.headers["x-cache"])


def test_asked_twice(server: Upstream, proxy: Proxied) -> None:
    with chat(proxy, "twice") as first:
        said = first.read()
    with chat(proxy, "twice") as again:
        assert again.read() == said
    assert (first.headers["x-cache"], again.headers["x-cache"]) == ("MISS", "HIT")
    assert again.headers["cache-status"].startswith("llm-intercept; hit; ttl=")
    assert len(server.requests) == 1
    stored, hit = proxy.row(first), proxy.row(again)
    assert (stored["cache"], hit["cache"], hit["outcome"], hit["status"]) == ("stored", "hit", "ok", 200)
    assert (hit["input_tokens"], hit["output_tokens"], hit["cost_nanos"]) == (0, 0, 0)
    assert hit["saved_nanos"] == stored["cost_nanos"] > 0
    assert hit["saved_tokens"] == stored["input_tokens"] + stored["output_tokens"]
    assert (hit["attempts"], hit["credential"], hit["finish_reason"]) == (0, "", stored["finish_reason"])


@pytest.mark.parametrize("how", [{}, {"stream_options": {"include_usage": True}}])
def test_a_stream(server: Upstream, proxy: Proxied, how: dict[str, Any]) -> None:
    text = f"stream {len(how)}"
    with chat(proxy, text, stream=True, **how) as first:
        said = first.read()
    with chat(proxy, text, stream=True, **how) as again:
        assert again.read() == said
    assert again.headers["content-type"] == "text/event-stream"
    assert again.headers["x-cache"] == "HIT"
    assert (b'"usage":{' in said) is bool(how)
    assert len(server.requests) == 1


def test_a_stream_and_a_whole_answer_are_one(server: Upstream, proxy: Proxied) -> None:
    client = openai.OpenAI(api_key=proxy.token, base_url=f"{proxy.url}/v1", max_retries=0)
    asked: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "both"}]}
    whole = client.chat.completions.create(**asked)
    streamed = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    parts = list(streamed)
    text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
    assert text == whole.choices[0].message.content
    assert parts[-1].usage is not None
    assert whole.usage is not None
    assert parts[-1].usage.total_tokens == whole.usage.total_tokens
    with chat(proxy, "other", stream=True) as call:  # to its very end, for which SDKs do not wait
        call.read()
    again = client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "other"}]
    )
    assert again.choices[0].message.content == "".join(wire.WORDS)
    assert len(server.requests) == 2


def test_another_dialect(server: Upstream, proxy: Proxied) -> None:
    """A client of Anthropic's that is led to the same model, asking the same."""
    client = anthropic.Anthropic(api_key=proxy.token, base_url=proxy.url, max_retries=0)
    asked: Any = {
        "model": "claude-sonnet-5", "max_tokens": 50, "messages": [{"role": "user", "content": "abroad"}]
    }  # fmt: skip
    first = client.messages.create(**asked)
    second = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        third = stream.get_final_message()
    assert len(server.requests) == 1
    assert [m.content[0].text for m in (second, third)] == [first.content[0].text] * 2  # type: ignore[union-attr]
    assert third.usage.output_tokens == first.usage.output_tokens


def test_vectors_do_not_collide(server: Upstream, proxy: Proxied) -> None:
    for text in ("one", "two", "one"):
        with proxy.call("/v1/embeddings", {"model": "text-embedding-3-small", "input": text}) as call:
            assert call.status == 200
            call.read()
    assert [json.loads(r.body)["input"] for r in server.requests] == ["one", "two"]


def test_who_asks_does_not_matter(server: Upstream, proxy: Proxied) -> None:
    assert told(proxy, "who", user="a", metadata={"trace": "1"}) == "MISS"
    assert told(proxy, "who", user="b") == "HIT"
    assert told(proxy, "who", temperature=1) == "MISS"


def test_what_the_client_wants(server: Upstream, proxy: Proxied) -> None:
    assert told(proxy, "wish", {"cache-control": "no-store"}) == "BYPASS"
    with chat(proxy, "wish", {"cache-control": "only-if-cached"}) as none:
        assert none.status == 504
        assert json.loads(none.read())["error"]["code"] == "not_in_cache"
    assert told(proxy, "wish") == "MISS"
    assert told(proxy, "wish", {"cache-control": "no-cache"}) == "MISS"
    assert told(proxy, "wish", {"cache-control": "only-if-cached"}) == "HIT"
    with chat(proxy, "wish") as call:
        tag = call.headers["etag"]
        call.read()
    with chat(proxy, "wish", {"if-none-match": tag}) as same:
        assert (same.status, same.read()) == (304, b"")
    assert len(server.requests) == 3


async def long_answer(request: Request, answer: Answer) -> None:
    await request.read()
    await answer.whole(200, wire.chat_answer().replace(b'"stop"', b'"length"'))


async def cut_stream(request: Request, answer: Answer) -> None:
    await request.read()
    await answer.head(200, [("content-type", "text/event-stream")])
    await answer.send(*list(wire.chat_stream())[:2])
    answer.cut()


async def failing(request: Request, answer: Answer) -> None:
    await request.read()
    await answer.whole(400, b'{"error":{"message":"no","type":"invalid_request_error"}}')


@pytest.mark.parametrize("script", [long_answer, cut_stream, failing])
def test_not_stored(server: Upstream, proxy: Proxied, script: Any) -> None:
    server.script = script
    for _ in range(2):
        with chat(proxy, f"never {script.__name__}", stream=script is cut_stream) as call:
            call.read()
            assert call.headers["x-cache"] == "MISS"
    assert len(server.requests) == 2


def test_hits_take_nothing_of_limits(server: Upstream, proxy: Proxied) -> None:
    with proxy.control() as control:
        token = control.tokens.create("demo", "counted", max_requests=1).text
        limited = Limit.model_validate(
            {"scope": "token", "name": "demo/counted", "measure": "requests", "amount": 1, "per": "total"}
        )
        control.limits.set(limited)
    mine = {"authorization": f"Bearer {token}"}
    assert told(proxy, "limited", mine) == "MISS"
    assert [told(proxy, "limited", mine) for _ in range(3)] == ["HIT"] * 3
    with chat(proxy, "something else", mine) as refused:
        assert refused.status == 429


def test_projects_do_not_share(server: Upstream, proxy: Proxied) -> None:
    with proxy.control() as control:
        control.projects.create("apart")
        token = control.tokens.create("apart", "theirs").text
        control.projects.create("never", cache="off")
        off = control.tokens.create("never", "theirs").text
    assert told(proxy, "shared?") == "MISS"
    assert told(proxy, "shared?", {"authorization": f"Bearer {token}"}) == "MISS"
    for _ in range(2):
        with chat(proxy, "shared?", {"authorization": f"Bearer {off}"}) as call:
            call.read()
            assert call.headers["x-cache"] is None
    assert len(server.requests) == 4


def test_servers_that_need_no_key_are_everybodys(proxy: Proxied) -> None:
    """The simulator, say: reached by its model's name, at an endpoint that looks like OpenAI's."""
    body = json.dumps({"model": "sim/echo", "messages": [{"role": "user", "content": "nobody"}]})
    with closing(proxy.connection()) as connection:
        for said in ("MISS", "HIT"):
            connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, answer.headers["x-cache"]) == (200, said)


def test_revoked_tokens_get_nothing(server: Upstream, proxy: Proxied) -> None:
    with proxy.control() as control:
        made = control.tokens.create("demo", "leaver")
    mine = {"authorization": f"Bearer {made.text}"}
    assert told(proxy, "leaving", mine) == "MISS"
    with proxy.control() as control:
        control.tokens.revoke(made.token.id)
    with chat(proxy, "leaving", mine) as refused:
        assert refused.status == 401


def test_restarted(server: Upstream, proxy: Proxied) -> None:
    """What was stored a moment ago is there for the next process."""
    with chat(proxy, "before") as first:
        first.read()
    with opened(proxy.home / "cache.db") as store:
        wait_for(lambda: first.id in {e.request_id for e in store.entries(Which(), 9)}, "it is on the disk")
    proxy.processes["proxy"].stop(signal.SIGKILL)
    proxy.start_proxy()
    assert told(proxy, "before") == "HIT"
