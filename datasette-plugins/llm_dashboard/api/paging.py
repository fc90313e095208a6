"""Lists in pages: an opaque cursor says where the next one begins."""

import base64
import binascii
from collections.abc import Callable, Sequence

import orjson
from pydantic import Field

from llm_dashboard.api.operation import Model, View
from llm_dashboard.api.problem import Problem

MOST = 200


class Paged(Model):
    """The parameters of every list."""

    limit: int = Field(50, ge=1, le=MOST, description="how many at most")
    cursor: str = Field("", max_length=1000, description="`next_cursor` of the page before")


class Page[T](View):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None = Field(None, description="for the next page; null on the last one")


def page[R](
    found: Sequence[R], limit: int, list_id: str, place: Callable[[R], Sequence[str | int]]
) -> dict[str, object]:
    """From one row more than asked for; `place` says where in the list a row stands."""
    shown = found[:limit]
    more = len(found) > limit
    return {"items": shown, "next_cursor": cursor(list_id, place(shown[-1])) if more else None}


def cursor(list_id: str, place: Sequence[str | int]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([list_id, *place])).decode().rstrip("=")


def place_of(text: str, list_id: str, *kinds: type[str] | type[int]) -> tuple[str | int, ...] | None:
    """Where a page begins; None for the first one. A cursor of another list is an error."""
    if not text:
        return None
    try:
        found = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        found = None
    if not isinstance(found, list) or found[:1] != [list_id] or len(found) != len(kinds) + 1:
        raise Problem("invalid_cursor", "The cursor is not one that this list gave.", "cursor")
    place = found[1:]
    if not all(type(value) is kind and _fits(value) for value, kind in zip(place, kinds, strict=True)):
        raise Problem("invalid_cursor", "The cursor is not one that this list gave.", "cursor")
    return tuple(place)


def _fits(value: str | int) -> bool:
    return not isinstance(value, int) or abs(value) < 1 << 63


def sliced[R](found: Sequence[R], asked: Paged, list_id: str, name: Callable[[R], str]) -> dict[str, object]:
    """A page of a list that is short enough to be read whole. `name` tells its entries apart."""
    place = place_of(asked.cursor, list_id, str)
    start = 0
    if place is not None:
        names = [name(entry) for entry in found]
        if place[0] not in names:
            raise Problem("invalid_cursor", "What the cursor stood at is gone; begin anew.", "cursor")
        start = names.index(str(place[0])) + 1
    return page(found[start : start + asked.limit + 1], asked.limit, list_id, lambda entry: [name(entry)])
