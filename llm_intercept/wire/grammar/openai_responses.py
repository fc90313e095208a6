"""The events of OpenAI's responses.

"When you create a Response with `stream` set to `true`, the server will emit server-sent events to the
client as the Response is generated." `response.created`: "An event that is emitted when a response is
created." `response.output_item.added`: "Emitted when a new output item is added"; `output_index`: "The
index of the output item that was added." `response.content_part.added`: `item_id`: "The ID of the output
item that the content part was added to", `content_index`: "The index of the content part that was added."
`response.output_text.delta`: "Emitted when there is an additional text delta." `response.output_text.done`:
"Emitted when text content is finalized"; `text`: "The text content that is finalized."
`response.function_call_arguments.done`: "Emitted when function-call arguments are finalized."
`response.output_item.done`: "Emitted when an output item is marked done." `response.completed`: "Emitted
when the model response is complete." `response.failed`: "An event that is emitted when a response fails."
`response.incomplete`: "... when a response finishes as incomplete." `sequence_number`: "The sequence number
of this event", of all of them. `error`: "Emitted when an error occurs." (platform.openai.com, API
reference, Responses, Streaming events)
"""

from typing import Any

from llm_intercept.wire.grammar._machine import Machine, Raw, is_count, is_object, is_text, shown

_CONTENT, _SUMMARY = "content_index", "summary_index"
# Texts in parts: the event's stem -> (the part's index, the part's type, the member with all of it).
_TEXTS = {
    "response.output_text": (_CONTENT, "output_text", "text"),
    "response.refusal": (_CONTENT, "refusal", "refusal"),
    "response.reasoning_text": (_CONTENT, "reasoning_text", "text"),
    "response.reasoning_summary_text": (_SUMMARY, "summary_text", "text"),
}
# Texts of an item itself: the event's stem -> (the item's type, the member with all of it).
_OWN = {
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
    "response.mcp_call_arguments": ("mcp_call", "arguments"),
    "response.code_interpreter_call_code": ("code_interpreter_call", "code"),
}
_PARTS = {"response.content_part": _CONTENT, "response.reasoning_summary_part": _SUMMARY}
_BEGIN = ("response.created", "response.queued", "response.in_progress")
_ENDS = ("response.completed", "response.incomplete", "response.failed")
_MOST = 1_000  # items, and parts of each


class _Text:
    __slots__ = ("done", "kind", "pieces")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.done = False


class _Item:
    __slots__ = ("id", "kind", "own", "parts")

    def __init__(self, raw: Raw) -> None:
        self.id: Any = raw.get("id")
        self.kind = str(raw["type"])
        self.own = _Text(self.kind)
        self.parts: dict[tuple[str, int], _Text] = {}


class Grammar(Machine):
    __slots__ = ("_begun", "_failed", "_id", "_items", "_last", "_next", "_open")

    def __init__(self, asks_usage: bool = False) -> None:
        super().__init__(asks_usage)
        self._begun = self._failed = False
        self._last = ""
        self._id: str | None = None
        self._next: int | None = None
        self._open: dict[int, _Item] = {}
        self._items = 0

    def _read(self, event: str, payload: Raw) -> None:
        kind = payload["type"]
        if event and event != kind:
            self._say(f"event {shown(event)} has the type {shown(kind)}")
        number = payload.get("sequence_number")
        if number != self._next or number is None:
            self._number(number)
        else:
            self._next = number + 1
        if self._last or not self._begun:
            self._placed(kind)
        stem, _, verb = kind.rpartition(".")
        if verb == "delta":
            self._delta(kind, stem, payload)
        elif verb == "done":
            self._finished(kind, stem, payload)
        else:
            self._rare(kind, stem, payload)

    def _number(self, number: object) -> None:
        """The first number, or one that is not the next."""
        if not is_count(number):
            self._say("events have no sequence_number")
            return
        if self._next is not None:
            self._say(f"sequence_number {number} where {self._next} comes next")
        self._next = int(str(number)) + 1

    def _placed(self, kind: str) -> None:
        if self._last and not (self._last == "error" and kind == "response.failed"):
            self._say(f"{shown(kind)} after {self._last}")
        if not self._begun and kind not in _BEGIN and kind != "error":
            self._say(f"{shown(kind)} before response.created")

    def _rare(self, kind: str, stem: str, payload: Raw) -> None:
        if kind in _BEGIN:
            self._begin(kind, payload["response"])
        elif kind in _ENDS:
            self._ended(kind, payload["response"])
        elif kind == "response.output_item.added":
            self._added(payload)
        elif kind == "error":
            self._error(payload)
        elif stem in _PARTS:
            self._part_added(kind, _PARTS[stem], payload)

    def _begin(self, kind: str, response: Raw) -> None:
        if kind == "response.created" and self._begun:
            self._say("a second response.created")
        if kind == "response.in_progress" and not self._begun:
            self._say("response.in_progress before response.created")
        self._begun = True
        self._same(kind, response)

    def _same(self, kind: str, response: Raw) -> None:
        given = response.get("id")
        if not is_text(given):
            self._say(f"{kind} has a response without an id")
        elif self._id is not None and given != self._id:
            self._say(f"{kind} has a response with another id than before")
        self._id = self._id or given

    def _added(self, payload: Raw) -> None:
        index, item = payload["output_index"], _Item(payload["item"])
        if index != self._items:
            said = f"response.output_item.added has the output_index {shown(index)}"
            self._say(f"{said}, but {self._items} comes next")
        self._open[index] = item
        self._items = (index if is_count(index) else self._items) + 1
        self._deaf = self._deaf or len(self._open) > _MOST
        if not is_text(item.id):
            self._say(f"the item of the type {shown(item.kind)} at output_index {shown(index)} has no id")

    def _where(self, kind: str, payload: Raw) -> _Item | None:
        """The open item that an event is about."""
        index = payload["output_index"]
        item = self._open.get(index)
        if item is None:
            self._say(f"{kind} for output_index {shown(index)}, which is not open")
        elif payload["item_id"] != item.id:
            self._say(f"{kind} names an item_id that output_index {shown(index)} does not have")
        return item

    def _part_added(self, kind: str, section: str, payload: Raw) -> None:
        item = self._where(kind, payload)
        if item is None:
            return
        index = payload[section]
        known = sum(1 for name, _ in item.parts if name == section)
        if index != known:
            self._say(f"{kind} has the {section} {shown(index)}, but {known} comes next")
        item.parts[section, index] = _Text(str(payload["part"]["type"]))
        self._deaf = self._deaf or len(item.parts) > _MOST

    def _text(self, kind: str, stem: str, payload: Raw) -> _Text | None:
        """What a delta adds to, or what is done."""
        if (own := _OWN.get(stem)) is not None:
            item = self._where(kind, payload)
            if item is not None and item.kind != own[0]:
                self._say(f"{kind} in an item of the type {shown(item.kind)}")
                return None
            return item.own if item is not None else None
        section, wanted, _ = _TEXTS[stem]
        index = payload[section]
        item = self._open.get(payload["output_index"])
        if item is None or payload["item_id"] != item.id:
            item = self._where(kind, payload)
            if item is None:
                return None
        part = item.parts.get((section, index))
        if part is None:
            self._say(f"{kind} for {section} {shown(index)}, which was not added")
        elif part.kind != wanted:
            self._say(f"{kind} in a part of the type {shown(part.kind)}")
            return None
        return part

    def _delta(self, kind: str, stem: str, payload: Raw) -> None:
        if stem not in _TEXTS and stem not in _OWN:
            return
        text = self._text(kind, stem, payload)
        if text is None:
            return
        if text.done:
            self._say(f"{kind} for a text that is done")
        self._keep(text.pieces, payload["delta"])

    def _finished(self, kind: str, stem: str, payload: Raw) -> None:
        if stem in _TEXTS or stem in _OWN:
            text = self._text(kind, stem, payload)
            if text is not None:
                member = _OWN[stem][1] if stem in _OWN else _TEXTS[stem][2]
                self._settled(kind, stem, text, payload[member])
        elif stem in _PARTS:
            self._part_done(kind, _PARTS[stem], payload)
        elif kind == "response.output_item.done":
            self._item_done(kind, payload)

    def _settled(self, kind: str, stem: str, text: _Text, whole: str) -> None:
        if text.done:
            self._say(f"a second {kind}")
        text.done = True
        if text.pieces and "".join(text.pieces) != whole:
            self._say(f"{kind} differs from what its deltas add up to")
        if stem == "response.function_call_arguments":
            text.pieces = [whole]
            if not is_object(whole):
                text.kind = "spoilt"

    def _part_done(self, kind: str, section: str, payload: Raw) -> None:
        item = self._where(kind, payload)
        if item is None:
            return
        part = item.parts.get((section, payload[section]))
        if part is None:
            self._say(f"{kind} for {section} {shown(payload[section])}, which was not added")
        elif part.pieces and not part.done:
            self._say(f"{kind} for {section} {shown(payload[section])}, whose text is not done")

    def _item_done(self, kind: str, payload: Raw) -> None:
        index, raw = payload["output_index"], payload["item"]
        item = self._open.pop(index, None)
        if item is None:
            self._say(f"{kind} for output_index {shown(index)}, which is not open")
            return
        if raw["type"] != item.kind:
            other = shown(raw["type"])
            self._say(f"{kind} has an item of the type {other}, which began as {shown(item.kind)}")
        if raw.get("id") != item.id:
            self._say(f"{kind} has an item with another id than the one that was added")
        if any(part.pieces and not part.done for part in item.parts.values()):
            self._say(f"{kind} for output_index {shown(index)}, which has a text that is not done")
        if item.own.kind == "spoilt" and raw.get("status") != "incomplete":
            self._say(f"the arguments of {shown(raw.get('name'))} are not a JSON object")

    def _ended(self, kind: str, response: Raw) -> None:
        self._same(kind, response)
        self._last = kind
        status = kind.rpartition(".")[2]
        if response["status"] != status:
            self._say(f"{kind} has a response with the status {shown(response['status'])}")
        if status == "failed":
            return
        for index in self._open:
            self._say(f"{kind} while output_index {shown(index)} is open")
        if len(response["output"]) != self._items:
            self._say(f"{kind} has {len(response['output'])} items of output, but {self._items} were added")
        usage = response.get("usage")
        for name in ("input_tokens", "output_tokens", "total_tokens"):
            if type(usage) is not dict or not is_count(usage.get(name)):
                self._say(f"{kind} has no usage.{name}")

    def _error(self, payload: Raw) -> None:
        if type(payload.get("message")) is not str:
            self._say("error without a message")
        self._last = "error"

    def _end(self) -> None:
        if not self._last:
            self._say("the stream ended without response.completed, response.incomplete or response.failed")
