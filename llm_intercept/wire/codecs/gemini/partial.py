"""Function calls whose arguments stream (Vertex, `streamFunctionCallArguments`): put together by JSON path.

The pieces are not JSON text but values at paths (`$.places[0].name`): only the end tells the arguments.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from llm_intercept.wire.codecs.gemini.shapes import listed, proto
from llm_intercept.wire.ir import Json

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\[['"]([^'"\]]*)['"]\]""")
_LONGEST = 10_000  # of a list


class Partial:
    """One call under way."""

    def __init__(self) -> None:
        self.arguments: dict[str, Any] = {}

    def take(self, call: Mapping[str, Json]) -> None:
        args = call.get("args")
        if isinstance(args, dict):
            self.arguments.update(args)
        for item in listed(call.get("partialArgs")):
            piece = proto(item)
            path = piece.get("jsonPath")
            steps = _steps(path) if isinstance(path, str) else []
            if steps:
                _put(self.arguments, steps, _value(piece))


def _steps(path: str) -> list[str | int]:
    return [int(number) if number else name or quoted for name, number, quoted in _STEP.findall(path)]


def _value(piece: Mapping[str, Json]) -> Any:
    for name in ("stringValue", "numberValue", "boolValue"):
        if name in piece:
            return piece[name]
    return None


def _put(root: dict[str, Any], steps: list[str | int], value: Any) -> None:
    """Strings come in pieces: a second one at the same path goes on with the first."""
    here: Any = root
    for step, following in pairwise(steps):
        here = _child(here, step, [] if isinstance(following, int) else {})
        if here is None:
            return
    last = steps[-1]
    before = _child(here, last, None)
    whole = before + value if isinstance(before, str) and isinstance(value, str) else value
    if isinstance(here, dict):
        here[str(last)] = whole
    elif isinstance(here, list) and isinstance(last, int) and last < len(here):
        here[last] = whole


def _child(here: Any, step: str | int, empty: Any) -> Any:
    """What is at this step, `empty` put there where nothing is; None where the path makes no sense."""
    if isinstance(here, dict):
        found = here.setdefault(str(step), empty)
        return empty if found is None else found
    if not isinstance(here, list) or not isinstance(step, int) or step >= _LONGEST:
        return None
    here.extend([None] * (step + 1 - len(here)))
    if here[step] is None:
        here[step] = empty
    return here[step]
