"""Which target is tried next, when, and whether at all: a generator over candidates.

    order = attempts(candidates, rules, chance)
    first = next(order)
    then = order.send(failure)        # StopIteration: hand the failure to the client

Pure: what time it took and what was drawn are parameters.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

type FailureKind = Literal[
    "connect",  # the provider could not be reached
    "lost",  # the connection ended before the answer's headers
    "timeout",  # no answer in time
    "status",  # an answer with an error's status
    "stream_error",  # 200, and then an error before any content
    "overflow",  # the conversation is too long for the model
    "signature",  # a thinking signature that the provider does not accept
    "skipped",  # it was not tried at all: it cannot take this call, or not now
]
RETRYABLE_STATUSES = frozenset((408, 409, 425, 429, *range(500, 600)))
KEY_STATUSES = frozenset((401, 403, 429))
"""What says something about the key, and nothing about the provider."""


_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target that may be tried. `provider` and `model` are as they are sent.

    `credential` is the stored key's name, None for the client's own or for none at all.
    """

    provider: str
    model: str
    credential: str | None = None
    overrides: Mapping[str, object] = _NOTHING
    reason: str = ""
    longer: bool = False  # only for conversations that were too long for another


@dataclass(frozen=True, slots=True)
class Failure:
    """How a try ended. `retry_after` in seconds, as the provider asked; `elapsed` is the call's."""

    kind: FailureKind
    status: int | None = None
    retry_after: float | None = None
    message: str = ""
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True)
class Rules:
    """`own`: the client's own key and no route: what was never answered is tried again, no more.
    `creates`: it makes something that would be there twice, should the first one have arrived.
    """

    tries: int = 4
    again: int = 1
    backoff: float = 0.25
    budget: float = 30.0
    own: bool = False
    creates: bool = False


@dataclass(frozen=True, slots=True)
class Try:
    """`wait` seconds before it; `without_thinking`: the history's thinking is left out this time."""

    candidate: Candidate
    number: int
    wait: float = 0.0
    without_thinking: bool = False


def attempts(
    candidates: Sequence[Candidate], rules: Rules, chance: Callable[[], float]
) -> Generator[Try, Failure, None]:
    """Yields tries; is sent how each one failed. `chance` gives numbers in [0, 1)."""
    state = _State(list(candidates), rules, chance)
    current: Try | None = Try(candidates[0], 1)
    while current is not None:
        failure = yield current
        current = state.after(current, failure)


class _State:
    def __init__(self, candidates: list[Candidate], rules: Rules, chance: Callable[[], float]) -> None:
        self._waiting = [c for c in candidates[1:] if not c.longer]
        self._longer = [c for c in candidates[1:] if c.longer]
        self._rules = rules
        self._chance = chance
        self._again = 0
        self._stripped = False
        self._waited = 0.0

    def after(self, last: Try, failure: Failure) -> Try | None:
        # What was too long for another stays with those that take more.
        left = self._longer if last.candidate.longer else self._waiting
        if failure.kind == "skipped":
            return self._next(left, last, last.number)
        number = last.number + 1
        if number > self._rules.tries:
            return None
        match failure.kind:
            case "signature":
                return self._without_thinking(last, number)
            case "overflow":
                return self._next(self._longer, last, number)
        if not self._is_retryable(failure):
            return None
        self._drop_hopeless(left, last.candidate, failure)
        return self._next(left, last, number) or self._same(last, failure, number)

    def _is_retryable(self, failure: Failure) -> bool:
        if self._rules.creates and failure.kind in ("lost", "timeout"):
            return False
        if self._rules.own:
            return failure.kind in ("connect", "lost")
        if failure.kind != "status":
            return True
        return failure.status in RETRYABLE_STATUSES or failure.status in KEY_STATUSES

    def _without_thinking(self, last: Try, number: int) -> Try | None:
        if self._stripped:
            return None
        self._stripped = True
        return Try(last.candidate, number, without_thinking=True)

    @staticmethod
    def _drop_hopeless(left: list[Candidate], failed: Candidate, failure: Failure) -> None:
        """Another key does not help a provider that is down; its other models may."""
        if failure.kind in ("connect", "timeout") or (failure.status or 0) >= 500:
            left.sort(key=lambda c: (c.provider, c.model) == (failed.provider, failed.model))

    @staticmethod
    def _next(left: list[Candidate], last: Try, number: int) -> Try | None:
        if not left:
            return None
        return Try(left.pop(0), number, without_thinking=last.without_thinking)

    def _same(self, last: Try, failure: Failure, number: int) -> Try | None:
        """The target that failed, after a pause: there is no other."""
        if self._again >= self._rules.again or failure.status in (401, 403):
            return None
        wait = self._pause(failure)
        if self._waited + wait > self._rules.budget:
            return None
        self._again += 1
        self._waited += wait
        return Try(last.candidate, number, wait, last.without_thinking)

    def _pause(self, failure: Failure) -> float:
        if failure.kind == "lost" and not self._again:
            return 0.0  # most likely a connection that had been idle for too long
        if failure.retry_after is not None:
            return failure.retry_after
        return float(self._rules.backoff * 2**self._again * (0.5 + self._chance()))
