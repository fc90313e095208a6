"""What an answer's headers say about the key it was given for: how long to leave it alone, what it has left.

Header names are in lower case, `now` is Unix seconds. Nothing here knows a provider: the names of these
headers are shared by many, and what is not there says nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson

from llm_intercept.wire import waits
from llm_intercept.wire.fields import mapping, objects, parse, parse_object, text

LONGEST = 3600.0
"""After an hour one call finds out whether the provider still means what it said."""
REFUSED_FOR = 600.0
"""401 and 403: a key that is refused does not get well by itself."""
LIMITED_FOR = 15.0
"""429 without a word about when to come back; doubles each time."""
LIMITED_FOR_LONGEST = 600.0
EXHAUSTED_FOR_LONGEST = 60.0
"""A reset tells when everything is there again; some of it is there earlier."""
_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class Room:
    """One limit of a key. `reset` is the Unix time at which it is whole again."""

    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None


@dataclass(frozen=True, slots=True)
class Headroom:
    """What a key has left; None for limits that the provider said nothing about."""

    requests: Room | None = None
    tokens: Room | None = None
    input_tokens: Room | None = None
    output_tokens: Room | None = None

    @property
    def rooms(self) -> tuple[Room, ...]:
        every = (self.requests, self.tokens, self.input_tokens, self.output_tokens)
        return tuple(room for room in every if room is not None)


def _anthropic(kind: str) -> tuple[str, str, str]:
    return (
        f"anthropic-ratelimit-{kind}-limit",
        f"anthropic-ratelimit-{kind}-remaining",
        f"anthropic-ratelimit-{kind}-reset",
    )


def _openai(kind: str) -> tuple[str, str, str]:
    return f"x-ratelimit-limit-{kind}", f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}"


# (limit, remaining, reset) by what is limited; the first of which anything is there counts.
_NAMES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "requests": (
        _openai("requests"),
        _anthropic("requests"),
        _openai("req-minute"),
        ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
        ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"),
    ),
    "tokens": (_openai("tokens"), _anthropic("tokens"), _openai("tokens-minute")),
    "input_tokens": (_anthropic("input-tokens"),),
    "output_tokens": (_anthropic("output-tokens"),),
}
SIGNS = tuple(name for schemes in _NAMES.values() for _, name, _ in schemes)
"""Without one of these names there is no headroom to read."""
# Azure: the length of the window; its resets are sometimes milliseconds and never longer than that.
_PERIODS = {"requests": "x-ratelimit-renewalperiod-requests", "tokens": "x-ratelimit-renewalperiod-tokens"}


def headroom(headers: Mapping[str, str], now: float) -> Headroom | None:
    """None when the answer says nothing about it."""
    found = {kind: room for kind in _NAMES if (room := _room(headers, kind, now)) is not None}
    return Headroom(**found) if found else None


def _room(headers: Mapping[str, str], kind: str, now: float) -> Room | None:
    for limit, remaining, reset in _NAMES[kind]:
        if remaining not in headers:
            continue
        room = Room(
            _count(headers.get(limit, "")),
            _count(headers[remaining]),
            _reset(headers.get(reset, ""), headers.get(_PERIODS.get(kind, ""), ""), now),
        )
        return room if room.remaining is not None else None
    return None


def _count(value: str) -> int | None:
    value = value.strip()
    if value.isascii() and value.isdecimal() and len(value) <= 15:
        return int(value)
    return 0 if value.startswith("-") and value[1:].isdecimal() else None


def _reset(value: str, period: str, now: float) -> float | None:
    wait = waits.until(value, now)
    if wait is None:
        return None
    longest = _count(period)
    return round(now + (min(wait, longest) if longest else wait), 3)


def exhausted_until(found: Headroom, now: float) -> float:
    """Until when a limit is known to be used up; 0.0 when none is."""
    resets = [room.reset for room in found.rooms if room.remaining == 0 and room.reset is not None]
    latest = min(max(resets, default=0.0), now + EXHAUSTED_FOR_LONGEST)
    return latest if latest > now else 0.0


def retry_after(headers: Mapping[str, str], now: float, body: bytes = b"") -> float | None:
    """Seconds that the provider asks to wait: `Retry-After`, or RetryInfo in the body of an error."""
    asked = waits.retry_after(headers, now)
    return _retry_info(body, now) if asked is None and body else asked


def _retry_info(body: bytes, now: float) -> float | None:
    if b"retryDelay" not in body:
        return None
    document = parse(body)
    if isinstance(document, list) and document:  # what a stream would have been
        document = document[0]
    details = objects(mapping(mapping(document).get("error")).get("details"))
    delays = (waits.until(text(item.get("retryDelay"), 40), now) for item in details)
    return next((delay for delay in delays if delay is not None), None)


def cooldown(
    status: int,
    headers: Mapping[str, str],
    now: float,
    *,
    repeated: int = 0,
    asked: float | None = None,
    body: bytes = b"",
) -> float:
    """Seconds to leave the key alone for; 0.0 for a status that says nothing about it.

    `repeated`: how often it was limited in a row before; `asked`: what the caller has read already.
    """
    if status in (401, 403):
        return REFUSED_FOR
    if status != 429:
        return 0.0
    wait = retry_after(headers, now, body)
    wait = asked if wait is None else wait
    wait = _until_reset(headers, now) if wait is None else wait
    if wait is None:
        return min(LIMITED_FOR * 2.0 ** min(repeated, _DOUBLINGS), LIMITED_FOR_LONGEST)
    return min(max(wait, 0.0), LONGEST)


def _until_reset(headers: Mapping[str, str], now: float) -> float | None:
    """The limit that is used up decides; else the one that comes back first, so as not to wait in vain."""
    found = headroom(headers, now)
    if found is None:
        return _lone_reset(headers, now)
    until = exhausted_until(found, now)
    if until:
        return until - now
    waiting = [room.reset - now for room in found.rooms if room.reset is not None and room.reset > now]
    return max(1.0, min(waiting)) if waiting else None


def _lone_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Resets without numbers beside them."""
    names = [names[2] for schemes in _NAMES.values() for names in schemes]
    found = [wait for name in names if name in headers and (wait := waits.until(headers[name], now))]
    return min(found, default=None)


def as_json(found: Headroom | None) -> str:
    """For the database and for people; the reverse is `of_json`."""
    return orjson.dumps(found).decode() if found else ""


def of_json(document: str) -> Headroom | None:
    members = parse_object(document) if document else {}
    rooms = {field.name: _as_room(members.get(field.name)) for field in fields(Headroom)}
    return Headroom(**rooms) if any(rooms.values()) else None


def _as_room(value: Any) -> Room | None:
    members = mapping(value)
    numbers = {name: members.get(name) for name in ("limit", "remaining", "reset")}
    known = {name: number for name, number in numbers.items() if isinstance(number, int | float)}
    return Room(**known) if known else None  # type: ignore[arg-type]
