"""The pipe gives on every byte, and takes out exactly the usage that the client did not ask for."""

import json
from collections.abc import Callable
from itertools import count

import pytest

from llm_intercept.wire import dialects
from llm_intercept.wire.conceal import UsageFilter
from llm_intercept.wire.framing.sse import SSE
from llm_intercept.wire.pipe import Pipe, TranslatingPipe
from llm_intercept.wire.tap import Tap
from tests.wire import cuts
from tests.wire.recordings import Recording, recordings

CHUNK = b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"%s"}}],"usage":null}\n\n'
BARE = b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n'
USAGE = b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"


def pipe(hide_usage: bool = False, dialect: str = "openai_chat") -> tuple[Pipe, Tap]:
    ticks = count(1)
    tap = Tap(dialect, "chat", "text/event-stream")
    return Pipe(tap, lambda: float(next(ticks)), hide_usage=hide_usage), tap


def run(pieces: list[bytes], hide_usage: bool = True) -> tuple[bytes, Tap]:
    through, tap = pipe(hide_usage)
    out = [piece for chunk in [*pieces, b""] for piece in through(chunk)]
    assert b"" not in out
    assert through.size == sum(map(len, out))
    assert not through.fault
    return b"".join(out), tap


@pytest.mark.parametrize("recording", [r for r in recordings() if r.stream], ids=lambda r: r.name)
def test_every_byte_passes(recording: Recording) -> None:
    dialect = recording.dialect if recording.dialect in dialects.names() else "observe"
    ticks = count(1)
    through = Pipe(Tap(dialect, recording.surface, recording.content_type), lambda: float(next(ticks)))
    pieces = cuts.at_random(recording.body, 11)
    assert [through(piece) for piece in pieces] == [[piece] for piece in pieces]
    assert through(b"") == []
    assert (through.first_byte, through.last_byte) == (1.0, float(len(pieces)))
    assert through.size == len(recording.body)
    assert not through.fault


HIDDEN = [
    pytest.param(CHUNK % b"a" + USAGE + DONE, BARE % b"a" + DONE, id="usual"),
    pytest.param(CHUNK % b"a" + USAGE, BARE % b"a", id="without DONE"),
    pytest.param(
        (CHUNK % b"a" + USAGE + DONE).replace(b"\n", b"\r\n"),
        (BARE % b"a" + DONE).replace(b"\n", b"\r\n"),
        id="CRLF",
    ),
    pytest.param(
        b'data: {"choices":[{}],"usage":null,"obfuscation":"x7"}\n\n' + USAGE + DONE,
        b'data: {"choices":[{}],"obfuscation":"x7"}\n\n' + DONE,
        id="member in the middle",
    ),
    pytest.param(
        b'data: {"usage" : null , "choices":[]}\n\n' + DONE,
        b'data: {"choices":[]}\n\n' + DONE,
        id="member in front",
    ),
    pytest.param(
        b'data: {"choices":[{"x":{"usage":null}}],"usage":null}\n\n',
        b'data: {"choices":[{"x":{"usage":null}}]}\n\n',
        id="only the outer one",
    ),
    pytest.param(CHUNK % b'\\"usage\\":null', BARE % b'\\"usage\\":null', id="the word inside a text"),
    pytest.param(USAGE + CHUNK % b"a" + DONE, USAGE + BARE % b"a" + DONE, id="usage that is not the last"),
    pytest.param(
        b'data: {"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}\n\n' + DONE,
        b'data: {"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}\n\n' + DONE,
        id="usage together with a choice stays",
    ),
    pytest.param(
        b": keep-alive\n\n" + CHUNK % b"a" + USAGE + b": keep-alive\n\n" + DONE,
        b": keep-alive\n\n" + BARE % b"a" + b": keep-alive\n\n" + DONE,
        id="comments stay",
    ),
    pytest.param(
        b'data: {"choices":[],"prompt_filter_results":[1],"usage":null}\n\n' + DONE,
        b'data: {"choices":[],"prompt_filter_results":[1]}\n\n' + DONE,
        id="Azure's first chunk",
    ),
    pytest.param(CHUNK % b"a" + b'data: {"cut', BARE % b"a" + b'data: {"cut', id="half an event at the end"),
    pytest.param(b'data: {"usage":nul\n\n', b'data: {"usage":nul\n\n', id="not JSON"),
]


@pytest.mark.parametrize(("sent", "seen"), HIDDEN)
@pytest.mark.parametrize("cut", [cuts.whole, cuts.by_byte, cuts.by_event])
def test_hidden_usage(sent: bytes, seen: bytes, cut: Callable[[bytes], list[bytes]]) -> None:
    out, _ = run(cut(sent))
    assert out == seen


def test_the_tap_still_reads_what_is_hidden() -> None:
    _, tap = run([CHUNK % b"a", USAGE, DONE])
    reading = tap.close()
    assert (reading.usage.input, reading.usage.output) == (9, 2)
    assert reading.complete


def test_an_overlong_event_is_not_held_back() -> None:
    long = b'data: {"choices":[{"b64":"' + b"x" * 3_000_000
    rest = b'"}],"usage":null}\n\n'
    out, _ = run([long, rest, CHUNK % b"a", DONE])
    assert out == long + rest + BARE % b"a" + DONE


CHATS = [r for r in recordings() if r.stream and r.dialect == "openai_chat" and b'"usage"' in r.body]


@pytest.mark.parametrize("recording", CHATS, ids=lambda r: r.name)
def test_hiding_in_recordings(recording: Recording) -> None:
    """What is left is the same events, parsed, without the null members and the last extra chunk."""
    out, _ = run(cuts.at_random(recording.body, 9))
    before, after = documents(recording.body), documents(out)
    if before and before[-1].get("usage") and before[-1].get("choices") == []:
        before.pop()
    nothing = object()
    for document in before:
        if document.get("usage", nothing) is None:
            del document["usage"]
    assert after == before


def documents(body: bytes) -> list[dict[str, object]]:
    parser = SSE()
    return [json.loads(data) for _, data in parser.feed(body) if data.startswith(b"{")]


class Faulty(Tap):
    def feed(self, chunk: bytes, now: float) -> None:
        raise RuntimeError("a bug")


@pytest.mark.parametrize("hide", [False, True])
def test_a_fault_lets_the_bytes_pass(hide: bool) -> None:
    through = Pipe(Faulty("openai_chat", "chat", "text/event-stream"), lambda: 1.0, hide_usage=hide)
    out = [piece for chunk in (BARE % b"a", DONE, b"") for piece in through(chunk)]
    assert b"".join(out) == BARE % b"a" + DONE
    assert through.fault == "RuntimeError: a bug"


class FaultyFilter(UsageFilter):
    def _other(self, event: bytes, out: list[bytes]) -> None:
        raise RuntimeError("a bug")


@pytest.mark.parametrize("cut", [cuts.whole, cuts.by_byte, cuts.by_event])
def test_a_fault_while_hiding_loses_nothing(cut: Callable[[bytes], list[bytes]]) -> None:
    body = BARE % b"a" + BARE % b"b" + USAGE + BARE % b"c" + DONE
    through, _ = pipe(hide_usage=True)
    through._filter = FaultyFilter()
    out = [piece for chunk in [*cut(body), b""] for piece in through(chunk)]
    assert b"".join(out) == body
    assert through.fault == "RuntimeError: a bug"


def test_the_first_byte_is_announced_once() -> None:
    seen: list[int] = []
    through = Pipe(Tap("observe", "other", ""), lambda: 1.0, on_first=lambda: seen.append(1))
    through(b"a")
    through(b"b")
    assert seen == [1]


class Failing:
    """A relay that cannot go on at this chunk; b"" is the end."""

    def __init__(self, at: bytes) -> None:
        self._at = at

    def feed(self, chunk: bytes) -> list[bytes]:
        if chunk == self._at:
            raise ZeroDivisionError("no")
        return [chunk.upper()]

    def close(self) -> list[bytes]:
        return self.feed(b"")

    def abort(self, message: str, late: bool = False) -> list[bytes]:
        return [f"error: {message}".encode()]


@pytest.mark.parametrize("at", [b"b", b""], ids=["middle", "end"])
def test_a_translation_that_fails_ends_in_one_error(at: bytes) -> None:
    tap = Tap("openai_chat", "chat", "text/event-stream")
    through = TranslatingPipe(tap, Failing(at), lambda: 1.0)  # type: ignore[arg-type]
    sent = [piece for chunk in (b"a", at, b"c", b"") for piece in through(chunk)]
    assert sent == [b"A", b"error: the answer could not be translated"]
    assert through.size == sum(map(len, sent))
    assert through.fault == "ZeroDivisionError: no"
    assert through.abort("again") == []


def ending(pieces: list[bytes], *, hide_usage: bool = False, framed: bool = True) -> list[bytes] | None:
    """What is added when the provider goes away after these chunks."""
    kind = "text/event-stream"
    through = Pipe(
        Tap("openai_chat", "chat", kind),
        lambda: 1.0,
        hide_usage=hide_usage,
        framed_as=("openai_chat", kind) if framed else None,
    )
    given = [out for piece in pieces for out in through(piece)]
    rest = through.abort("gone")
    assert through.size == sum(map(len, [*given, *(rest or [])]))
    return rest


STOP = b'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'


@pytest.mark.parametrize("hide_usage", [False, True])
def test_an_unfinished_stream_ends_in_an_error(hide_usage: bool) -> None:
    found = ending([CHUNK % b"a"], hide_usage=hide_usage)
    assert found is not None
    [rest] = found
    assert b'"message":"gone"' in rest
    assert rest.endswith(DONE)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param([CHUNK % b"a", STOP], [DONE], id="only the end's mark was missing"),
        pytest.param([CHUNK % b"a", STOP, USAGE], [DONE], id="the same after the usage"),
        pytest.param([CHUNK % b"a", STOP, USAGE + DONE], [], id="nothing was missing"),
        pytest.param(
            [CHUNK % b"a", b'data: {"error":{"message":"busy"}}\n\n'], [DONE], id="an error was told"
        ),
        pytest.param([CHUNK % b"a", b'data: {"choi'], None, id="in the middle of an event"),
        pytest.param([CHUNK % b"a", b"data: {}\n"], None, id="before the blank line"),
    ],
)
def test_what_is_added_at_a_cut(pieces: list[bytes], expected: list[bytes] | None) -> None:
    assert ending(pieces) == expected


def test_a_hidden_event_that_is_cut_is_not_given_out() -> None:
    found = ending([CHUNK % b"a", b'data: {"choi'], hide_usage=True)
    assert found is not None
    assert found[0].startswith(b'data: {"error"')


def test_a_stream_that_cannot_be_told_from_its_end_is_cut() -> None:
    assert ending([CHUNK % b"a"], framed=False) is None


def test_what_could_not_be_read_gets_no_end_of_ours() -> None:
    kind = "text/event-stream"
    through = Pipe(Faulty("openai_chat", "chat", kind), lambda: 1.0, framed_as=("openai_chat", kind))
    assert through(CHUNK % b"a") == [CHUNK % b"a"]
    assert through.abort("gone") is None
