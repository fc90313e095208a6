"""How providers write down a time to wait: durations, plain numbers, moments, and `Retry-After`.

6m0s  1.5s  120ms        a duration (OpenAI, Groq; `33s` in Google's RetryInfo)
31  0.5                  seconds
1754667660  ...000       a moment as Unix time, in seconds or milliseconds (OpenRouter)
2026-01-27T22:29:13Z     a moment (Anthropic)
Tue, 27 Jan 2026 ...     a moment (Retry-After)
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 365 * 86_400.0
_PART = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(ms|s|m|h|d)")
_PARTS = re.compile(r"(?:\d{1,15}(?:\.\d{1,15})?(?:ms|s|m|h|d))+")
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,15})?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# A number from here on is no duration any more but a moment: in seconds, in milliseconds.
_MOMENT, _MOMENT_MS = 1e9, 1e11


def duration(text: str) -> float | None:
    """Seconds of the durations that are found in it, at most `LONGEST`."""
    found = _PART.findall(text)
    if not found:
        return None
    return min(sum(float(number) * _SECONDS[unit] for number, unit in found), LONGEST)


def moment(text: str) -> float | None:
    """RFC 3339 as Unix seconds; without an offset it is UTC."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def until(text: str, now: float) -> float | None:
    """Seconds from `now` (Unix seconds), never less than none; None for what says nothing."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return _of_number(float(text), now)
    if _PARTS.fullmatch(text):
        return duration(text)
    found = moment(text)
    return None if found is None else min(max(0.0, found - now), LONGEST)


def _of_number(value: float, now: float) -> float:
    if value >= _MOMENT:
        value = (value / 1000 if value >= _MOMENT_MS else value) - now
    return min(max(0.0, value), LONGEST)


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds of `retry-after-ms` or `retry-after` (lower-case names); without a clock a date is absent."""
    exact = _plain(headers.get("retry-after-ms", ""))
    if exact is not None:
        return exact / 1000
    value = headers.get("retry-after", "")
    seconds = _plain(value)
    return _until_date(value, now) if seconds is None and now is not None else seconds


def _plain(value: str) -> float | None:
    value = value.strip().removesuffix("s")
    return min(float(value), LONGEST) if _NUMBER.fullmatch(value) else None


def _until_date(value: str, now: float) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
