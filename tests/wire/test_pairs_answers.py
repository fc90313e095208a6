"""Recorded answers and streams of every dialect, for clients of every other: the official SDKs read them.

Each ordered pair of dialects is one test over all recordings, whichever side streams. Cuts (byte by byte, at
random) run over a sample that shows every feature, over everything with LLM_INTERCEPT_TEST_ALL_PAIRS=1.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator

import pytest

from llm_intercept.wire.framing.eventstream import encode as aws_frame
from llm_intercept.wire.ir import Answer, Failed, Failure, Started
from llm_intercept.wire.translation import Side, Translation
from tests.wire import cuts
from tests.wire.pair_laws import PAIRS, differences, read, translated, translation
from tests.wire.pair_sources import NAMES, Source, answered, answered_all, context

pytestmark = pytest.mark.skipif(not answered_all("openai_chat", stream=True), reason="no recordings")

pairs = pytest.mark.parametrize(("dialect", "target"), PAIRS, ids=lambda name: name)


def none(found: Iterator[str]) -> None:
    faults = list(found)
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(faults[:10])


@pairs
@pytest.mark.parametrize("client_streams", [True, False], ids=["to-stream", "to-whole"])
@pytest.mark.parametrize("provider_streams", [True, False], ids=["stream", "whole"])
def test_answers(dialect: str, target: str, provider_streams: bool, client_streams: bool) -> None:
    found = answered_all(dialect, stream=provider_streams)
    none(fault for source in found for fault in _faults(source, target, client_streams))


def _faults(source: Source, target: str, stream: bool) -> Iterator[str]:
    outcome = source.outcome()
    made = translated(source, target, [source.recording.body], stream=stream)
    if isinstance(outcome, Failure):
        if stream:
            assert read(target, made.data, stream=True).error, source.name
        return
    seen = read(target, made.data, stream=stream)
    yield from (f"{source.name}: {fault}" for fault in differences(outcome, target, seen))


@pairs
@pytest.mark.parametrize("stream", [True, False], ids=["to-stream", "to-whole"])
def test_cut_anywhere(dialect: str, target: str, stream: bool) -> None:
    for source in answered(dialect, stream=True) + answered(dialect, stream=False):
        body = source.recording.body
        once = translated(source, target, cuts.whole(body), stream=stream)
        ways = [cuts.at_random(body, seed) for seed in (1, 2)]
        ways += [cuts.by_byte(body)] if len(body) < 12_000 else []
        for pieces in ways:
            again = translated(source, target, pieces, stream=stream)
            assert again.data == once.data, source.name
            assert again.context.warnings == once.context.warnings, source.name


CODINGS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


@pairs
@pytest.mark.parametrize("coding", CODINGS)
def test_compressed(dialect: str, target: str, coding: str) -> None:
    for source in answered(dialect, stream=True)[:3]:
        packed = CODINGS[coding](source.recording.body)
        plain = translated(source, target, [source.recording.body], stream=True)
        made = translated(source, target, cuts.at_random(packed, 3), stream=True, encoding=coding)
        assert made.data == plain.data


@pairs
def test_streams_that_are_cut_end_with_an_error(dialect: str, target: str) -> None:
    for source in answered(dialect, stream=True):
        body, outcome = source.recording.body, source.outcome()
        if isinstance(outcome, Failure):
            continue
        for part in (0, len(body) // 3, len(body) // 2):
            made = translated(source, target, [body[:part]], stream=True)
            assert read(target, made.data, stream=True).error, (source.name, part)
            one = translation(source, target, stream=True)
            relay = one.relay(source.recording.content_type)
            given = [*relay.feed(body[:part]), *relay.abort("the connection was lost"), *relay.close()]
            assert read(target, b"".join(given), stream=True).error, (source.name, part)


KINDS = ("overflow", "rate_limit", "unavailable", "invalid_request", "internal", "timeout")


@pairs
@pytest.mark.parametrize("kind", KINDS)
def test_errors_in_mid_stream(dialect: str, target: str, kind: str) -> None:
    """A provider's error event after the answer began: the client's SDK sees an error and no end."""
    context_ = context()
    failure = Failed(Failure(kind, "something about it", 500))
    begun = Translation(Side(dialect), Side(target), context_, stream=True)
    encoder, frames = begun.client.encoder(context_), []
    for event in (Started("id", "model"), failure):
        frames += list(encoder.feed(event))
    frames += list(encoder.close())
    body = b"".join(_framed(dialect, *frame) for frame in frames)
    kinds = {"bedrock_converse": "application/vnd.amazon.eventstream", "ollama": "application/x-ndjson"}
    other = Translation(
        Side(target, "sse-crlf" if target == "gemini" else ""), Side(dialect), context_, stream=True
    )
    seen = read(target, other.answer(body, kinds.get(dialect, "text/event-stream")), stream=True)
    assert seen.error
    assert not seen.finish or seen.finish == "failed"


def _framed(dialect: str, event: str, data: bytes) -> bytes:
    if dialect == "bedrock_converse":
        return aws_frame(event, data)
    if dialect == "ollama":
        return data + b"\n"
    return (b"event: " + event.encode() + b"\n" if event else b"") + b"data: " + data + b"\n\n"


def test_every_pair_has_material() -> None:
    counts = {name: sum(len(answered_all(name, stream=s)) for s in (True, False)) for name in NAMES}
    assert min(counts.values()) >= 2
    assert isinstance(answered_all("anthropic", stream=True)[0].outcome(), Answer | Failure)
