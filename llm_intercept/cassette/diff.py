"""How two bodies differ, for a person: indented JSON, long texts broken into lines. Pure."""

import difflib
import json
from collections import Counter

WIDTH = 120
LINES = 200


def compared(before: bytes, after: bytes, name: str, other: str) -> str:
    """A unified diff; "" where nothing of what is shown differs."""
    found = list(difflib.unified_diff(shown(before), shown(after), name, other, lineterm=""))
    if len(found) > LINES:
        found = [*found[:LINES], f"... and {len(found) - LINES} more lines"]
    return "\n".join(found)


def likeness(before: bytes, after: bytes) -> float:
    """From 0 to 1: the share of lines that both have."""
    ours, theirs = Counter(shown(before)), Counter(shown(after))
    total = ours.total() + theirs.total()
    return 2 * (ours & theirs).total() / total if total else 1.0


def shown(body: bytes) -> list[str]:
    """The lines of a body. Texts inside JSON are broken at their line ends, and where they are long."""
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False, sort_keys=True)
    except ValueError:
        text = body.decode("utf-8", "backslashreplace")
    return [piece for line in text.splitlines() for piece in _broken(line)]


def _broken(line: str) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    pieces = line.replace("\\n", "\\n\0").split("\0")
    parts = [part for piece in pieces for part in _cut(piece)]
    return [parts[0], *(indent + part for part in parts[1:])] if parts else [line]


def _cut(piece: str) -> list[str]:
    return [piece[at : at + WIDTH] for at in range(0, len(piece), WIDTH)]
