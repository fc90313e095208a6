"""What people and clients are told of a limit: sentences, refusals, and the headers that SDKs know."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from llm_intercept.errors import Refusal
from llm_intercept.policy.limits import NANOS, Applied, Limit
from llm_intercept.policy.windows import FOREVER, SECONDS, zone

_MAY = {"requests": "make", "tokens": "use", "cost": "spend", "concurrency": "have"}
_PER = {"minute": " a minute", "hour": " an hour", "day": " a day", "week": " a week", "month": " a month"}
_AT_ONCE_S = 1.0  # nobody knows when a call will end
_SOON_S = 60.0  # for longer no SDK waits
_NOT_AGAIN = ("x-should-retry", "false")  # SDKs of OpenAI and Anthropic try again by themselves otherwise
_HEADED = ("requests", "tokens")


class Standing(NamedTuple):
    """Where a limit stands for one member. `resets`: when it does, Unix seconds; None if that is unknown."""

    applied: Applied
    taken: int
    need: int
    resets: int | None

    @property
    def remaining(self) -> int:
        return max(0, self.applied.limit.amount - self.taken)


def quantity(measure: str, amount: int) -> str:
    """`$5.00`, `60 requests`, `1,000 tokens`, `4 calls at once`."""
    if measure == "cost":
        return money(amount)
    one = {"requests": "request", "tokens": "token"}.get(measure)
    if one is None:
        return f"{amount:,} call{'' if amount == 1 else 's'} at once"
    return f"{amount:,} {one}{'' if amount == 1 else 's'}"


def money(nanos: int) -> str:
    """Two decimals, more where that would hide something."""
    if nanos % 10_000_000 == 0 or nanos >= 100 * NANOS:
        return f"${nanos / NANOS:,.2f}"
    return f"${nanos / NANOS:,.4f}" if nanos >= 1_000_000 else f"${nanos / NANOS:.6f}"


def subject(limit: Limit, member: str = "") -> str:
    """`project demo`, `each token`, `token demo/laptop`, `everybody together`."""
    if limit.scope == "global":
        return "everybody together"
    word = "client IP" if limit.scope == "client_ip" else limit.scope
    name = member or limit.name
    return f"{word} {name}" if name else f"each {word}"


def sentence(limit: Limit, member: str = "") -> str:
    """`project demo may spend $5.00 a day`."""
    what = quantity(limit.measure, limit.amount)
    return f"{subject(limit, member)} may {_MAY[limit.measure]} {what}{_per(limit)}"


def _per(limit: Limit) -> str:
    if limit.measure == "concurrency":
        return ""
    return _PER.get(limit.per, " in total")


def moment(seconds: int, timezone: str) -> str:
    return f"{datetime.fromtimestamp(seconds, zone(timezone)):%Y-%m-%d %H:%M} {timezone}"


def state(standing: Standing) -> str:
    """`$4.98 are used or reserved`."""
    limit, taken = standing.applied.limit, standing.taken
    verb = "is" if taken == 1 else "are"
    if limit.measure == "concurrency":
        return f"{taken:,} {verb} under way"
    what = money(taken) if limit.measure == "cost" else f"{taken:,}"
    return f"{what} {'are' if limit.measure == 'cost' else verb} used or reserved"


def refusal(standing: Standing, now: float, headers: tuple[tuple[str, str], ...] = ()) -> Refusal:
    """Says which limit, its value, where it stands, what this call needs and when there is room again."""
    applied = standing.applied
    limit = applied.limit
    parts = [f"{sentence(limit, applied.member)} (limit {applied.stored.id})", state(standing)]
    if limit.measure in ("tokens", "cost"):
        need = quantity(limit.measure, standing.need)
        parts.append(f"this call may take up to {need}")
    parts.append(_when(standing, now))
    text = "; ".join(part for part in parts if part)
    budget = limit.measure == "cost"
    wait = retry_after(standing, now)
    hopeless = () if wait is not None and wait <= _SOON_S else (_NOT_AGAIN,)
    return Refusal(
        "budget" if budget else "rate_limit",
        "budget_exceeded" if budget else "rate_limit_exceeded",
        f"{text[0].upper()}{text[1:]}.",
        wait,
        headers=(*headers, *hopeless),
    )


def retry_after(standing: Standing, now: float) -> float | None:
    """Seconds after which it makes sense to try again; None: not before something else is changed."""
    if standing.applied.limit.measure == "concurrency":
        return _AT_ONCE_S if standing.applied.limit.amount else None
    return max(1.0, standing.resets - now) if standing.resets is not None else None


def _when(standing: Standing, now: float) -> str:
    limit = standing.applied.limit
    if standing.need > limit.amount:
        return "that never fits: ask for fewer tokens" if limit.measure in ("tokens", "cost") else ""
    if limit.measure == "concurrency":
        return "try again when one of them has ended"
    if standing.resets is None:
        return "that does not reset"
    if limit.per in SECONDS:
        return f"there is room again in {math.ceil(max(1.0, standing.resets - now))} s"
    return f"resets at {moment(standing.resets, limit.timezone)}"


def headers(dialect: str, standings: Sequence[Standing], now: float) -> tuple[tuple[str, str], ...]:
    """The tightest limit of each kind under the names that the client's SDK knows."""
    found: list[tuple[str, str]] = []
    for measure in _HEADED:
        ours = [s for s in standings if s.applied.limit.measure == measure and not s.applied.limit.soft]
        if ours:
            tightest = min(ours, key=lambda s: (s.remaining, s.resets or 0))
            write = _anthropic if dialect == "anthropic" else _openai
            found += write(measure, tightest, now)
    return tuple(found)


def _openai(measure: str, standing: Standing, now: float) -> list[tuple[str, str]]:
    amount, remaining = standing.applied.limit.amount, standing.remaining
    found = [
        (f"x-ratelimit-limit-{measure}", str(amount)),
        (f"x-ratelimit-remaining-{measure}", str(remaining)),
    ]
    if standing.resets is not None and standing.resets != FOREVER:
        seconds = max(0, math.ceil(standing.resets - now))
        found.append((f"x-ratelimit-reset-{measure}", duration(seconds)))
    return found


def _anthropic(measure: str, standing: Standing, now: float) -> list[tuple[str, str]]:
    amount, remaining = standing.applied.limit.amount, standing.remaining
    found = [
        (f"anthropic-ratelimit-{measure}-limit", str(amount)),
        (f"anthropic-ratelimit-{measure}-remaining", str(remaining)),
    ]
    if standing.resets is not None and standing.resets != FOREVER:
        when = datetime.fromtimestamp(standing.resets, UTC)
        found.append((f"anthropic-ratelimit-{measure}-reset", f"{when:%Y-%m-%dT%H:%M:%SZ}"))
    return found


def duration(seconds: int) -> str:
    """As OpenAI writes it: `59s`, `6m0s`, `2h0m5s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
