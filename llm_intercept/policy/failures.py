"""Failures on purpose: what an operator asks for, and what it means for one call. Decided once, purely.

Chance and the state of a run (which call this is, how many came in the last minute) are parameters:
`llm_intercept/failing.py` keeps them. Every call draws the same number of times, whatever is switched
on, so that a seed gives the n-th call the same draws under every setting.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from llm_intercept.wire.sabotage import UNTOUCHED, StreamPlan

type Kind = Literal["ip_blocked", "rate_limited", "timeout", "error_injection"]

LONGEST_DELAY = 30.0
_ROUNDING = 1e-9
Rate = Annotated[float, Field(ge=0, le=1)]


def matches(pattern: str, ip: str) -> bool:
    """Whether an address is meant: by itself, by its network (10.0.0.0/8), or by `*` (10.0.*)."""
    ip = _plain(ip)
    if "*" in pattern:
        return re.fullmatch(".*".join(map(re.escape, pattern.lower().split("*"))), ip) is not None
    try:
        address = ip_address(ip)
    except ValueError:
        return False
    return address in ip_network(pattern, strict=False)


def _plain(ip: str) -> str:
    """An IPv4 address that came in over an IPv6 socket is still an IPv4 address."""
    return ip.lower().removeprefix("::ffff:") if "." in ip else ip.lower()


def _pattern(value: str) -> str:
    value = value.strip()
    if "*" in value:
        if not re.fullmatch(r"[0-9a-fA-F.:*]+", value):
            raise ValueError(f"{value!r} is no pattern of addresses; write it like 10.0.*")
        return value
    try:
        ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is no address: use 10.1.2.3, 10.0.0.0/8 or 10.0.*") from None
    return value


Pattern = Annotated[str, AfterValidator(_pattern)]


class Part(BaseModel):
    """One kind of failure; all are off until they are switched on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = False


class Timeout(Part):
    """The call is held for `seconds`, then it has timed out; None: until the client goes away."""

    seconds: float | None = Field(None, ge=0, le=86_400)
    rate: Rate = 1.0


class ErrorInjection(Part):
    """`error_rates`: status -> share of the calls, together at most 1. `retry_after` goes with a 429."""

    error_rates: dict[Annotated[int, Field(ge=400, le=599)], Rate] = {}
    retry_after: float | None = Field(1.0, ge=0, le=86_400)

    @model_validator(mode="after")
    def _at_most_all(self) -> Self:
        if sum(self.error_rates.values()) > 1 + _ROUNDING:
            raise ValueError("the error rates are more than 1 together")
        return self


class IpFiltering(Part):
    """Who is in `block`, or is not in `allow` where that names anybody, gets a 403."""

    allow: tuple[Pattern, ...] = ()
    block: tuple[Pattern, ...] = ()


class RateLimiting(Part):
    requests_per_minute: int = Field(60, ge=1)


class ResponseDelay(Part):
    """Seconds before the first byte of the answer; `cache_only`: only of answers out of the cache."""

    min: float = Field(0.5, ge=0, le=LONGEST_DELAY)
    max: float = Field(2.0, ge=0, le=LONGEST_DELAY)
    cache_only: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError("the shortest delay is longer than the longest")
        return self


class StreamFailures(Part):
    """A stream ends in the middle, or one event of it is unreadable. Events count from 1."""

    cut_after_bytes: int | None = Field(None, ge=0)
    cut_after_events: int | None = Field(None, ge=0)
    garble_at_event: int | None = Field(None, ge=1)
    rate: Rate = 1.0

    @model_validator(mode="after")
    def _one_cut(self) -> Self:
        if self.cut_after_bytes is not None and self.cut_after_events is not None:
            raise ValueError("a stream is cut after bytes or after events, not both")
        return self


class SlowTokens(Part):
    """`tokens`: events of a stream per second."""

    tokens: float = Field(10.0, gt=0, le=1000)


class Failures(BaseModel):
    """Everything that is simulated for one listener or project. With a `seed` each run is the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout: Timeout = Timeout()
    error_injection: ErrorInjection = ErrorInjection()
    ip_filtering: IpFiltering = IpFiltering()
    rate_limiting: RateLimiting = RateLimiting()
    response_delay: ResponseDelay = ResponseDelay()
    stream: StreamFailures = StreamFailures()
    slow_tokens: SlowTokens = SlowTokens()
    seed: int | None = None

    @property
    def enabled(self) -> tuple[str, ...]:
        """The parts that are switched on."""
        return tuple(name for name in PARTS if getattr(self, name).enabled)


PARTS: tuple[str, ...] = tuple(name for name in Failures.model_fields if name != "seed")


@dataclass(frozen=True, slots=True)
class CallFacts:
    """`recent`: calls of this scope in the last minute, this one not included; `frees_in`: seconds until
    the oldest of them is a minute old."""

    client_ip: str
    number: int = 1
    recent: int = 0
    frees_in: float = 60.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one call. With a `kind` it ends here, with that `status`; `hold` is how long it is
    held before that (None: until the client goes away). Otherwise it goes on, and `delay` and `stream`
    are for its answer."""

    kind: Kind | None = None
    status: int = 0
    retry_after: float | None = None
    hold: float | None = 0.0
    delay: float = 0.0
    cache_only: bool = False
    stream: StreamPlan = UNTOUCHED


@dataclass(frozen=True, slots=True)
class _Draws:
    timeout: float
    error: float
    delay: float
    stream: float


def decide(failures: Failures, call: CallFacts, draw: Callable[[], float]) -> Decision:
    """The fate of a call; `draw` gives numbers from 0 up to 1."""
    draws = _Draws(draw(), draw(), draw(), draw())
    ended = _barred(failures, call) or _timed_out(failures.timeout, draws) or _failed(failures, draws)
    if ended is not None:
        return ended
    delay = failures.response_delay
    return Decision(
        delay=delay.min + (delay.max - delay.min) * draws.delay if delay.enabled else 0.0,
        cache_only=delay.cache_only,
        stream=_stream(failures, draws),
    )


def _barred(failures: Failures, call: CallFacts) -> Decision | None:
    addresses, limit = failures.ip_filtering, failures.rate_limiting
    if addresses.enabled and _is_blocked(addresses, call.client_ip):
        return Decision("ip_blocked", 403)
    if limit.enabled and call.recent >= limit.requests_per_minute:
        return Decision("rate_limited", 429, retry_after=call.frees_in)
    return None


def _is_blocked(addresses: IpFiltering, ip: str) -> bool:
    if _any(addresses.block, ip):
        return True
    return bool(addresses.allow) and not _any(addresses.allow, ip)


def _any(patterns: Iterable[str], ip: str) -> bool:
    return any(matches(pattern, ip) for pattern in patterns)


def _timed_out(timeout: Timeout, draws: _Draws) -> Decision | None:
    if not timeout.enabled or draws.timeout >= timeout.rate:
        return None
    return Decision("timeout", 504, hold=timeout.seconds)


def _failed(failures: Failures, draws: _Draws) -> Decision | None:
    """The rates lie side by side, in the order of their status: one draw picks one or none."""
    errors = failures.error_injection
    if not errors.enabled:
        return None
    reached = 0.0
    for status, rate in sorted(errors.error_rates.items()):
        reached += rate
        if draws.error < reached:
            return Decision("error_injection", status, errors.retry_after if status == 429 else None)
    return None


def _stream(failures: Failures, draws: _Draws) -> StreamPlan:
    stream, slow = failures.stream, failures.slow_tokens
    pace = slow.tokens if slow.enabled else None
    if not stream.enabled or draws.stream >= stream.rate:
        return StreamPlan(events_per_second=pace)
    return StreamPlan(stream.cut_after_bytes, stream.cut_after_events, stream.garble_at_event, pace)
