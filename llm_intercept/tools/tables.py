"""Tables that people bring along, CSV or JSON, as records with the numbers of their lines.

What the records mean belongs to `importing.py`.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llm_intercept.errors import ConfigError

_BETWEEN = " \t\r\n,"


@dataclass(frozen=True, slots=True)
class Record:
    """`line` is where it begins, from 1."""

    line: int
    values: dict[str, Any]


def read(text: str, *, is_csv: bool) -> list[Record]:
    """All records; JSON is an array of objects, or one object after the other (NDJSON)."""
    return list(_csv(text) if is_csv else _json(text))


def _csv(text: str) -> Iterator[Record]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = [name.strip() for name in next(rows, [])]
        if not head or len(set(head)) < len(head):
            raise ConfigError("line 1: the first line of a CSV file names the columns, each once")
        while (line := rows.line_num + 1) and (cells := next(rows, None)) is not None:
            if len(cells) > len(head):
                raise ConfigError(f"line {line}: has more cells than there are columns")
            values = {name: cell.strip() for name, cell in zip(head, cells, strict=False) if cell.strip()}
            if values:
                yield Record(line, values)
    except csv.Error as error:
        raise ConfigError(f"line {rows.line_num}: is not CSV: {error}") from None


def _json(text: str) -> Iterator[Record]:
    decoder = json.JSONDecoder()
    at = _skip(text, 0, _BETWEEN + "[")
    while at < len(text) and text[at] != "]":
        line = text.count("\n", 0, at) + 1
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise ConfigError(f"line {_broken(text, at, error.pos)}: is not JSON: {error.msg}") from None
        if not isinstance(value, dict):
            raise ConfigError(f'line {line}: expected an object, such as {{"name": "demo"}}')
        yield Record(line, value)
        at = _skip(text, end, _BETWEEN)
    if _skip(text, at + 1, _BETWEEN) < len(text):
        raise ConfigError("something follows the end of the array")


def _broken(text: str, begin: int, at: int) -> int:
    """The line in which a record ends too early. Where the next one begins it is noticed, and not wrong."""
    following = text.find("\n{", begin, at + 1)
    last = max(len(text[: following if following >= 0 else at].rstrip()), begin + 1)
    return text.count("\n", 0, last if following >= 0 or "\n" in text[last:at] else at) + 1


def _skip(text: str, at: int, signs: str) -> int:
    while at < len(text) and text[at] in signs:
        at += 1
    return at
