"""OpenAI's responses: what is open is done, its items `incomplete`; `response.incomplete` repeats all.

Items and their parts are kept as they were added, with the texts that their deltas add up to.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from llm_intercept.wire.fields import count, mapping
from llm_intercept.wire.framing import Frame
from llm_intercept.wire.usage import Usage

# Texts in parts: the event's stem -> (its part's events, the part's index, the item's list, the member).
_TEXTS = {
    "response.output_text": ("response.content_part", "content_index", "content", "text"),
    "response.refusal": ("response.content_part", "content_index", "content", "refusal"),
    "response.reasoning_text": ("response.content_part", "content_index", "content", "text"),
    "response.reasoning_summary_text": (
        *("response.reasoning_summary_part", "summary_index", "summary", "text"),
    ),
}
_PARTS = {stem: (index, section) for stem, index, section, _ in _TEXTS.values()}
# Texts of an item itself: the event's stem -> the item's member.
_OWN = {
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
    "response.mcp_call_arguments": "arguments",
    "response.code_interpreter_call_code": "code",
}


class _Text:
    """What deltas add up to, and what it takes to say that it is done. `part` is "" for an item's own."""

    def __init__(self, stem: str, member: str, where: dict[str, Any], part: str) -> None:
        self.stem, self.member, self.where, self.part = stem, member, where, part
        self.pieces: list[str] = []
        self.is_done = False


class _Item:
    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = dict(raw)
        self.is_open = True
        self.parts: dict[tuple[str, int], dict[str, Any]] = {}
        self.texts: dict[tuple[str, int], _Text] = {}  # that were begun and are not over

    def whole(self, status: str = "") -> dict[str, Any]:
        raw = dict(self.raw)
        for section in ("content", "summary"):
            parts = [part for (name, _), part in sorted(self.parts.items()) if name == section]
            if parts:
                raw[section] = parts
        if status and "status" in raw:
            raw["status"] = status
        return raw


class Ending:
    def __init__(self) -> None:
        self._response: Mapping[str, Any] = {}
        self._items: dict[int, _Item] = {}
        self._next = 0

    def see(self, event: str, payload: Mapping[str, Any]) -> None:
        kind = str(payload.get("type"))
        self._next = (count(payload.get("sequence_number")) or 0) + 1
        stem, _, verb = kind.rpartition(".")
        if "response" in payload:
            self._response = mapping(payload["response"])
            return
        item = self._items.get(payload.get("output_index", -1))
        if stem == "response.output_item":
            self._item(verb, item, payload)
        elif item is not None and stem in _PARTS:
            index, section = _PARTS[stem]
            item.parts[section, payload[index]] = dict(mapping(payload.get("part")))
            if verb == "done":
                item.texts.pop((section, payload[index]), None)
        elif item is not None and (stem in _TEXTS or stem in _OWN):
            _grow(item, stem, verb, payload)

    def _item(self, verb: str, item: _Item | None, payload: Mapping[str, Any]) -> None:
        if verb == "added":
            self._items[payload["output_index"]] = _Item(mapping(payload.get("item")))
        elif item is not None:
            item.raw, item.is_open = dict(mapping(payload.get("item"))), False
            item.parts.clear()

    def frames(self, usage: Usage, asks_usage: bool) -> list[Frame]:
        if not self._response:
            return []
        found: list[tuple[str, dict[str, Any]]] = []
        output = []
        for place, item in sorted(self._items.items()):
            if item.is_open:
                for text in item.texts.values():
                    found += _done(item, text)
                whole = item.whole("incomplete")
                found.append(("response.output_item.done", {"output_index": place, "item": whole}))
                output.append(whole)
            else:
                output.append(item.raw)
        found.append(("response.incomplete", {"response": self._incomplete(output, usage)}))
        return [
            (kind, orjson.dumps({"type": kind, "sequence_number": number, **members}))
            for number, (kind, members) in enumerate(found, self._next)
        ]

    def _incomplete(self, output: list[dict[str, Any]], usage: Usage) -> dict[str, Any]:
        read, made = usage.input or 0, usage.output or 0
        told = {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": usage.cache_read or 0},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
            "total_tokens": read + made,
        }
        end = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        return {**self._response, **end, "output": output, "usage": told}


def _grow(item: _Item, stem: str, verb: str, payload: Mapping[str, Any]) -> None:
    part, index, section, member = _TEXTS.get(stem, ("", "", "", _OWN.get(stem, "")))
    key = (section, payload.get(index, 0) if index else 0)
    text = item.texts.get(key)
    if text is None:
        names = ("item_id", "output_index", *([index] if index else []))
        where = {name: payload[name] for name in names if name in payload}
        text = item.texts[key] = _Text(stem, member, where, part)
    if verb == "delta" and isinstance(payload.get("delta"), str):
        text.pieces.append(payload["delta"])
    elif verb == "done":
        text.pieces, text.is_done = [str(payload.get(member) or "")], True
        if not part:
            item.raw[member] = text.pieces[0]


def _done(item: _Item, text: _Text) -> list[tuple[str, dict[str, Any]]]:
    """The events that end a text and the part it is in; its item has it then."""
    said = "".join(text.pieces)
    members: dict[str, Any] = {**text.where, text.member: said}
    if text.stem == "response.output_text":
        members["logprobs"] = []
    if text.stem == "response.function_call_arguments":
        members["name"] = item.raw.get("name")
    found = [] if text.is_done else [(f"{text.stem}.done", members)]
    if not text.part:
        item.raw[text.member] = said
        return found
    index, section = _PARTS[text.part]
    key = (section, text.where.get(index, 0))
    whole = item.parts[key] = {**item.parts.get(key, {}), text.member: said}
    return [*found, (f"{text.part}.done", {**text.where, "part": whole})]
