"""Cells of Datasette's own tables and of stored queries: money, times, tokens and outcomes made readable."""

import json
from collections.abc import Callable

from datasette.app import Datasette
from markupsafe import Markup, escape

from llm_dashboard import formats

# What the table of requests shows at first; every other column is one click away.
TABLE_COLUMNS = (
    "ts",
    "request_id",
    "project",
    "token",
    "provider",
    "model",
    "status",
    "outcome",
    "input_tokens",
    "output_tokens",
    "cost_nanos",
    "duration_ms",
    "ttft_ms",
)


def _number(text: str, exact: object) -> Markup:
    return Markup('<span class="num" title="{}">{}</span>').format(exact, text)


def _money(value: object) -> Markup | None:
    return _number(formats.money(value), formats.exact_money(value)) if isinstance(value, int) else None


def _duration(value: object) -> Markup | None:
    return _number(formats.duration(value), f"{value} ms") if isinstance(value, int | float) else None


def _count(value: object) -> Markup | None:
    return _number(formats.count(value), value) if isinstance(value, int) else None


def _size(value: object) -> Markup | None:
    return _number(formats.size(value), f"{value} bytes") if isinstance(value, int) else None


def _cache(value: object) -> Markup:
    return Markup('<span class="badge {}">{}</span>').format("good" if value == "hit" else "quiet", value)


def _percent(value: object) -> Markup | None:
    return _number(formats.percent(value), value) if isinstance(value, int | float) else None


def _outcome(value: object) -> Markup:
    name = str(value)
    return Markup('<span class="badge {}">{}</span>').format(formats.tone(name), formats.outcome(name))


def _status(value: object) -> Markup | None:
    if not isinstance(value, int):
        return None
    return Markup('<span class="status {}">{}</span>').format(formats.status_tone(value), value)


def _yes_no(value: object) -> Markup:
    return Markup('<span class="muted">{}</span>').format("yes" if value else "no")


def _digest(value: object) -> Markup:
    return Markup('<code title="{}">{}</code>').format(value, str(value)[:12])


def _list(value: object) -> Markup | None:
    try:
        items = json.loads(str(value)) if value else []
    except ValueError:
        return None
    if not isinstance(items, list):
        return None
    return Markup(" ").join(Markup('<span class="chip">{}</span>').format(item) for item in items)


def _phases(value: object) -> Markup:
    return Markup('<span class="muted" title="{}">{}</span>').format(value, "measured" if value else "")


def _time(value: object) -> Markup:
    text = str(value).removesuffix("Z")
    return Markup('<time title="{}">{}</time>').format(value, text[:19].replace("T", " "))


def _key(value: object) -> Markup:
    """Names that may be empty: nothing known is not the same as an empty cell."""
    return escape(value) if value else Markup('<span class="muted">none</span>')


_BY_COLUMN: dict[str, Callable[[object], Markup | None]] = {
    "outcome": _outcome,
    "status": _status,
    "stream": _yes_no,
    "priced": _yes_no,
    "simulated": _yes_no,
    "changes": _list,
    "warnings": _list,
    "phases": _phases,
    "ts": _time,
    "error_rate": _percent,
    "hit_rate": _percent,
    "cache": _cache,
    "cache_hits": _count,
    "cache_asked": _count,
    "requests": _count,
    "errors": _count,
    "streams": _count,
    "unpriced": _count,
    "project": _key,
    "token": _key,
    "model": _key,
    "provider": _key,
}
_BY_ENDING: tuple[tuple[str, Callable[[object], Markup | None]], ...] = (
    ("_nanos", _money),
    ("_tokens", _count),
    ("_bytes", _size),
    ("_sha256", _digest),
    ("_ms", _duration),
    ("_ms_p50", _duration),
    ("_ms_p95", _duration),
    ("_ms_avg", _duration),
)


def _chosen(column: str) -> Callable[[object], Markup | None] | None:
    if column in _BY_COLUMN:
        return _BY_COLUMN[column]
    return next((render for ending, render in _BY_ENDING if column.endswith(ending)), None)


_cache: dict[str, Callable[[object], Markup | None] | None] = {}


def render(datasette: Datasette, column: str, value: object) -> Markup | None:
    """None leaves the cell to Datasette. Called for each cell, so it is one dict lookup."""
    if column == "request_id" and isinstance(value, str):
        return _link(datasette, value, value[:8] + "…" if len(value) > 12 else value)
    if column == "id" and isinstance(value, int) and value > 1_000_000_000_000_000:
        return _link(datasette, str(value), formats.iso(value))
    if column not in _cache and len(_cache) < 1000:
        _cache[column] = _chosen(column)
    chosen = _cache.get(column)
    return chosen(value) if chosen else None


def _link(datasette: Datasette, request_id: str, text: str) -> Markup:
    href = datasette.urls.path(f"/-/llm/requests/{request_id}")
    return Markup('<a href="{}" title="{}">{}</a>').format(href, request_id, text)
