"""What becomes of a call besides its answer: failures, cuts, delays.

Models choose it, rates roll for it, and a scenario (`scenario.py`) overrules both.
"""

import random
import re
from dataclasses import dataclass
from typing import Literal

from llm_intercept.settings import SimSettings

MODELS: dict[str, str] = {
    "echo": "returns the last user text",
    "lorem": "lorem ipsum, as long as the request's token limit",
    "tools": "calls the first offered tool with arguments of its schema's shape",
    "think": "reasoning, then the echo",
    "slow": "the echo, first token after 2 seconds, then 10 tokens a second",
    "error-429": "always rate limited, with Retry-After",
    "error-500": "always an internal error",
    "error-overloaded": "always overloaded (529 or 503)",
    "cut": "the connection breaks half-way through the answer",
    "hang": "accepts the request and never answers",
}
"""The simulator's own models, without their prefix `sim/`. Any other name behaves like `sim/echo`."""

_OWN = re.compile(r"(?:^|/)sim[/.\-](" + "|".join(map(re.escape, MODELS)) + r")(?:$|[:@])")
_SLOW_LATENCY = 2.0
_SLOW_PACE = 10.0


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that a provider would answer with; each dialect words and shapes it."""

    status: int
    kind: str  # rate_limit | server | overloaded | not_found | invalid | ... as `errors.py` has them
    message: str
    retry_after: float | None = None  # seconds
    retry_after_ms: int | None = None
    exact: bool = False  # this very status, also from providers that never send it


@dataclass(frozen=True, slots=True)
class Fault:
    """What a scenario does to an answer under way, after so many of its events or bytes."""

    kind: Literal["drop", "hang", "stream_error", "garble"]
    events: int | None = None
    bytes: int | None = None
    failure: Failure | None = None  # what a `stream_error` says


@dataclass(frozen=True, slots=True)
class Fate:
    """Everything about a call that is not its content."""

    behaviour: str
    failure: Failure | None = None
    cut: bool = False
    hang: bool = False
    latency: float = 0.0  # seconds to the first token
    pace: float = 0.0  # tokens per second, 0 = at once
    event_delay: float = 0.0  # seconds before each event of a stream
    fault: Fault | None = None
    say: str | None = None  # the answer's text


_FAILURES = {
    "error-429": Failure(429, "rate_limit", "Rate limit reached (simulated). Please try again in 1s.", 1),
    "error-500": Failure(500, "server", "The simulated server had an error while processing your request."),
    "error-overloaded": Failure(529, "overloaded", "Overloaded (simulated)"),
}


def behaviour_of(model: str) -> str:
    """Which of MODELS a model name stands for: `sim/lorem`, `sim-lorem` or `sim.lorem`, else `echo`."""
    found = _OWN.search(model)
    return found[1] if found else "echo"


class Dice:
    """All of the simulator's chance; with a seed, the same calls meet the same fates."""

    def __init__(self, settings: SimSettings) -> None:
        self._settings = settings
        self._fates = random.Random(settings.seed)
        self._ids = random.Random(settings.seed)

    def fate(self, model: str) -> Fate:
        """Rolls for one call; every call draws the same number of times, so that seeds stay comparable."""
        fails, which, cuts = self._fates.random(), self._fates.random(), self._fates.random()
        behaviour = behaviour_of(model)
        failure = _FAILURES.get(behaviour)
        if failure is None and fails < self._settings.error_rate:
            failure = _FAILURES["error-429" if which < 0.5 else "error-500"]
        slow = behaviour == "slow"
        return Fate(
            behaviour=behaviour,
            failure=failure,
            cut=behaviour == "cut" or cuts < self._settings.cut_rate,
            hang=behaviour == "hang",
            latency=_SLOW_LATENCY if slow else self._settings.latency_ms / 1000,
            pace=_SLOW_PACE if slow else self._settings.tokens_per_second,
        )

    def id(self, length: int = 24) -> str:
        """A fresh identifier of lower-case hexadecimal digits."""
        return f"{self._ids.getrandbits(4 * length):0{length}x}"

    @property
    def lorem_start(self) -> int:
        """Where in the lorem text an answer begins."""
        return (self._settings.seed or 0) % 50
