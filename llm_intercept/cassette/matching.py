"""Which recorded call a request is: same method, host, path and body, each used once and in order. Pure."""

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from llm_intercept.cassette.diff import compared, likeness
from llm_intercept.cassette.format import Recorded, Request

type Ignored = tuple[str, ...]
"""The steps to a field; `*` is every element and every name."""
type _Key = tuple[str, str, str, bytes]

_BOUNDARY = re.compile(r"boundary=\"?([^\";,]+)", re.IGNORECASE)
# Where fields are left out: most bodies have none of them, and are not written anew.
_LISTED = 12


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a request is not in the cassette; `difference` from what is nearest to it, "" where nothing is."""

    request: Request
    reason: str
    difference: str = ""

    def __str__(self) -> str:
        return f"{self.reason}\n\n{self.difference}".rstrip()


def ignored(field: str) -> Ignored:
    """`metadata.user_id`, `messages.*.id`."""
    return tuple(step for step in field.replace("[*]", ".*").split(".") if step)


class Deck:
    """What of a cassette is still to be played."""

    def __init__(self, calls: Iterable[Recorded], fields: Sequence[Ignored] = ()) -> None:
        self._calls = tuple(calls)
        self._fields = tuple(fields)
        self._waiting: defaultdict[_Key, deque[Recorded]] = defaultdict(deque)
        self._played: set[int] = set()
        for call in self._calls:
            if call.answer is not None:
                self._waiting[self._key(call.request)].append(call)

    @property
    def left(self) -> list[Recorded]:
        """Calls that nobody has asked for, as far as they can be."""
        return [c for c in self._calls if c.answer and c.inference and c.number not in self._played]

    def play(self, request: Request, *, inference: bool = True) -> Recorded | Mismatch:
        """The next recording of this request. Where it is no inference, any of the same path will do."""
        waiting = self._waiting.get(self._key(request))
        if waiting:
            found = waiting.popleft()
        elif inference or (similar := self._same_path(request)) is None:
            return self._mismatch(request)
        else:
            found = similar
        self._played.add(found.number)
        return found

    def _same_path(self, request: Request) -> Recorded | None:
        return next(
            (c for c in reversed(self._calls) if c.answer and _place(c.request) == _place(request)), None
        )

    def _key(self, request: Request) -> _Key:
        return (*_place(request), normal(request, self._fields))

    def _mismatch(self, request: Request) -> Mismatch:
        there = [c for c in self._calls if _place(c.request) == _place(request)]
        if not there:
            return Mismatch(request, f"The cassette has no call {request.title}.{self._contents()}")
        body = normal(request, self._fields)
        same = [c for c in there if normal(c.request, self._fields) == body]
        if same:
            return Mismatch(request, _too_often(request, same))
        waiting = [c for c in there if c.number not in self._played] or there
        nearest = max(waiting, key=lambda call: likeness(call.request.body, request.body))
        reason = f"The cassette has no such call {request.title}; nearest to it is its call {nearest.number}."
        bodies = (self._shown(nearest.request), self._shown(request))
        return Mismatch(
            request, reason, compared(*bodies, f"call {nearest.number} of the cassette", "this call")
        )

    def _shown(self, request: Request) -> bytes:
        return normal(request, self._fields) if self._fields else request.body

    def _contents(self) -> str:
        counted = Counter(f"{c.request.method} {c.request.host}{c.request.path}" for c in self._calls)
        lines = [f"  {number} x {title}" for title, number in counted.most_common(_LISTED)]
        return "\n" + "\n".join(["It has:", *lines]) if lines else " It is empty."


def _place(request: Request) -> tuple[str, str, str]:
    return request.method, request.host, request.path


def _too_often(request: Request, same: Sequence[Recorded]) -> str:
    if (noted := next((c for c in same if c.answer is None), None)) is not None:
        return f"The call {request.title} is in the cassette, but cannot be replayed: {noted.note}."
    times = "once" if len(same) == 1 else f"{len(same)} times"
    return f"The cassette has this very call {request.title} {times}, and it was made once more."


def normal(request: Request, fields: Sequence[Ignored]) -> bytes:
    """What bodies are compared by: JSON without layout and ignored fields, forms without their marker."""
    try:
        value = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return _unbounded(request)
    for field in fields:
        _leave_out(value, field)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _leave_out(value: Any, field: Ignored) -> None:
    step, rest = field[0], field[1:]
    for key in _children(value, step):
        if rest:
            _leave_out(value[key], rest)
        elif isinstance(value, dict):
            del value[key]


def _children(value: Any, step: str) -> list[Any]:
    if isinstance(value, dict):
        return list(value) if step == "*" else [key for key in (step,) if key in value]
    if isinstance(value, list):
        indexes = range(len(value))
        return list(indexes) if step == "*" else [i for i in indexes if str(i) == step]
    return []


def _unbounded(request: Request) -> bytes:
    kind = next((value for name, value in request.headers if name.lower() == "content-type"), "")
    found = _BOUNDARY.search(kind)
    return request.body.replace(found[1].encode(), b"boundary") if found else request.body
