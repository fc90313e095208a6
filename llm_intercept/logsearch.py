"""Looking through the JSONL files of `llm_intercept/logs.py`, rotated ones included."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

LEVELS = ("debug", "info", "warning", "error", "critical")
_ROTATED = re.compile(r"(?P<base>.+\.jsonl)(?:\.(?P<number>\d+))?")

type Kind = Literal["requests", "events", "audit"]
type Line = tuple[float, dict[str, Any], str]
"""(Unix seconds, what it says, as it is written)"""


@dataclass(frozen=True, slots=True)
class Search:
    """`text` in upper or lower case; from `start` up to `end` in Unix seconds; events of at least `level`."""

    text: str = ""
    kind: Kind | None = None
    level: str | None = None
    start: float = 0.0
    end: float = float("inf")

    def finds(self, line: Line) -> bool:
        moment, _, text = line
        if not self.start <= moment < self.end or not is_of(line, self.level):
            return False
        return self.text.lower() in text.lower()


def search(folder: Path, wanted: Search) -> list[Line]:
    """Oldest first."""
    paths = [path for group in log_files(folder, wanted.kind).values() for path in group]
    return sorted(filter(wanted.finds, lines(paths)), key=lambda line: line[0])


def log_files(folder: Path, kind: str | None = None) -> dict[str, list[Path]]:
    """For each log its files, oldest first: `x.jsonl.2`, `x.jsonl.1`, `x.jsonl`."""
    found: dict[str, list[tuple[int, Path]]] = {}
    for path in folder.glob("*.jsonl*"):
        match = _ROTATED.fullmatch(path.name)
        if match and kind in (None, match["base"].removesuffix(".jsonl")):
            found.setdefault(match["base"], []).append((-int(match["number"] or 0), path))
    return {base: [path for _, path in sorted(files)] for base, files in sorted(found.items())}


def lines(paths: list[Path]) -> Iterator[Line]:
    for path in paths:
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from filter(None, map(parsed, file))


def parsed(text: str) -> Line | None:
    """None for a line that is not whole: it is being written, or was when the machine stopped."""
    try:
        content = json.loads(text)
    except ValueError:
        return None
    if not isinstance(content, dict):
        return None
    return _seconds(stamp(content)), content, text.rstrip("\n")


def stamp(content: dict[str, Any]) -> str:
    return str(content.get("ts") or content.get("timestamp") or "")


def is_of(line: Line, level: str | None) -> bool:
    """Whether it is an event of at least this level."""
    if level is None:
        return True
    name = str(line[1].get("level", "")).lower()
    return name in LEVELS and LEVELS.index(name) >= LEVELS.index(level)


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
