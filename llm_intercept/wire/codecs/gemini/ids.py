"""Ids for function calls that Gemini gave none: digests of what is known, the same in every turn.

Clients send calls and their responses back without ids too; then the name and the order tell
which response belongs to which call.
"""

import re
from collections import Counter, deque
from dataclasses import dataclass, field

from llm_intercept.wire.toolids import fitted

# Google documents no limit; anything printable of a sensible length goes through as it is.
PATTERN = re.compile(r"[!-~]{1,128}")
PREFIX = "call_"
_NEVER = re.compile(r"(?!)")


def minted(*known: str) -> str:
    return fitted("\x00".join(known), _NEVER, PREFIX)


def sent(call_id: str) -> str:
    """An id as Gemini gets it."""
    return fitted(call_id, PATTERN, PREFIX)


@dataclass(slots=True)
class AnswerIds:
    """Ids of the calls in one answer: its own id and the position of the call make them."""

    seed: str = ""
    _count: int = 0

    def call(self, given: str, name: str, arguments: str) -> str:
        self._count += 1
        return given or minted(self.seed, str(self._count), name, "" if self.seed else arguments)

    def result(self, call_id: str, name: str) -> str:
        return call_id or minted(self.seed, name)


@dataclass(slots=True)
class HistoryIds:
    """Ids of the calls in a client's history, and which call a response belongs to."""

    _seen: Counter[str] = field(default_factory=Counter)
    _open: deque[tuple[str, str]] = field(default_factory=deque)  # (id, name) without a response yet
    _known: set[str] = field(default_factory=set)

    def call(self, given: str, name: str, arguments: str) -> str:
        """What the call says makes its id, so that it survives when the client drops old turns."""
        same = f"{name}\x00{arguments}"
        self._seen[same] += 1
        call_id = given or minted(same, str(self._seen[same]))
        self._known.add(call_id)
        self._open.append((call_id, name))
        return call_id

    def result(self, call_id: str, name: str) -> str:
        """The id of the call that this response answers; a new one if there is none."""
        if call_id in self._known:
            self._open = deque(item for item in self._open if item[0] != call_id)
            return call_id
        found = next((item for item in self._open if item[1] == name), None)
        if found is None and self._open and not call_id:
            found = self._open[0]
        if found is None:
            return call_id or minted(name)
        self._open.remove(found)
        return found[0]
