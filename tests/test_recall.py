"""Stored answers in the form and dialect of who asks now: the official SDKs find the same in them.

What was recorded of each dialect is stored, and asked for as a stream and whole.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from google.genai.errors import UnknownApiResponseError
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_intercept.exchange import Exchange
from llm_intercept.policy.cachecontrol import is_whole
from llm_intercept.policy.fingerprint import Asked, fingerprint
from llm_intercept.providers import Registry
from llm_intercept.recall import Recalled, reading, recall
from llm_intercept.store.cache import Stored
from llm_intercept.wire import codecs, lint
from llm_intercept.wire.codec import Untranslatable
from llm_intercept.wire.embeddings.translation import EmbeddingTranslation
from llm_intercept.wire.fold import fold
from llm_intercept.wire.framing.choose import choose
from llm_intercept.wire.ir import Answer, Failure, Thinking
from llm_intercept.wire.translation import Side, Translation
from tests.live import wire
from tests.store.test_cache import FACTS
from tests.test_router import an_exchange
from tests.wire.pair_laws import PAIRS, calls_of, read, text_of, translated, translation
from tests.wire.pair_oracles import Seen
from tests.wire.pair_sources import NAMES, Source, answered, answered_all, asked, context, read_stream

BYTES = Path(__file__).parent / "wire" / "bytes"
REGISTRY = Registry({})
recorded = pytest.mark.skipif(not answered_all("openai_chat", stream=True), reason="no recordings")
# Where a dialect is asked for, as a stream or not.
PATHS: dict[str, tuple[str, str, Callable[[bool], str]]] = {
    "openai_chat": ("openai", "chat", lambda stream: "/v1/chat/completions"),
    "openai_completions": ("openai", "completions", lambda stream: "/v1/completions"),
    "openai_responses": ("openai", "responses", lambda stream: "/v1/responses"),
    "anthropic": ("anthropic", "messages", lambda stream: "/v1/messages"),
    "gemini": ("gemini", "generate", lambda stream: f"/v1beta/models/m:{_GEMINI[stream]}"),
    "bedrock_converse": ("bedrock", "converse", lambda stream: f"/model/m/{_CONVERSE[stream]}"),
    "bedrock_invoke": ("bedrock", "invoke", lambda stream: f"/model/m/{_INVOKE[stream]}"),
    "ollama": ("ollama", "chat", lambda stream: "/api/chat"),
    "cohere": ("cohere", "chat", lambda stream: "/v2/chat"),
}
BODIES = {"openai_chat": wire.CHAT, "gemini": wire.GEMINI_BODY}
_GEMINI = ("generateContent", "streamGenerateContent?alt=sse")
_CONVERSE = ("converse", "converse-stream")
_INVOKE = ("invoke", "invoke-with-response-stream")


def asking(dialect: str, *, stream: bool, asks_usage: bool = False, array: bool = False) -> Exchange:
    provider, operation, path = PATHS[dialect]
    found = an_exchange("the-model")
    found.provider, found.dialect, found.operation = REGISTRY.providers[provider], dialect, operation
    found.path, found.stream, found.asks_usage = path(stream), stream, asks_usage
    if array:
        found.path = found.path.replace("?alt=sse", "")
    found.endpoint = REGISTRY.endpoint(found.provider, "POST", found.path)
    return found


def stored(dialect: str, body: bytes, content_type: str, *, stream: bool) -> Stored:
    return replace(
        FACTS,
        dialect=dialect,
        operation=PATHS[dialect][1],
        stream=stream,
        content_type=content_type,
        body=body,
        headers=(),
    )


def of(source: Source) -> Stored:
    body, kind = source.recording.body, source.recording.content_type
    return stored(source.dialect, body, kind, stream=source.streamed)


def ask(exchange: Exchange, answer: Stored, body: bytes = b"") -> Recalled | None:
    body = body or json.dumps(BODIES.get(exchange.dialect, {})).encode()
    return recall(exchange, answer, lambda: body, reading(answer), 1_700_000_000.0, lambda n: "x" * n)


def is_kept(answer: Stored) -> bool:
    """Whether it is one that is stored at all."""
    found = reading(answer)
    whole = is_whole(found.finish_reason, answer.body, generated=True)
    return found.complete and not found.error_type and whole


def faults(dialect: str, given: Recalled, *, asks_usage: bool) -> list[str]:
    """What the dialect's grammar has against a stream."""
    framing, watch = (
        choose(given.content_type, given.body),
        lint.watch("ours", dialect, asks_usage=asks_usage),
    )
    assert framing is not None
    assert watch is not None
    for frame in (*framing.feed(given.body), *framing.close()):
        watch.frame(*frame)
    watch.close()
    return [violation.sentence for violation in watch.violations]


def said(source: Source, content_type: str, body: bytes, *, stream: bool) -> Answer | Failure:
    """What the dialect's own codec finds."""
    if stream:
        return fold(read_stream(source.dialect, content_type, body))
    return codecs.get(source.dialect).decode_answer(json.loads(body))


def essence(answer: Answer) -> dict[str, object]:
    """What a client acts upon. Counters that are not there count nothing."""
    thoughts = "".join(part.text for part in answer.parts if isinstance(part, Thinking))
    usage = answer.usage
    counters = (usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning)
    return {
        "text": text_of(answer, ""),
        "calls": calls_of(answer),
        "thoughts": thoughts,
        "finish": answer.finish,
        "model": answer.model,
        "usage": [counter or 0 for counter in counters],
    }


# --- the other form, in the client's own dialect


@recorded
@pytest.mark.parametrize("dialect", NAMES)
@pytest.mark.parametrize("was_stream", [True, False], ids=["stream", "whole"])
def test_the_other_form(dialect: str, was_stream: bool) -> None:
    told, wrong = 0, []
    for source in answered_all(dialect, stream=was_stream):
        given = _told(source, asking(dialect, stream=not was_stream, asks_usage=True))
        if given is not None:
            told += 1
            wrong += [f"{source.name}: {fault}" for fault in _differences(source, given)]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:20])
    assert told or dialect in ("openai_completions", "ollama")


def _told(source: Source, exchange: Exchange) -> Recalled | None:
    answer = of(source)
    if not is_kept(answer):
        return None
    given = ask(exchange, answer, source.recording.request)
    if given is None:  # the only reasons that there are
        failed = isinstance(source.outcome(), Failure)
        assert failed or _asked_for_what_cannot_be(source) or not reading(answer).usage.known, source.name
    return given


def _asked_for_what_cannot_be(source: Source) -> bool:
    try:
        return (source.request().sampling.n or 1) > 1
    except (Untranslatable, AttributeError):  # no request was recorded
        return True


def _differences(source: Source, given: Recalled) -> Iterator[str]:
    before, stream = source.outcome(), not source.streamed
    after = said(source, given.content_type, given.body, stream=stream)
    if isinstance(before, Failure) or isinstance(after, Failure):
        yield f"{before} became {after}"
        return
    if source.dialect == "openai_responses" and before.id != after.id:
        yield "the id is another one: nothing can be asked about it later"
    wanted, found = essence(before), essence(after)
    yield from (f"{n}: {wanted[n]!r} became {found[n]!r}" for n in wanted if wanted[n] != found[n])
    if stream:
        yield from faults(source.dialect, given, asks_usage=True)


@recorded
@pytest.mark.parametrize("dialect", NAMES)
@pytest.mark.parametrize("was_stream", [True, False], ids=["stream", "whole"])
def test_official_sdks_can_read_it(dialect: str, was_stream: bool) -> None:
    """Those recordings that the SDK's own types take: gateways' bodies have members that none of them has."""
    for source in answered(dialect, stream=was_stream):
        given = _told(source, asking(dialect, stream=not was_stream, asks_usage=True))
        before = _by_the_sdk(source.dialect, source.recording.body, stream=was_stream)
        if given is None or before is None or "citations" in source.name or b"on_demand" in given.body:
            continue
        after = read(dialect, given.body, stream=not was_stream)
        assert (after.calls, after.model, after.error) == (before.calls, before.model, before.error), (
            source.name
        )
        assert after.text.endswith(before.text.rpartition("  ")[2]), source.name


def _by_the_sdk(dialect: str, body: bytes, *, stream: bool) -> Seen | None:
    try:
        return read(dialect, body, stream=stream)
    except (ValueError, AttributeError, RuntimeError, UnknownApiResponseError):
        return None


# --- the same form


@recorded
@pytest.mark.parametrize("dialect", NAMES)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_the_same_form_is_byte_for_byte(dialect: str, stream: bool) -> None:
    for source in answered_all(dialect, stream=stream):
        answer = of(source)
        array = stream and dialect == "gemini" and not answer.content_type.startswith("text/event-stream")
        exchange = asking(dialect, stream=stream, asks_usage=reading(answer).usage.known, array=array)
        assert ask(exchange, answer) == Recalled(answer.content_type, answer.body), source.name


CHAT_STREAM = b"".join(wire.chat_stream(usage=True))
WITHOUT = b"".join(wire.chat_stream(usage=False))
SSE = "text/event-stream"


def test_usage_that_only_another_has_asked_for_is_hidden() -> None:
    answer = stored("openai_chat", CHAT_STREAM, SSE, stream=True)
    assert ask(asking("openai_chat", stream=True), answer) == Recalled(SSE, WITHOUT)
    shown = ask(asking("openai_chat", stream=True, asks_usage=True), answer)
    assert shown == Recalled(SSE, CHAT_STREAM)


def test_usage_that_is_not_there_is_not_made_up() -> None:
    answer = stored("openai_chat", WITHOUT, SSE, stream=True)
    assert ask(asking("openai_chat", stream=True), answer) == Recalled(SSE, WITHOUT)
    assert ask(asking("openai_chat", stream=True, asks_usage=True), answer) is None
    assert ask(asking("openai_chat", stream=False), answer) is None


@pytest.mark.parametrize("asks_usage", [False, True])
def test_a_whole_answer_as_a_stream(asks_usage: bool) -> None:
    answer = stored("openai_chat", wire.chat_answer(), "application/json", stream=False)
    given = ask(asking("openai_chat", stream=True, asks_usage=asks_usage), answer)
    assert given is not None
    assert not faults("openai_chat", given, asks_usage=asks_usage)
    assert (b'"usage":{' in given.body) is asks_usage
    assert b"gpt-4o-mini-2024-07-18" in given.body


def test_google_streams_as_an_array_or_as_events() -> None:
    array = stored("gemini", b"".join(wire.gemini_array()), "application/json", stream=True)
    events = ask(asking("gemini", stream=True), array)
    assert events is not None
    assert events.content_type == SSE
    assert not faults("gemini", events, asks_usage=False)
    again = ask(asking("gemini", stream=True, array=True), replace(array, body=events.body, content_type=SSE))
    assert again is not None
    assert again.content_type.startswith("application/json")
    parts = [
        p["text"] for d in json.loads(again.body) for c in d["candidates"] for p in c["content"]["parts"]
    ]
    assert "".join(parts) == "".join(wire.WORDS)


# --- what cannot be said


def test_bodies_of_one_model_alone_have_one_form() -> None:
    body = b'{"outputs":[{"text":"hi","stop_reason":"stop"}]}'
    answer = stored("bedrock_invoke", body, "application/json", stream=False)
    assert ask(asking("bedrock_invoke", stream=False), answer) == Recalled("application/json", body)
    assert ask(asking("bedrock_invoke", stream=True), answer) is None
    streamed = replace(answer, stream=True, content_type="application/vnd.amazon.eventstream")
    assert ask(asking("bedrock_invoke", stream=False), streamed) is None


@pytest.mark.parametrize("name", ["cohere_v2.sse", "cohere_v1.ndjson"])
def test_dialects_without_a_codec_have_the_form_that_is_stored(name: str) -> None:
    body = (BYTES / name).read_bytes()
    answer = stored("cohere", body, SSE if name.endswith("sse") else "application/x-ndjson", stream=True)
    assert ask(asking("cohere", stream=True), answer) == Recalled(answer.content_type, body)
    assert ask(asking("cohere", stream=False), answer) is None


def test_several_answers_in_one_have_the_form_that_is_stored() -> None:
    answer = stored("openai_chat", wire.chat_answer(), "application/json", stream=False)
    several = json.dumps({**wire.CHAT, "n": 2}).encode()
    assert ask(asking("openai_chat", stream=True), answer, several) is None
    assert ask(asking("openai_chat", stream=False), answer, several) is not None


BROKEN = [b"", b"{", b"[]", b"null", b"data: {}\n\n", b"\x00\x00\x00\x10", b'{"choices":7}', b'{"error":{}}']


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("body", BROKEN)
@pytest.mark.parametrize("kind", [SSE, "application/json", "application/vnd.amazon.eventstream", ""])
def test_nothing_that_is_stored_raises(dialect: str, body: bytes, kind: str) -> None:
    for was_stream in (True, False):
        for stream in (True, False):
            answer = stored(dialect, body, kind, stream=was_stream)
            given = ask(asking(dialect, stream=stream), answer)
            assert (
                given is None
                or (was_stream == stream and given.body == body)
                or not reading(answer).error_type
            )


@settings(deadline=None)
@given(st.sampled_from(sorted(PATHS)), st.booleans(), st.booleans(), st.data())
def test_whatever_is_cut_or_changed_does_not_raise(
    dialect: str, was_stream: bool, stream: bool, data: st.DataObject
) -> None:
    whole = data.draw(st.sampled_from([CHAT_STREAM, b"".join(wire.message_stream()), wire.chat_answer()]))
    at = data.draw(st.integers(0, len(whole)))
    body = whole[:at] + data.draw(st.binary(max_size=6)) + whole[at + data.draw(st.integers(0, 20)) :]
    ask(asking(dialect, stream=stream), stored(dialect, body, SSE, stream=was_stream), whole)


# --- for clients of another dialect


@recorded
@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("dialect", NAMES)
def test_the_same_words_are_the_same_for_the_provider(dialect: str, target: str) -> None:
    """Nothing of a request is made up by chance or by the clock: then nothing would ever be found again."""
    for source in asked(dialect):
        try:
            written = [_written(source, target, number) for number in (1, 2)]
        except Untranslatable:
            continue
        assert written[0] == written[1], source.name


def _written(source: Source, target: str, number: int) -> bytes | None:
    """Another time, and the other form."""
    chance, stream = random.Random(number), number == 2
    made = context(requested_model="m", mint=lambda n: "".join(chance.choices("abcdef", k=n)))
    made.now *= number
    one = Translation(Side(dialect := source.dialect), Side(target), made, stream=stream)
    made.request = one.read(source.recording.request, "m", stream)
    body = orjson.dumps(one.encode(replace(made.request, stream=stream, include_usage=stream)).body)
    return fingerprint(Asked("a", dialect, "h", "POST", "/", {}, body))


@recorded
@pytest.mark.parametrize(("dialect", "target"), PAIRS, ids=lambda name: name)
@pytest.mark.parametrize("stream", [True, False], ids=["to-stream", "to-whole"])
def test_another_dialect(dialect: str, target: str, stream: bool) -> None:
    """As if it had come from the provider just now; and the provider's own answer can still come after it."""
    for source in (*answered(dialect, stream=True)[:6], *answered(dialect, stream=False)[:6]):
        answer, exchange = of(source), asking(target, stream=stream)
        exchange.translation = translation(source, target, stream=stream)
        given = ask(exchange, answer)
        fresh = translated(source, target, [answer.body], stream=stream)
        failed = isinstance(source.outcome(), Failure)
        unmetered = answer.stream and not stream and not reading(answer).usage.known
        if failed or unmetered:
            assert given is None, source.name
            assert exchange.translation.context.warnings == []
        else:
            assert given == Recalled(exchange.translation.content_type, fresh.data), source.name
            assert exchange.translation.context.warnings == fresh.context.warnings
        relay = exchange.translation.relay(answer.content_type)
        assert b"".join((*relay.feed(answer.body), *relay.close())) == fresh.data, source.name


def test_vectors_of_another_shape() -> None:
    vectors = {"data": [{"embedding": [0.5], "index": 0}], "model": "m", "usage": {"prompt_tokens": 1}}
    exchange = asking("gemini", stream=False)
    made = EmbeddingTranslation("gemini", "openai_embeddings", context(requested_model="m"))
    body = {"content": {"parts": [{"text": "a"}]}}
    made.write(json.dumps(body).encode(), "/v1beta/models/m:embedContent", "m", "/v1/embeddings")
    exchange.translation = made
    answer = replace(
        FACTS, dialect="openai_embeddings", operation="embeddings", body=json.dumps(vectors).encode()
    )
    given = ask(exchange, answer)
    assert given is not None
    assert json.loads(given.body)["embedding"]["values"] == [0.5]
    assert ask(exchange, replace(answer, body=b'{"data":[]}')) is None
