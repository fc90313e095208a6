"""The output of one answer, part by part: which item a part goes into, and when an item is finished.

Items are numbered in the order of their beginning and may be open at the same time. The whole answer is
written by the same steps as a stream, so both say the same.
"""

from dataclasses import replace

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.openai_responses.content import dropped
from llm_intercept.wire.codecs.openai_responses.names import spelling, tools_by_name
from llm_intercept.wire.codecs.openai_responses.pieces import (
    CallItem,
    Happening,
    Item,
    MessageItem,
    ReasoningItem,
    WholeItem,
)
from llm_intercept.wire.codecs.openai_responses.terms import CALL_ID, EMPTY, NAME, NEVER, TARGET, Raw
from llm_intercept.wire.families import toolnames
from llm_intercept.wire.ir import (
    Media,
    Opaque,
    Part,
    PartDelta,
    RefusalText,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from llm_intercept.wire.toolids import fitted


class Output:
    """Takes parts, gives events; `written` is the output so far."""

    def __init__(self, response_id: str, context: Context, renames: bool = True) -> None:
        self._id = response_id
        self._context = context
        self._tools = tools_by_name(context.request)
        self._count = 0
        self._open: dict[int, Item] = {}
        self._ended: set[int] = set()
        self._foreign: set[int] = set()  # texts whose citations are not ours to write
        self._growing: Item | None = None  # takes further parts as long as nothing else begins
        self._ids: set[str] = set()
        self._renames = renames  # two items must not have one id; a provider's own answer keeps what it has
        self._done: dict[int, Raw] = {}
        self.refused = False

    def written(self) -> list[Raw]:
        return [self._done[place] for place in sorted(self._done)]

    def start(self, index: int, part: Part) -> list[Happening]:
        found = self.end(index) if index in self._open else []
        self._ended.discard(index)
        if isinstance(part, Opaque) and part.dialect != NAME and part.text:
            part = Text(part.text)
        if isinstance(part, Text) and NAME not in part.extras:
            self._foreign.add(index)
        item = self._growing
        if item is None or not item.takes(part):
            found += self._seal()
            item = self._item(part)
            if item is None:
                self._ended.add(index)
                return found
            found.append(self._added(item))
        self._open[index] = item
        found += item.start(index, part)
        found += self._given(index, part)
        if isinstance(item, WholeItem):
            found += self.end(index)
        return found

    def _added(self, item: Item) -> Happening:
        self._count += 1
        if isinstance(item, MessageItem | ReasoningItem):
            self._growing = item
        return "response.output_item.added", {"output_index": item.place, "item": item.added()}

    def _item(self, part: Part) -> Item | None:
        place, name = self._count, f"{self._id}/{self._count}"
        item: Item | None = None
        match part:
            case Text() | RefusalText():
                self.refused = self.refused or isinstance(part, RefusalText)
                item = MessageItem(place, name, part)
            case Thinking():
                item = ReasoningItem(place, name, part)
            case ToolCall():
                item = self._call(place, name, part)
            case Opaque():
                item = self._opaque(place, part)
            case Media():
                item = self._picture(place, name, part)
            case ToolResult():
                self._context.warn(f"tool_result: {TARGET} has none in answers")
        if item is not None and self._renames and item.id in self._ids:
            item.id = fitted(f"{name}/{item.id}", NEVER, f"{item.id.partition('_')[0]}_")
        if item is not None:
            self._ids.add(item.id)
        return item

    def _call(self, place: int, name: str, part: ToolCall) -> CallItem:
        call_id = fitted(part.id, CALL_ID, "call_") if part.id else fitted(name, NEVER, "call_")
        if self._renames and call_id in self._ids:
            call_id = fitted(f"{name}/{call_id}", NEVER, "call_")
        self._ids.add(call_id)
        if NAME in part.extras:
            return CallItem(place, call_id, part, part.custom, EMPTY)
        part = replace(part, name=toolnames.given(part.name, self._context.request))
        tool = self._tools.get(part.name)
        custom = part.custom or (tool is not None and tool.schema is None)
        return CallItem(place, call_id, part, custom, spelling(tool))

    def _opaque(self, place: int, part: Opaque) -> Item | None:
        if part.dialect == NAME:
            return WholeItem(place, part.raw)
        dropped(part, self._context)
        return None

    def _picture(self, place: int, name: str, part: Media) -> Item | None:
        if part.kind != "image" or not part.data:
            self._context.warn(f"{part.kind}: {TARGET} has none in answers")
            return None
        call: Raw = {"id": fitted(name, NEVER, "ig_"), "type": "image_generation_call"}
        call |= {"status": "completed", "result": part.data}
        if "/" in part.media_type:
            call["output_format"] = part.media_type.rpartition("/")[2]
        return WholeItem(place, call)

    def _given(self, index: int, part: Part) -> list[Happening]:
        """What a part already holds when it begins."""
        match part:
            case Text(text) | RefusalText(text):
                found = self.delta(PartDelta(index, text)) if text else []
            case Thinking() | ToolCall():
                text = part.text if isinstance(part, Thinking) else part.arguments
                found = self.delta(PartDelta(index, text, part.signature, part.origin))
            case _:
                found = []
        for citation in part.citations if isinstance(part, Text) else ():
            found += self.delta(PartDelta(index, citation=citation))
        return found

    def delta(self, event: PartDelta) -> list[Happening]:
        item = self._open.get(event.index)
        if item is not None:
            if event.citation is not None and event.index in self._foreign:
                self._context.warn(f"citations: written in another dialect, not known to {TARGET}")
            return item.delta(event)
        if event.index in self._ended or not event.text:
            return []
        return [*self.start(event.index, Text("")), *self.delta(event)]

    def end(self, index: int) -> list[Happening]:
        item = self._open.pop(index, None)
        if item is None:
            return []
        self._ended.add(index)
        found = item.end(index)
        return found + self._finish(item) if item is not self._growing and not item.open else found

    def _seal(self) -> list[Happening]:
        """Something else begins: the message or the reasoning is complete once its own parts are."""
        item, self._growing = self._growing, None
        return self._finish(item) if item is not None and not item.open else []

    def _finish(self, item: Item, status: str = "completed") -> list[Happening]:
        raw = item.item(status)
        self._done[item.place] = raw
        found: list[Happening] = [("response.output_item.done", {"output_index": item.place, "item": raw})]
        carried = item.carried(self._count) if isinstance(item, CallItem) else None
        if carried is not None:
            found += [self._added(carried), *self._finish(carried)]
        return found

    def close(self, status: str) -> list[Happening]:
        """The end: whatever is open ends, and says whether it is whole."""
        found: list[Happening] = []
        left = dict(self._open)
        growing, self._growing = self._growing, None
        for index, item in left.items():
            del self._open[index]
            found += item.end(index)
            if not item.open and item is not growing:
                found += self._finish(item, status)
        return found + self._finish(growing, status) if growing is not None else found
