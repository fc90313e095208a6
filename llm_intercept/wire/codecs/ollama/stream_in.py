"""A stream of lines -> events of the IR. Calls come whole; only the last line has counters."""

from collections.abc import Iterable, Mapping
from typing import Any

from llm_intercept.wire.codecs.ollama.answer import KNOWN, finish_of, usage_of
from llm_intercept.wire.codecs.ollama.messages import call, image
from llm_intercept.wire.codecs.ollama.terms import extras, read_time, rest, string
from llm_intercept.wire.families.failures import code_of, failure
from llm_intercept.wire.families.leak import Leak
from llm_intercept.wire.fields import items, objects, parse
from llm_intercept.wire.ir import (
    Event,
    Failed,
    Failure,
    Finished,
    Part,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
    Text,
    Thinking,
    ToolCall,
)
from llm_intercept.wire.reading import message_of

BROKEN = Failure("upstream", "the stream ended before the answer was complete", 502)
type Logprobs = tuple[Mapping[str, Any], ...]


class LineDecoder:
    """One stream; its end is the line with `done`."""

    def __init__(self) -> None:
        self._out: list[Event] = []
        self._started = self._ended = False
        self._next = 0
        self._open = -1
        self._kind: type[Part] | None = None
        self._leak: Leak | None = Leak()
        self._calls = 0
        self._seed: object = None

    def feed(self, event: str, data: bytes) -> Iterable[Event]:
        line = parse(data) if not self._ended else None
        if not isinstance(line, dict):
            return []
        if line.get("error"):
            return self._fail(_failure(line))
        if not self._started:
            self._start(line)
        message = line.get("message")
        if isinstance(message, dict):
            self._message(message, tuple(objects(line.get("logprobs"))))
        if line.get("done") is True:
            self._done(line)
        return self._given()

    def close(self) -> Iterable[Event]:
        return [] if self._ended else self._fail(BROKEN)

    def _given(self) -> list[Event]:
        out, self._out = self._out, []
        return out

    def _start(self, line: Mapping[str, Any]) -> None:
        self._started = True
        self._seed = line.get("created_at")
        self._out.append(Started("", string(line.get("model")), read_time(self._seed)))

    def _message(self, message: Mapping[str, Any], logprobs: Logprobs) -> None:
        if thinking := string(message.get("thinking")):
            self._unleak()
            self._say(Thinking(), thinking)
        if content := string(message.get("content")):
            self._content(content, logprobs)
        for data in items(message.get("images")):
            if isinstance(data, str):
                self._whole(image(data))
        for item in objects(message.get("tool_calls")):
            self._call(call(item, self._seed, self._calls))

    def _content(self, content: str, logprobs: Logprobs) -> None:
        if self._leak is None:
            self._say(Text(""), content, logprobs)
            return
        for thinking, piece in self._leak.feed(content):
            self._say(Thinking() if thinking else Text(""), piece, () if thinking else logprobs)
        if self._leak is not None and self._leak.settled:
            self._leak = None

    def _unleak(self) -> None:
        leak, self._leak = self._leak, None
        for thinking, piece in leak.close() if leak is not None else ():
            self._say(Thinking() if thinking else Text(""), piece)

    def _say(self, part: Part, text: str, logprobs: Logprobs = ()) -> None:
        if type(part) is not self._kind:
            self._close_open()
            self._open = self._begin(part)
            self._kind = type(part)
        self._out.append(PartDelta(self._open, text, logprobs=logprobs))

    def _begin(self, part: Part) -> int:
        self._out.append(PartStarted(self._next, part))
        self._next += 1
        return self._next - 1

    def _close_open(self) -> None:
        if self._open >= 0:
            self._out.append(PartEnded(self._open))
            self._open, self._kind = -1, None

    def _whole(self, part: Part) -> None:
        self._close_open()
        self._out.append(PartEnded(self._begin(part)))

    def _call(self, found: ToolCall) -> None:
        self._unleak()
        self._close_open()
        self._calls += 1
        index = self._begin(ToolCall(found.id, found.name, "", extras=found.extras))
        self._out += [PartDelta(index, found.arguments), PartEnded(index)]

    def _done(self, line: Mapping[str, Any]) -> None:
        self._unleak()
        self._close_open()
        self._ended = True
        finish = finish_of(line.get("done_reason"), self._calls > 0)
        self._out.append(Finished(finish, usage_of(line), extras=extras(rest(line, KNOWN))))

    def _fail(self, found: Failure) -> list[Event]:
        self._unleak()
        self._close_open()
        self._ended = True
        return [*self._given(), Failed(found)]


def _failure(line: Mapping[str, Any]) -> Failure:
    status = code_of(line.get("status_code"))[1] or code_of(line.get("status"))[1]
    return failure(status, "", "", message_of(line["error"]), None)
