"""Tolerant reading and writing of JSON that somebody else wrote: what takes anything and never raises.

A provider's document is data to be read, not a schema to be enforced: what has the wrong type
counts as absent.
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson

LARGEST = 2**53  # beyond this a counter is nonsense, and JSON readers disagree about it


def parse(data: bytes | str) -> Any:
    """The JSON value, or None. Bad UTF-8 and lone surrogates (split emoji) are replaced, NaN is null."""
    try:
        return orjson.loads(data)
    except ValueError:
        return _parse_leniently(data)


def _parse_leniently(data: bytes | str) -> Any:
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    try:
        value = json.loads(text, parse_constant=lambda name: None)
        # Lone surrogates must not travel on: neither SQLite nor a socket can take them.
        return orjson.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def dumped(value: Any) -> bytes:
    """JSON without blanks, members in their order; also of what orjson does not take."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):  # an integer beyond 64 bits, half of a surrogate pair
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
        return text.encode("utf-8", "replace")


def compact(value: Any) -> str:
    return dumped(value).decode()


def parse_object(data: bytes | str) -> dict[str, Any]:
    return mapping(parse(data))


def mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list; what is not an object is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: object, limit: int = 2_000) -> str:
    return value[:limit] if isinstance(value, str) else ""


def count(value: object) -> int | None:
    """A counter: a whole number from 0 up. Some servers write them as floats."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST:
        return value
    return None


def first_count(source: Mapping[str, Any], *names: str) -> int | None:
    """The first of these members that is a counter."""
    for name in names:
        found = count(source.get(name))
        if found is not None:
            return found
    return None


def total(*parts: int | None) -> int | None:
    """The sum of the known parts; None when nothing is known."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def nanos(dollars: object) -> int | None:
    """A price in USD, as a JSON number, in nano-USD."""
    if isinstance(dollars, bool) or not isinstance(dollars, int | float):
        return None
    return round(dollars * 1e9) if 0 <= dollars < 1e6 else None
