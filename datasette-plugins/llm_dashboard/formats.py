"""Numbers, times and outcomes as people read them. Pure functions; the exact value belongs in a title."""

from datetime import UTC, datetime

from llm_intercept.store.rows import ERROR_OUTCOMES

NONE = "–"
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))
_LABELS = {
    "ok": "OK",
    "client_error": "Client error",
    "provider_error": "Provider error",
    "refused": "Refused",
    "connect_failed": "No connection",
    "timeout": "Timeout",
    "client_gone": "Client left",
    "upstream_cut": "Cut off",
    "internal_error": "Internal error",
    "interrupted": "Interrupted",
}


def money(nanos: float | None) -> str:
    """Cents for amounts of a dollar and more, three significant digits below."""
    if nanos is None:
        return NONE
    dollars = nanos / 1e9
    if nanos == 0 or abs(dollars) >= 1:
        return f"${dollars:,.2f}"
    digits = next((n for n in range(2, 9) if abs(dollars) >= 10**-n * 10), 9)
    whole, _, decimals = f"{dollars:.{min(digits + 1, 9)}f}".partition(".")
    return f"${whole}.{decimals.rstrip('0').ljust(2, '0')}"


def exact_money(nanos: int | None) -> str:
    return NONE if nanos is None else f"${nanos / 10**9:,.9f}"


def count(number: float | None) -> str:
    return NONE if number is None else f"{number:,.0f}"


def short(number: float | None) -> str:
    """1,234 -> 1.23k: for cards and axes."""
    if number is None:
        return NONE
    for size, suffix in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size:
            scaled = number / (1e3 if suffix == "k" else size)
            return f"{scaled:.{0 if scaled >= 100 else 1 if scaled >= 10 else 2}f}{suffix}"
    return f"{number:,.0f}"


def duration(milliseconds: float | None) -> str:
    if milliseconds is None:
        return NONE
    if milliseconds < 1:
        return f"{milliseconds * 1000:.0f} µs" if milliseconds else "0 ms"
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.{2 if seconds < 10 else 1}f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def size(number: float | None) -> str:
    if number is None:
        return NONE
    if number < 1000:
        return f"{number:.0f} B"
    return f"{number / 1000:.1f} kB" if number < 1e6 else f"{number / 1e6:.1f} MB"


def percent(share: float) -> str:
    return f"{share * 100:.{0 if share in (0, 1) else 2 if share < 0.01 else 1}f}%"


def delta(now: float | None, before: float | None) -> str:
    """The change in percent, signed; words where a percentage would say nothing."""
    if now is None or before is None:
        return ""
    if not before:
        return "none yesterday"
    change = (now - before) / before * 100
    if abs(change) < 0.5:
        return "as yesterday"
    return f"{'+' if change > 0 else '−'}{abs(change):,.0f}%"


def clearly(change: str) -> str:
    """`worse` or `better` for what should go down, when the change is more than noise."""
    digits = "".join(letter for letter in change if letter.isdigit())
    if not digits or int(digits) < 10:
        return ""
    return "worse" if change.startswith("+") else "better"


_TITLES = {
    "duration_ms_avg": "Avg duration",
    "ttft_ms_avg": "Avg first token",
    "duration_ms": "Duration",
    "ttft_ms": "First token",
    "cost_nanos": "Cost",
    "saved_nanos": "Saved",
    "cache_asked": "Cache asked",
    "cache_hits": "Hits",
    "request_id": "Request",
    "ts": "Time (UTC)",
}


def column_title(name: str) -> str:
    """`input_tokens` -> `Input tokens`."""
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, UTC)


def iso(micros: int) -> str:
    return moment(micros).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(micros: int, now: int | None = None) -> str:
    """The time for today, with the date for other days."""
    text = f"{moment(micros):%H:%M:%S}"
    same = now is not None and moment(micros).date() == moment(now).date()
    return text if same else f"{moment(micros):%d %b} {text}"


def stamp(text: str) -> str:
    """A time as databases keep it, to the minute: `2026-11-20 13:48 UTC`."""
    return f"{text[:16].replace('T', ' ')} UTC"


def away(text: str, now: int) -> str:
    """How far such a time is: `in 3 days`, `5 minutes ago`."""
    seconds = datetime.fromisoformat(text).timestamp() - now / 1e6
    far = abs(seconds)
    size, unit = next((pair for pair in _UNITS if far >= pair[0]), (1, ""))
    if not unit:
        return "in a moment" if seconds > 0 else "just now"
    number = int(far // size)
    words = f"{number} {unit}{'' if number == 1 else 's'}"
    return f"in {words}" if seconds > 0 else f"{words} ago"


_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Mac OS X", "macOS"),
    ("Windows", "Windows"),
    ("Linux", "Linux"),
)


def browser(agent: str) -> str:
    """What calls itself by such a line: `Firefox on Linux`; else how the line begins."""
    name = next((label for sign, label in _BROWSERS if sign in agent), "")
    system = next((label for sign, label in _SYSTEMS if sign in agent), "")
    return " on ".join(filter(None, (name, system))) or agent[:60] or NONE


def outcome(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def failure(kinds: str) -> str:
    """What was simulated: `ip_blocked,slow_tokens` as words."""
    return kinds.replace("_", " ").replace(",", ", ")


def tone(name: str) -> str:
    """The class of an outcome's badge."""
    if name == "ok":
        return "good"
    return "bad" if name in ERROR_OUTCOMES else "quiet"


def status_tone(status: int | None) -> str:
    if status is None:
        return "quiet"
    return "good" if status < 400 else "warn" if status < 500 else "bad"


FILTERS = {
    "money": money,
    "exact_money": exact_money,
    "count": count,
    "short": short,
    "duration": duration,
    "size": size,
    "percent": percent,
    "iso": iso,
    "clock": clock,
    "stamp": stamp,
    "away": away,
    "browser": browser,
    "outcome": outcome,
    "failure": failure,
    "delta": delta,
    "clearly": clearly,
    "column_title": column_title,
    "tone": tone,
    "status_tone": status_tone,
}
