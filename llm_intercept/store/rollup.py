"""Sums by hour and day: what `usage_hour` and `usage_day` hold. Pure; the SQL is in `usage.py`.

Counted as `unpriced` is a row with tokens but no price (`counts_as_unpriced`): a refusal or a list of
models costs nothing and lacks nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from llm_intercept.store.rows import CACHE_ASKED, ERROR_OUTCOMES, RequestRow

# Upper bounds of the first fifteen buckets, in milliseconds; the sixteenth has none. About a factor
# of two apart, from a local cache hit to a reasoning model that takes five minutes.
LATENCY_BOUNDS_MS: tuple[float, ...] = (
    5,
    10,
    25,
    50,
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    20_000,
    60_000,
    120_000,
    300_000,
)
BUCKETS = len(LATENCY_BOUNDS_MS) + 1

KEYS = ("bucket", "project", "token", "provider", "model", "user", "credential")
SUMS = (
    "requests",
    "errors",
    "streams",
    "unpriced",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_nanos",
    "duration_ms_sum",
    "duration_count",
    "ttft_ms_sum",
    "ttft_count",
    "cache_hits",
    "saved_nanos",
    "cache_asked",
)
HISTOGRAMS = tuple(f"{kind}_{n}" for kind in ("duration", "ttft") for n in range(BUCKETS))
COLUMNS = KEYS + SUMS + HISTOGRAMS
_DURATION_0 = len(SUMS)
_TTFT_0 = _DURATION_0 + BUCKETS
_WIDTH = _TTFT_0 + BUCKETS

type Key = tuple[str, str, str, str, str, str, str]
type Deltas = dict[Key, list[float]]

_HOUR_US = 3_600_000_000


def hour_of(row_id: int) -> str:
    """The hour bucket of a row, `2026-11-20T07`, in UTC."""
    return datetime.fromtimestamp(row_id // _HOUR_US * 3600, UTC).strftime("%Y-%m-%dT%H")


def counts_as_unpriced(row: RequestRow) -> bool:
    return not row.priced and bool(row.input_tokens or row.output_tokens)


def aggregate(rows: Iterable[RequestRow]) -> tuple[Deltas, Deltas]:
    """(by hour, by day): what the rows add to each bucket, in the order of `SUMS` and `HISTOGRAMS`."""
    hours: Deltas = {}
    names: dict[int, str] = {}
    for row in rows:
        number = row.id // _HOUR_US
        hour = names.get(number) or names.setdefault(number, hour_of(row.id))
        key = (hour, row.project, row.token, row.provider, row.model, row.user, row.credential)
        sums = hours.get(key)
        if sums is None:
            sums = hours[key] = [0] * _WIDTH
        _add(sums, row)
    return hours, _by_day(hours)


def percentile(histogram: Sequence[int], q: float) -> float | None:
    """The value in milliseconds below which the share `q` (0..1) lies, interpolated within its bucket."""
    wanted = sum(histogram) * q
    if wanted <= 0:
        return None
    below = 0
    for n, count in enumerate(histogram):
        if count and below + count >= wanted:
            low = LATENCY_BOUNDS_MS[n - 1] if n else 0.0
            # The last bucket has no upper bound: its lower one is the honest answer.
            high = LATENCY_BOUNDS_MS[n] if n < len(LATENCY_BOUNDS_MS) else low
            return low + (high - low) * (wanted - below) / count
        below += count
    return LATENCY_BOUNDS_MS[-1]


def _add(sums: list[float], row: RequestRow) -> None:
    sums[0] += 1
    if row.outcome in ERROR_OUTCOMES:
        sums[1] += 1
    if row.stream:
        sums[2] += 1
    if counts_as_unpriced(row):
        sums[3] += 1
    sums[4] += row.input_tokens or 0
    sums[5] += row.output_tokens or 0
    sums[6] += row.cache_read_tokens or 0
    sums[7] += row.cache_write_tokens or 0
    sums[8] += row.reasoning_tokens or 0
    sums[9] += row.cost_nanos or 0
    if row.cache in CACHE_ASKED:
        _add_cache(sums, row)
    if row.duration_ms is not None:
        sums[10] += row.duration_ms
        sums[11] += 1
        sums[_DURATION_0 + bisect_left(LATENCY_BOUNDS_MS, row.duration_ms)] += 1
    if row.ttft_ms is not None:
        sums[12] += row.ttft_ms
        sums[13] += 1
        sums[_TTFT_0 + bisect_left(LATENCY_BOUNDS_MS, row.ttft_ms)] += 1


def _add_cache(sums: list[float], row: RequestRow) -> None:
    sums[16] += 1
    if row.cache == "hit":
        sums[14] += 1
        sums[15] += row.saved_nanos or 0


def _by_day(hours: Deltas) -> Deltas:
    days: Deltas = {}
    for (hour, *rest), sums in hours.items():
        project, token, provider, model, user, credential = rest
        key = (hour[:10], project, token, provider, model, user, credential)
        known = days.get(key)
        days[key] = [a + b for a, b in zip(known, sums, strict=True)] if known else sums
    return days
