"""Headers of a translated answer: the content's own, rate limits under the client's names, nothing that lies.

OpenAI:    x-ratelimit-{limit,remaining,reset}-{requests,tokens}; reset is a duration ("6m0s", "20ms")
Anthropic: anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}; reset is a moment (RFC 3339)
"""

import re
from datetime import UTC, datetime, timedelta

from llm_intercept.wire import waits

type Pairs = list[tuple[str, str]]

# Of the body that is not sent any more, of the connection it came by, or of the provider's own site.
_DROPPED = frozenset(
    [
        *("content-length", "content-encoding", "content-type", "transfer-encoding", "connection"),
        *("keep-alive", "set-cookie", "alt-svc", "strict-transport-security", "vary", "etag", "trailer"),
    ]
)
_OPENAI = re.compile(r"x-ratelimit-(limit|remaining|reset)-(requests|tokens)")
_ANTHROPIC = re.compile(r"anthropic-ratelimit-(requests|tokens)-(limit|remaining|reset)")


def translated(headers: Pairs, dialect: str, content_type: str, now: float) -> Pairs:
    """The provider's headers for a client of `dialect`; `now` is Unix seconds."""
    kept = [(n, v) for n, v in headers if n.lower() not in _DROPPED and not _is_limit(n)]
    limits = [_renamed(n.lower(), v, dialect == "anthropic", now) for n, v in headers if _is_limit(n)]
    return [("content-type", content_type), *kept, *limits]


def _is_limit(name: str) -> bool:
    return bool(_OPENAI.fullmatch(name.lower()) or _ANTHROPIC.fullmatch(name.lower()))


def _renamed(name: str, value: str, to_anthropic: bool, now: float) -> tuple[str, str]:
    ours = _ANTHROPIC.fullmatch(name)
    theirs = _OPENAI.fullmatch(name)
    if to_anthropic and theirs:
        kind, what = theirs.groups()
        return f"anthropic-ratelimit-{what}-{kind}", _moment(value, now) if kind == "reset" else value
    if not to_anthropic and ours:
        what, kind = ours.groups()
        return f"x-ratelimit-{kind}-{what}", _duration(value, now) if kind == "reset" else value
    return name, value


def _moment(duration: str, now: float) -> str:
    seconds = waits.duration(duration)
    if seconds is None:
        return duration
    return (datetime.fromtimestamp(now, UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _duration(moment: str, now: float) -> str:
    found = waits.moment(moment)
    return moment if found is None else f"{max(0, round(found - now))}s"
