"""The events of Anthropic's messages.

"Each stream uses the following event flow: 1. `message_start`: contains a `Message` object with empty
`content`. 2. A series of content blocks, each of which have a `content_block_start`, one or more
`content_block_delta` events, and a `content_block_stop` event. Each content block will have an `index` that
corresponds to its index in the final Message `content` array. 3. One or more `message_delta` events,
indicating top-level changes to the final `Message` object. 4. A final `message_stop` event." "The token
counts shown in the `usage` field of the `message_delta` event are *cumulative*." "Event streams may also
include any number of `ping` events." "We may occasionally send errors in the event stream." "We may add new
event types, and your code should handle unknown event types gracefully." "The deltas are *partial JSON
strings*, whereas the final `tool_use.input` is always an *object*." "A special `signature_delta` event just
before the `content_block_stop` event." (docs.claude.com, Streaming Messages)
"""

from llm_intercept.wire.grammar._machine import Machine, Raw, is_count, is_object, is_text, shown

_JSON = frozenset(("input_json_delta",))
_TAKES = {
    "text": frozenset(("text_delta", "citations_delta")),
    "thinking": frozenset(("thinking_delta", "signature_delta")),
    "redacted_thinking": frozenset[str](),
    "tool_use": _JSON,
    "server_tool_use": _JSON,
    "mcp_tool_use": _JSON,
    "compaction": frozenset(("compaction_delta",)),
}
_MEMBER = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
_REASONS = frozenset(
    (
        *("end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "compaction"),
        "model_context_window_exceeded",
    )
)
# With these an answer ends wherever it was, in the middle of arguments too.
_CUT = frozenset(("max_tokens", "refusal", "model_context_window_exceeded"))
_ANYWHERE = ("message_start", "ping", "error")


class Grammar(Machine):
    __slots__ = (
        *("_begun", "_block", "_calls", "_last", "_name", "_next", "_open", "_output", "_pieces"),
        *("_reason", "_signed", "_spoilt", "_takes"),
    )

    def __init__(self, asks_usage: bool = False) -> None:
        super().__init__(asks_usage)
        self._begun = False
        self._last = ""  # the event after which nothing may come
        self._next = 0
        self._open: int | None = None
        self._block = self._name = ""
        self._takes: frozenset[str] | None = None  # None: a block that we do not know
        self._pieces: list[str] = []
        self._signed = False
        self._calls = 0
        self._spoilt: list[str] = []  # what is excused if the answer was cut
        self._reason: str | None = None
        self._output = 0

    def _read(self, event: str, payload: Raw) -> None:
        kind = payload.get("type")
        if event and event != kind:
            self._say(f"event {shown(event)} has the type {shown(kind)}")
        if self._last:
            self._say(f"{shown(kind)} after {self._last}")
        if kind == "content_block_delta" and self._begun:
            return self._delta(payload)
        if not self._begun and kind not in _ANYWHERE:
            self._say(f"{shown(kind)} before message_start")
        self._rare(kind, payload)
        return None

    def _rare(self, kind: object, payload: Raw) -> None:
        match kind:
            case "content_block_delta":
                self._delta(payload)
            case "content_block_start":
                self._start_block(payload)
            case "content_block_stop":
                self._stop_block(payload["index"])
            case "message_start":
                self._start(payload["message"])
            case "message_delta":
                self._message(payload)
            case "message_stop":
                self._stop()
            case "error":
                self._error(payload["error"])
            case None:
                self._say("an event without a type")

    def _start(self, message: Raw) -> None:
        if self._begun:
            self._say("a second message_start")
        self._begun = True
        for name, value in (("type", "message"), ("role", "assistant")):
            if message.get(name) != value:
                self._say(f"message_start has the {name} {shown(message.get(name))}, not {value}")
        for name in ("id", "model"):
            if not is_text(message.get(name)):
                self._say(f"message_start has no {name}")
        if message.get("content") != []:
            self._say("message_start has content, which has to be empty")
        usage = message.get("usage")
        for name in ("input_tokens", "output_tokens"):
            if type(usage) is not dict or not is_count(usage.get(name)):
                self._say(f"message_start has no usage.{name}")

    def _start_block(self, payload: Raw) -> None:
        index, block = payload["index"], payload["content_block"]
        if self._open is not None:
            self._say(f"content_block_start for index {shown(index)} while index {self._open} is open")
        if index != self._next:
            self._say(f"content_block_start has the index {shown(index)}, but {self._next} comes next")
        self._next = (index if is_count(index) else self._next) + 1
        self._open = index
        self._block, self._name = str(block["type"]), shown(block.get("name"))
        self._takes = _TAKES.get(self._block)
        self._pieces, self._signed = [], False
        if self._takes is _JSON:
            self._calls += self._block == "tool_use"
            for name in ("id", "name"):
                if not is_text(block.get(name)):
                    self._say(f"{self._block} {shown(index)} has no {name}")

    def _delta(self, payload: Raw) -> None:
        index = payload["index"]
        if index != self._open:
            self._say(f"content_block_delta for index {shown(index)}, which is not open")
            return
        delta = payload["delta"]
        kind = delta["type"]
        if self._takes is not None and kind not in self._takes:
            self._say(f"{shown(kind)} in a block of the type {shown(self._block)}")
            return
        member = _MEMBER.get(kind)
        if member is not None and type(delta.get(member)) is not str:
            self._say(f"{kind} without {member}")
        elif kind == "input_json_delta":
            self._keep(self._pieces, delta["partial_json"])
        elif kind == "signature_delta":
            self._signed = True
        elif kind == "thinking_delta" and self._signed:
            self._say("thinking_delta after the signature_delta of its block")

    def _stop_block(self, index: object) -> None:
        if index != self._open or self._open is None:
            self._say(f"content_block_stop for index {shown(index)}, which is not open")
            return
        text = "".join(self._pieces)
        if text and not is_object(text):
            self._spoilt.append(
                f"the input of {self._block} {self._open} ({self._name}) does not add up to a JSON object"
            )
        self._open = None

    def _message(self, payload: Raw) -> None:
        if self._open is not None:
            self._say(f"message_delta while index {self._open} is open")
        delta, usage = payload["delta"], payload.get("usage")
        reason = delta.get("stop_reason")
        if reason is not None:
            self._ended(reason, delta)
        if type(usage) is not dict or not is_count(usage.get("output_tokens")):
            self._say("message_delta has no usage.output_tokens")
        elif usage["output_tokens"] < self._output:
            self._say("usage.output_tokens of message_delta falls, but is cumulative")
        else:
            self._output = usage["output_tokens"]

    def _ended(self, reason: str, delta: Raw) -> None:
        self._reason = reason
        if reason not in _REASONS:
            self._say(f"stop_reason {shown(reason)} is none that is documented")
        if reason == "stop_sequence" and type(delta.get("stop_sequence")) is not str:
            self._say("stop_reason is stop_sequence, but no stop_sequence is given")
        if reason == "tool_use" and not self._calls:
            self._say("stop_reason is tool_use, but there is no tool_use block")
        if reason not in _CUT:
            for sentence in self._spoilt:
                self._say(sentence)
        self._spoilt = []

    def _stop(self) -> None:
        if self._open is not None:
            self._say(f"message_stop while index {self._open} is open")
        if self._reason is None:
            self._say("message_stop without a stop_reason before it")
        self._last = "message_stop"

    def _error(self, error: Raw) -> None:
        if not is_text(error.get("type")) or type(error.get("message")) is not str:
            self._say("error without a type or a message")
        self._last = "error"

    def _end(self) -> None:
        if not self._last:
            self._say("the stream ended without message_stop")
