"""The events of Amazon Bedrock's ConverseStream.

"`messageStart`: Message start information. `contentBlockStart`: Start information for a content block.
`contentBlockDelta`: The messages output content block delta. `contentBlockStop`: Stop information for a
content block. `messageStop`: Message stop information. `metadata`: Metadata for the converse output
stream." Of `metadata`: "`usage`: Usage information for the conversation stream event. Required: Yes",
"`metrics`: ... Required: Yes". `messageStart` comes first, the blocks one after the other, then
`messageStop` and `metadata`; only blocks of tools have a start. Exceptions end the stream.
(docs.aws.amazon.com, Amazon Bedrock API reference, ConverseStreamOutput)
"""

from llm_intercept.wire.grammar._machine import Machine, Raw, is_count, is_object, is_text, shown

_REASONS = frozenset(
    (
        *("end_turn", "tool_use", "max_tokens", "stop_sequence", "guardrail_intervened", "content_filtered"),
        *("malformed_model_output", "malformed_tool_use", "model_context_window_exceeded"),
    )
)
# With these an answer ends wherever it was, in the middle of arguments too.
_CUT = _REASONS - {"end_turn", "tool_use", "stop_sequence"}


class Grammar(Machine):
    __slots__ = ("_begun", "_calls", "_latest", "_name", "_open", "_over", "_pieces", "_reason", "_spoilt")

    def __init__(self, asks_usage: bool = False) -> None:
        super().__init__(asks_usage)
        self._begun = False
        self._open: int | None = None
        self._latest = -1
        self._name: str | None = None  # of the tool that the open block calls
        self._pieces: list[str] = []
        self._spoilt: list[str] = []
        self._calls = 0
        self._reason: str | None = None
        self._over = ""

    def _read(self, event: str, payload: Raw) -> None:
        if self._over:
            self._say(f"{shown(event)} after {self._over}")
        if event == "contentBlockDelta":
            return self._delta(payload)
        if event.endswith("Exception"):
            self._over = shown(event)
            return None
        if not self._begun and event != "messageStart":
            self._say(f"{shown(event)} before messageStart")
        self._rare(event, payload)
        return None

    def _rare(self, event: str, payload: Raw) -> None:
        match event:
            case "messageStart":
                self._start(payload)
            case "contentBlockStart":
                self._start_block(payload)
            case "contentBlockStop":
                self._stop_block(payload["contentBlockIndex"])
            case "messageStop":
                self._stop(payload)
            case "metadata":
                self._metadata(payload["usage"])

    def _start(self, payload: Raw) -> None:
        if self._begun:
            self._say("a second messageStart")
        self._begun = True
        if payload.get("role") != "assistant":
            self._say(f"messageStart has the role {shown(payload.get('role'))}, not assistant")

    def _begin(self, event: str, index: object) -> None:
        """A block that is new: with its start, or where it has none with its first delta."""
        if self._open is not None:
            self._say(f"{event} for contentBlockIndex {shown(index)} while {self._open} is open")
        if type(index) is not int or index <= self._latest:
            self._say(f"{event} for contentBlockIndex {shown(index)}, which was there before")
            return
        self._open = self._latest = index
        self._name, self._pieces = None, []

    def _start_block(self, payload: Raw) -> None:
        index, start = payload["contentBlockIndex"], payload["start"]
        self._begin("contentBlockStart", index)
        if "toolUse" in start:
            self._calls += 1
            self._name = str(start["toolUse"].get("name"))
            for name in ("toolUseId", "name"):
                if not is_text(start["toolUse"].get(name)):
                    self._say(f"the toolUse of contentBlockIndex {shown(index)} has no {name}")

    def _delta(self, payload: Raw) -> None:
        index, delta = payload["contentBlockIndex"], payload["delta"]
        if not self._begun:
            self._say("contentBlockDelta before messageStart")
        if index != self._open:
            self._begin("contentBlockDelta", index)
        use = delta.get("toolUse")
        if use is None:
            if self._name is not None and "toolResult" not in delta:
                self._say(f"{shown(next(iter(delta), 'an empty delta'))} in a block that calls a tool")
        elif self._name is None:
            self._say(f"a delta of toolUse for contentBlockIndex {shown(index)}, which has no start")
        else:
            self._keep(self._pieces, use["input"])

    def _stop_block(self, index: object) -> None:
        if index != self._open:
            if type(index) is int and self._open is None and index > self._latest:
                self._latest = index  # a block without content
                return
            self._say(f"contentBlockStop for contentBlockIndex {shown(index)}, which is not open")
            return
        text = "".join(self._pieces)
        if text.strip() and not is_object(text):
            name = shown(self._name)
            self._spoilt.append(f"the input of the toolUse {name} does not add up to a JSON object")
        self._open = None

    def _stop(self, payload: Raw) -> None:
        if self._open is not None:
            self._say(f"messageStop while contentBlockIndex {self._open} is open")
        if self._reason is not None:
            self._say("a second messageStop")
        self._reason = reason = payload["stopReason"]
        if reason not in _REASONS:
            self._say(f"stopReason {shown(reason)} is none that is documented")
        if reason == "tool_use" and not self._calls:
            self._say("stopReason is tool_use, but there is no toolUse")
        if reason not in _CUT:
            for sentence in self._spoilt:
                self._say(sentence)

    def _metadata(self, usage: Raw) -> None:
        if self._reason is None:
            self._say("metadata before messageStop")
        for name in ("inputTokens", "outputTokens", "totalTokens"):
            if not is_count(usage.get(name)):
                self._say(f"metadata has no usage.{name}")
        self._over = "metadata"

    def _end(self) -> None:
        if self._over:
            return
        if self._reason is None:
            self._say("the stream ended without messageStop")
        self._say("the stream ended without metadata")
