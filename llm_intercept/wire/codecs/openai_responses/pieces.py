"""The items of an answer while they are being written: each gives the events of what happens to it.

A message and a reasoning item stay open for further parts of the same item; a call and an opaque item are
one part each. Numbering the events and putting the items in order is the business of `output.py`.
"""

from itertools import chain
from typing import Any, Protocol

from llm_intercept.wire.codecs.openai_responses.terms import (
    FOREIGN_REASONING,
    NAME,
    NEVER,
    OF_CALL,
    REDACTED,
    Members,
    Raw,
    call_mark,
    item_of,
    tagged,
    written,
)
from llm_intercept.wire.codecs.openai_responses.writing import is_native, summaries
from llm_intercept.wire.fields import parse
from llm_intercept.wire.ir import Part, PartDelta, RefusalText, Text, Thinking, ToolCall
from llm_intercept.wire.toolids import fitted

type Happening = tuple[str, Raw]
"""An event's type, and its members without type and number."""


class Item(Protocol):
    """One output item. `place` is its output index."""

    place: int
    id: str
    open: int  # parts that have not ended

    def takes(self, part: Part) -> bool: ...

    def added(self) -> Raw: ...

    def start(self, index: int, part: Part) -> list[Happening]: ...

    def delta(self, event: PartDelta) -> list[Happening]: ...

    def end(self, index: int) -> list[Happening]: ...

    def item(self, status: str) -> Raw: ...


class _Content:
    """A text, refusal or thought inside an item, and where it stands."""

    __slots__ = ("citations", "logprobs", "members", "native", "pieces", "refusal", "where")

    def __init__(self, where: Raw, part: Text | RefusalText) -> None:
        self.where = where
        self.refusal = isinstance(part, RefusalText)
        self.native = NAME in part.extras
        self.members = written(part.extras)
        self.pieces: list[str] = []
        self.citations: list[Members] = []
        self.logprobs: list[Members] = []

    def raw(self) -> Raw:
        text = "".join(self.pieces)
        if self.refusal:
            return {"type": "refusal", "refusal": text, **self.members}
        said = {"type": "output_text", "annotations": [*self.citations], "logprobs": [*self.logprobs]}
        return {**said, "text": text, **self.members}


class MessageItem:
    """What the model says: texts and refusals that stand in one message."""

    def __init__(self, place: int, name: str, part: Text | RefusalText) -> None:
        self.place = place
        self.open = 0
        self._item = item_of(part.extras)
        self.id = str(self._item.get("id") or fitted(name, NEVER, "msg_"))
        self._contents: list[_Content] = []
        self._by_index: dict[int, _Content] = {}

    def takes(self, part: Part) -> bool:
        return isinstance(part, Text | RefusalText) and item_of(part.extras) == self._item

    def added(self) -> Raw:
        return self._message("in_progress", [])

    def item(self, status: str) -> Raw:
        status = str(self._item.get("status") or status)
        return self._message(status, [content.raw() for content in self._contents])

    def _message(self, status: str, content: list[Raw]) -> Raw:
        said = {"id": self.id, "type": "message", "status": status, "content": content}
        return {**said, "role": "assistant", **{**self._item, "id": self.id, "status": status}}

    def start(self, index: int, part: Part) -> list[Happening]:
        if not isinstance(part, Text | RefusalText):
            return []
        where = {"item_id": self.id, "output_index": self.place, "content_index": len(self._contents)}
        content = _Content(where, part)
        self._contents.append(content)
        self._by_index[index] = content
        self.open += 1
        return [("response.content_part.added", {**where, "part": content.raw()})]

    def delta(self, event: PartDelta) -> list[Happening]:
        content = self._by_index[event.index]
        found: list[Happening] = []
        if event.text:
            found.append(_said(content, event))
        if event.citation is not None and content.native:
            place = len(content.citations)
            content.citations.append(event.citation)
            noted = {**content.where, "annotation_index": place, "annotation": event.citation}
            found.append(("response.output_text.annotation.added", noted))
        return found

    def end(self, index: int) -> list[Happening]:
        content = self._by_index.pop(index)
        self.open -= 1
        raw = content.raw()
        if content.refusal:
            done: Raw = {**content.where, "refusal": raw["refusal"]}
        else:
            done = {**content.where, "text": raw["text"], "logprobs": raw["logprobs"]}
        kind = "response.refusal.done" if content.refusal else "response.output_text.done"
        return [(kind, done), ("response.content_part.done", {**content.where, "part": raw})]


def _said(content: _Content, event: PartDelta) -> Happening:
    content.pieces.append(event.text)
    if content.refusal:
        return "response.refusal.delta", {**content.where, "delta": event.text}
    content.logprobs.extend(event.logprobs)
    told = {**content.where, "delta": event.text, "logprobs": event.logprobs}
    return "response.output_text.delta", told


class ReasoningItem:
    """What the model thinks. Only this dialect's own can be raw; all other is shown as a summary."""

    def __init__(self, place: int, name: str, part: Thinking) -> None:
        self.place = place
        self.open = 0
        self._native = is_native(part)
        self._redacted = part.redacted
        self._joint = part.id  # by which further parts of the same item are known
        known = part.id if self._native else ""
        self.id = known or fitted(name, NEVER, "rs_" if self._native else FOREIGN_REASONING)
        self._members = item_of(part.extras)
        self._starts: dict[int, Thinking] = {}
        self._pieces: dict[int, list[str]] = {}
        self._places: dict[int, Raw] = {}  # of the parts that have said something
        self._summary: list[list[Raw]] = []
        self._content: list[list[Raw]] = []
        self._signature = ""
        self._origin = ""

    def takes(self, part: Part) -> bool:
        return isinstance(part, Thinking) and bool(part.id) and part.id == self._joint

    def added(self) -> Raw:
        return {"id": self.id, "type": "reasoning", "summary": []}

    def start(self, index: int, part: Part) -> list[Happening]:
        if isinstance(part, Thinking):
            self._starts[index] = part
            self._pieces[index] = []
            self.open += 1
        return []

    def delta(self, event: PartDelta) -> list[Happening]:
        if event.signature:
            self._signature += event.signature
            self._origin = event.origin or self._origin
        if not event.text:
            return []
        found = [] if event.index in self._places else [self._begin(event.index)]
        self._pieces[event.index].append(event.text)
        kind = "reasoning_summary_text" if self._is_summary(event.index) else "reasoning_text"
        return [*found, (f"response.{kind}.delta", {**self._places[event.index], "delta": event.text})]

    def _is_summary(self, index: int) -> bool:
        return self._starts[index].summary or not self._native

    def _begin(self, index: int) -> Happening:
        """The first words of a part give it its place: several may be open."""
        summary = self._is_summary(index)
        sections = self._summary if summary else self._content
        name = "summary_index" if summary else "content_index"
        where = {"item_id": self.id, "output_index": self.place, name: len(sections)}
        self._places[index] = where
        sections.append([])
        kind, event = (
            ("summary_text", "reasoning_summary_part") if summary else ("reasoning_text", "content_part")
        )
        return f"response.{event}.added", {**where, "part": _thought(kind, "")}

    def end(self, index: int) -> list[Happening]:
        self.open -= 1
        summary = self._is_summary(index)
        part, text = self._starts.pop(index), "".join(self._pieces.pop(index))
        where = self._places.pop(index, None)
        if where is None:
            return []
        if summary:
            return self._summed(where, part, text)
        raw = _thought("reasoning_text", text)
        self._content[where["content_index"]].append(raw)
        done: Happening = ("response.reasoning_text.done", {**where, "text": text})
        return [done, ("response.content_part.done", {**where, "part": raw})]

    def _summed(self, where: Raw, part: Thinking, text: str) -> list[Happening]:
        """In the item, the summary has the parts that it came in; the stream had it as one."""
        self._summary[where["summary_index"]].extend(summaries(Thinking(text, extras=part.extras)))
        return [
            ("response.reasoning_summary_text.done", {**where, "text": text}),
            ("response.reasoning_summary_part.done", {**where, "part": _thought("summary_text", text)}),
        ]

    def item(self, status: str) -> Raw:
        raw: Raw = {"id": self.id, "type": "reasoning", "summary": [*chain(*self._summary)]}
        if self._content:
            raw["content"] = [*chain(*self._content)]
        if self._signature:
            raw["encrypted_content"] = self._carried()
        return {**raw, **self._members}

    def _carried(self) -> str:
        """Encrypted content, or another dialect's signature for the client to carry."""
        if self._origin in ("", NAME):
            return self._signature
        return tagged(self._origin + (REDACTED if self._redacted else ""), self._signature)


def _thought(kind: str, text: str) -> Raw:
    return {"type": kind, "text": text}


class CallItem:
    """A call of a function, or of a custom tool, whose input is plain text.

    A target without custom tools was offered a function with one text argument: the input is known late.
    """

    def __init__(self, place: int, call_id: str, part: ToolCall, custom: bool, spelling: Members) -> None:
        self.place = place
        self.open = 0
        self.call_id = call_id
        members = written(part.extras)
        known = members.get("id")
        prefix = "ctc_" if custom else "fc_"
        self.id = known if isinstance(known, str) and known else fitted(call_id, NEVER, prefix)
        self._custom = custom
        self._wrapped = custom and not part.custom
        self._members = {"name": part.name, **spelling, **members, "id": self.id}
        self._pieces: list[str] = []
        self.signature = ""
        self.origin = ""

    def takes(self, part: Part) -> bool:
        return False

    def _where(self) -> Raw:
        return {"item_id": self.id, "output_index": self.place}

    def added(self) -> Raw:
        return self._call("in_progress", "")

    def item(self, status: str) -> Raw:
        return self._call(status, self._told())

    def _call(self, status: str, told: str) -> Raw:
        raw: Raw = {"id": self.id, "type": "custom_tool_call" if self._custom else "function_call"}
        raw |= {"status": status, "call_id": self.call_id}
        raw["input" if self._custom else "arguments"] = told
        return {**raw, **self._members}

    def _told(self) -> str:
        text = "".join(self._pieces)
        if self._wrapped:
            return unwrapped(text)
        return text if self._custom or text.strip() else "{}"

    def start(self, index: int, part: Part) -> list[Happening]:
        self.open += 1
        return []

    def delta(self, event: PartDelta) -> list[Happening]:
        self.signature += event.signature
        self.origin = event.origin or self.origin
        if not event.text:
            return []
        self._pieces.append(event.text)
        return [] if self._wrapped else [self._grown(event.text)]

    def _grown(self, text: str) -> Happening:
        kind = "custom_tool_call_input" if self._custom else "function_call_arguments"
        return f"response.{kind}.delta", {**self._where(), "delta": text}

    def end(self, index: int) -> list[Happening]:
        self.open -= 1
        told = self._told()
        unsaid = self._wrapped or told != "".join(self._pieces)
        found = [self._grown(told)] if unsaid and told else []
        if self._custom:
            return [*found, ("response.custom_tool_call_input.done", {**self._where(), "input": told})]
        done = {**self._where(), "name": self._members["name"], "arguments": told}
        return [*found, ("response.function_call_arguments.done", done)]

    def carried(self, place: int) -> "WholeItem | None":
        """The signature of another dialect's call, which the client can only carry in reasoning beside it."""
        if not self.signature or self.origin in ("", NAME):
            return None
        mark = tagged(f"{self.origin}{OF_CALL}{call_mark(self.call_id)}", self.signature)
        name = fitted(f"{self.call_id}{OF_CALL}", NEVER, FOREIGN_REASONING)
        return WholeItem(place, {"id": name, "type": "reasoning", "summary": [], "encrypted_content": mark})


def unwrapped(arguments: str) -> str:
    """The one text inside a function's arguments; what is no such thing stays as it is."""
    value: Any = parse(arguments)
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return value if isinstance(value, str) else arguments


class WholeItem:
    """An item that is known whole: what only this dialect understands, or a picture."""

    def __init__(self, place: int, raw: Members) -> None:
        self.place = place
        self.open = 0
        self._raw = dict(raw)
        self.id = str(raw.get("id") or "")

    def takes(self, part: Part) -> bool:
        return False

    def added(self) -> Raw:
        return {**self._raw, "id": self.id} if self.id else self._raw

    def item(self, status: str) -> Raw:
        return self.added()

    def start(self, index: int, part: Part) -> list[Happening]:
        self.open += 1
        return []

    def delta(self, event: PartDelta) -> list[Happening]:
        return []

    def end(self, index: int) -> list[Happening]:
        self.open -= 1
        return []
