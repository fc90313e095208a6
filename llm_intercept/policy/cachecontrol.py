"""What becomes of a call where answers are stored: modes, and what a client asks for in `Cache-Control`.

    no-store, private       neither asked for nor stored
    no-cache, max-age=0     not asked for, but the new answer is stored
    max-age=N, s-maxage=N   an answer that is at most N seconds old; a new one is good for N seconds
    public                  as settings say; like max-age, it asks for the cache where that is `opt-in`
    only-if-cached          504 if there is none

RFC 9111, section 5.2.1. The same words of a provider are not looked at: all of them forbid to store what
nobody but the caller may see, and the caller is who gets it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

type CacheMode = Literal["off", "opt-in", "on"]
MODES: tuple[CacheMode, ...] = ("off", "opt-in", "on")

_DIRECTIVE = re.compile(r"""([a-z-]+)(?:\s*=\s*"?([^",\s]*)"?)?""", re.IGNORECASE)
_REASON = re.compile(rb'"finish_?[rR]eason"\s{0,9}:\s{0,9}"([^"\\]{0,60})"')
# Why an answer ended, where it said all that it wanted to. Whatever else is there is not to be repeated.
_ENDED_WELL = frozenset(
    (
        *("stop", "end_turn", "stop_sequence", "tool_use", "tool_calls", "tool_call", "function_call"),
        *("completed", "complete", "finish", "finished", "eos", "eos_token", "endoftext"),
    )
)


@dataclass(frozen=True, slots=True)
class Wish:
    """`max_age`: how old an answer may be, in seconds; `ttl`: how long a new one is good for."""

    read: bool
    store: bool
    ttl: float
    max_age: float | None = None
    only: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What settings say, in seconds."""

    ttl: float
    max_ttl: float


def wish(mode: str, header: str, terms: Terms) -> Wish | None:
    """What is to be done for this call; None where the cache has nothing to do with it."""
    if mode == "off" or (mode == "opt-in" and not header):
        return None
    if not header:
        return Wish(read=True, store=True, ttl=terms.ttl)
    said = {name.lower(): value for name, value in _DIRECTIVE.findall(header)}
    age = _seconds(said, "s-maxage") if "s-maxage" in said else _seconds(said, "max-age")
    if mode == "opt-in" and not (age or "public" in said or "only-if-cached" in said):
        return None
    if "no-store" in said or "private" in said:
        return Wish(read=False, store=False, ttl=0.0, only="only-if-cached" in said)
    ttl = min(age, terms.max_ttl) if age else terms.ttl
    if mode == "on":
        ttl = max(ttl, terms.ttl)
    return Wish(
        read="no-cache" not in said and age != 0,
        store="only-if-cached" not in said,
        ttl=ttl,
        max_age=age,
        only="only-if-cached" in said,
    )


def _seconds(said: Mapping[str, str], name: str) -> float | None:
    value = said.get(name, "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 12 else None


def chosen(listener: str, project: str | None, settings: str) -> str:
    """The mode that holds: the nearest that says something; but a project's `off` is a promise."""
    return "off" if project == "off" else listener or project or settings


def is_whole(finish_reason: str, body: bytes, *, generated: bool) -> bool:
    """Whether an answer said all that it wanted: not cut at its length, not blocked, not paused.

    Where there are several answers in one, each of them.
    """
    if not generated:
        return True
    reasons = (finish_reason, *(found[1].decode("utf-8", "replace") for found in _REASON.finditer(body)))
    return all(reason.lower() in _ENDED_WELL for reason in reasons)
