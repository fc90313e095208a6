"""The tries of one call: which target it is at, and how everything stood before the first.

Planning writes into the exchange; for a further try it is rewound to its `Start` and planned anew.
"""

import copy
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from llm_intercept.exchange import Exchange
from llm_intercept.policy.attempts import (
    KEY_STATUSES,
    RETRYABLE_STATUSES,
    Candidate,
    Failure,
    Rules,
    Try,
    attempts,
)

if TYPE_CHECKING:
    from llm_intercept.engine.health import TargetKey
    from llm_intercept.policy.models import Resolution
    from llm_intercept.policy.routing import Route
    from llm_intercept.providers.base import Endpoint, Provider
    from llm_intercept.providers.presented import Presented

# Answers whose bodies say whether another try makes sense: signatures, and conversations that are too long.
_TELLING = frozenset((400, 413, 422))


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; 0.0 for none."""

    connect: float
    first_byte: float
    idle: float
    total: float


def overdue(exchange: Exchange, limits: Timeouts, now: float, heard: float) -> str:
    """Which limit a call has passed, "" for none. `heard`: when its answer was last added to."""
    phases = exchange.phases
    if limits.total and now - phases.received > limits.total:
        return "total"
    if not phases.first_byte:
        waiting = exchange.waiting_since
        return "first_byte" if limits.first_byte and waiting and now - waiting > limits.first_byte else ""
    return "idle" if limits.idle and now - max(heard, phases.first_byte) > limits.idle else ""


@dataclass(slots=True)
class Start:
    """What planning changes, as the client's call alone said it."""

    provider: "Provider"
    endpoint: "Endpoint"
    path: str
    stream: bool
    presented: "tuple[Presented, ...]"
    request_encoding: str
    changes: int  # how many there were
    warnings: int


@dataclass(slots=True)
class Course:
    """`current` is the try under way; `target` what health is kept of ("" keys are the client's own: none).

    `alternatives` tells whether another target may still answer.
    """

    candidates: Sequence[Candidate]
    rules: Rules
    start: Start
    chance: Callable[[], float]
    found: "Resolution | None" = None  # what the model's name alone leads to
    conversation: str = ""
    route: "Route | None" = None
    alone: bool = False  # there is no other target: its breaker does not stop it
    current: Try = field(init=False)
    alternatives: bool = field(init=False)
    tries: Generator[Try, Failure, None] | None = None
    head: list[tuple[str, str]] = field(default_factory=list)  # the client's header fields
    authority: bytes = b""  # the client's, of HTTP/2
    target: "TargetKey | None" = None
    under_way: bool = False  # counted as busy

    def __post_init__(self) -> None:
        self.current = Try(self.candidates[0], 1)
        self.alternatives = len(self.candidates) > 1

    def after(self, failure: Failure) -> Try | None:
        """The next try, if there is one."""
        if self.tries is None:
            self.tries = attempts(self.candidates, self.rules, self.chance)
            next(self.tries)
        try:
            self.current = self.tries.send(failure)
        except StopIteration:
            self.alternatives = False
            return None
        return self.current

    def may_go_on_after(self, status: int) -> bool:
        """Whether an answer with this status has to be seen whole before the client gets any of it."""
        if status in _TELLING:
            return True
        return not self.rules.own and (status in RETRYABLE_STATUSES or status in KEY_STATUSES)


def start_of(exchange: Exchange) -> Start:
    return Start(
        exchange.provider,
        exchange.endpoint,
        exchange.path,
        exchange.stream,
        exchange.presented,
        exchange.request_encoding,
        len(exchange.changes),
        len(exchange.warnings),
    )


# What belongs to one try; everything else in an exchange belongs to the call.
_OF_A_TRY = (
    *("target", "minted", "rerouted", "moved", "client_path", "upstream_model", "splices", "upstream_body"),
    *("extra_headers", "translation", "counted_here", "resent", "changed_body", "hide_usage"),
    *("response_headers", "response_type", "response_encoding", "reading", "status", "ended_by"),
    *("error_message", "tap", "pipe", "refusal", "response_body", "response_bytes", "waiting_since"),
    *("timed_out", "stopped", "fingerprint", "said"),
)
_FRESH = tuple(f for f in fields(Exchange) if f.name in _OF_A_TRY)


def rewind(exchange: Exchange, start: Start) -> None:
    """As if it had not been planned yet."""
    for f in _FRESH:
        setattr(exchange, f.name, f.default_factory() if callable(f.default_factory) else f.default)
    exchange.provider, exchange.endpoint = start.provider, start.endpoint
    exchange.path, exchange.stream, exchange.presented = start.path, start.stream, start.presented
    exchange.request_encoding, exchange.upstream_sha256 = start.request_encoding, exchange.request_sha256
    del exchange.changes[start.changes :]
    del exchange.warnings[start.warnings :]
    phases = exchange.phases
    phases.sent = phases.first_byte = phases.first_token = phases.last_byte = 0.0


def kept(exchange: Exchange) -> Exchange:
    """A copy to `restore` from, should no further try be possible."""
    found = copy.copy(exchange)
    found.changes, found.warnings = [*exchange.changes], [*exchange.warnings]
    found.phases = copy.copy(exchange.phases)
    return found


def restore(exchange: Exchange, from_: Exchange) -> None:
    for f in fields(Exchange):
        setattr(exchange, f.name, getattr(from_, f.name))
