"""A stream that ends when its meter says so: frame by frame, and with an end or not at all."""

from collections.abc import Callable

import pytest

from llm_intercept.wire import endings
from llm_intercept.wire.metered import Metered
from llm_intercept.wire.pipe import Pipe
from llm_intercept.wire.sabotage import Splitter
from llm_intercept.wire.tap import Tap
from llm_intercept.wire.usage import Usage

SSE = "text/event-stream"
FRAMES = [b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"%d"}}]}\n\n' % n for n in range(9)]


class Meter:
    """Over after so many frames."""

    def __init__(self, frames: int, fault: bool = False) -> None:
        self.left = frames
        self.fault = fault

    def is_over(self) -> bool:
        if self.fault:
            raise ValueError("a fault of ours")
        self.left -= 1
        return self.left <= 0

    def stop(self) -> Usage:
        return Usage(input=1, output=2)


def metered(meter: Meter, *, ends: bool = True) -> Metered:
    tap = Tap("openai_chat", "chat", SSE)
    tap.together = 1
    tap.ending = endings.finish("openai_chat", SSE) if ends else None
    pipe = Pipe(tap, lambda: 1.0, framed_as=("openai_chat", SSE) if ends else None)
    return Metered(pipe, Splitter(SSE, whole_events=True), meter)


CUTS: dict[str, Callable[[bytes], list[bytes]]] = {
    "together": lambda data: [data],
    "byte by byte": lambda data: [data[n : n + 1] for n in range(len(data))],
    "in odd pieces": lambda data: [data[n : n + 50] for n in range(0, len(data), 50)],
}


@pytest.mark.parametrize("cut", CUTS)
def test_the_end_comes_after_a_whole_frame(cut: str) -> None:
    stream = metered(Meter(4))
    out = b"".join(piece for chunk in CUTS[cut](b"".join(FRAMES)) for piece in stream(chunk))
    assert out.startswith(b"".join(FRAMES[:4]))
    assert FRAMES[4] not in out
    assert out.count(b'"finish_reason":"length"') == 1
    assert out.endswith(b"data: [DONE]\n\n")
    assert stream.stopped
    assert stream(b"") == []


def test_what_is_not_over_passes_as_it_is() -> None:
    stream = metered(Meter(100))
    out = [piece for chunk in CUTS["in odd pieces"](b"".join(FRAMES)) for piece in stream(chunk)]
    assert b"".join([*out, *stream(b"")]) == b"".join(FRAMES)
    assert not stream.stopped


def test_what_has_no_end_is_cut() -> None:
    stream = metered(Meter(2), ends=False)
    assert b"".join(stream(b"".join(FRAMES))) == b"".join(FRAMES[:2])
    assert (stream.stopped, stream.cut) == (False, True)
    assert stream(FRAMES[2]) == []


def test_a_fault_of_ours_lets_it_pass() -> None:
    stream = metered(Meter(1, fault=True))
    assert b"".join(stream(b"".join(FRAMES))) == b"".join(FRAMES)
