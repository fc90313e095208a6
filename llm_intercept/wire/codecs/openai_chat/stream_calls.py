"""Tool calls inside a stream: put together by index, by id, or by their order where a server gives neither.

Servers are known to send whole calls at once, one index for all calls, arguments that repeat
what came before, `{}` before the true arguments, and names after ids.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from llm_intercept.wire.codecs.openai_chat.messages_in import signature_of
from llm_intercept.wire.codecs.openai_chat.terms import LEGACY, NAME, minted
from llm_intercept.wire.fields import mapping
from llm_intercept.wire.ir import NO_EXTRAS, Event, Part, PartDelta, PartEnded, ToolCall


class _Call:
    __slots__ = ("custom", "id", "index", "legacy", "name", "pieces", "repeats", "size", "waiting")

    def __init__(self, identity: str, legacy: bool) -> None:
        self.id = identity
        self.legacy = legacy
        self.name = ""
        self.custom = False
        self.index = -1  # of the part; -1 until its name is known
        self.pieces: list[str] = []  # the arguments so far
        self.size = 0
        self.waiting: list[tuple[str, str, str]] = []  # what came before the name
        self.repeats = False  # each delta has the whole of the arguments so far

    def fresh(self, given: str) -> str:
        """What of these arguments is new."""
        if not self.size and given.strip() in ("", "{}"):
            return ""  # either there are none, or the true ones follow
        if not self.repeats and self.size and given[0] == "{" and len(given) >= self.size:
            self.repeats = self._repeated(given)
        fresh = given[self.size :] if self.repeats else given
        self.pieces.append(fresh)
        self.size += len(fresh)
        return fresh

    def _repeated(self, given: str) -> bool:
        """JSON cannot go on with what it began with, except after a colon; then a whole object decides."""
        so_far = "".join(self.pieces)
        return given.startswith(so_far) and (not so_far.endswith(":") or _complete(given))


def _complete(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


class Calls:
    """`begin` opens a part, writes its PartStarted and gives its index; `emit` writes any other event."""

    def __init__(self, begin: Callable[[Part], int], emit: Callable[[Event], None]) -> None:
        self.seed = ""
        self._begin = begin
        self._emit = emit
        self._calls: list[_Call] = []
        self._by_index: dict[Any, _Call] = {}
        self._by_id: dict[str, _Call] = {}

    @property
    def called(self) -> bool:
        return bool(self._calls)

    def feed(self, items: list[dict[str, Any]]) -> None:
        for item in items:
            custom = "custom" in item
            inner = mapping(item.get("custom" if custom else "function"))
            name = inner.get("name")
            call = self._find(item, name)
            if custom or item.get("type") == "custom":
                call.custom = True
            self._grow(call, name, inner.get("input" if custom else "arguments"))
            if "extra_content" in item:
                signature, origin, _ = signature_of(item)
                if signature:
                    self._give(call, "", signature, origin)

    def feed_legacy(self, item: Mapping[str, Any]) -> None:
        call = self._by_index.get("function")
        if call is None:
            call = self._add("", "function", legacy=True)
        self._grow(call, item.get("name"), item.get("arguments"))

    def end(self) -> None:
        for call in self._calls:
            if call.index < 0:
                self._open(call)
            self._emit(PartEnded(call.index))

    def _find(self, item: Mapping[str, Any], name: object) -> _Call:
        identity, index = item.get("id"), item.get("index")
        if not isinstance(identity, str):
            identity = ""
        if identity and identity in self._by_id:
            return self._by_id[identity]
        if isinstance(index, int):
            found = self._by_index.get(index)
            # Some servers say index 0 for every call, others give each delta an id of its own.
            if found is None or (identity and found.id and name):
                return self._add(identity, index)
            return found
        begins = identity or (name and (not self._calls or self._calls[-1].name))
        return self._add(identity, None) if begins or not self._calls else self._calls[-1]

    def _add(self, identity: str, index: object, legacy: bool = False) -> _Call:
        call = _Call(identity, legacy)
        self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        if identity:
            self._by_id[identity] = call
        return call

    def _grow(self, call: _Call, name: object, arguments: object) -> None:
        if call.index < 0 and isinstance(name, str) and name:
            call.name = name
            self._open(call)
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        if isinstance(arguments, str) and arguments:
            fresh = arguments if call.custom else call.fresh(arguments)
            if fresh:
                self._give(call, fresh)

    def _give(self, call: _Call, text: str, signature: str = "", origin: str = "") -> None:
        if call.index < 0:
            call.waiting.append((text, signature, origin))
        else:
            self._emit(PartDelta(call.index, text, signature, origin))

    def _open(self, call: _Call) -> None:
        identity = call.id or minted(self.seed, *self._place(call))
        note = {NAME: {LEGACY: True}} if call.legacy else NO_EXTRAS
        call.index = self._begin(ToolCall(identity, call.name, "", custom=call.custom, extras=note))
        for early in call.waiting:
            self._emit(PartDelta(call.index, *early))
        call.waiting = []

    def _place(self, call: _Call) -> tuple[object, ...]:
        """What tells a call without an id apart, as in an answer that comes whole."""
        return ("function", call.name) if call.legacy else (self._calls.index(call), call.name)
