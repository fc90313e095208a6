import pytest

from llm_intercept.store.rollup import (
    BUCKETS,
    COLUMNS,
    HISTOGRAMS,
    LATENCY_BOUNDS_MS,
    SUMS,
    aggregate,
    counts_as_unpriced,
    hour_of,
    percentile,
)
from llm_intercept.store.rows import ERROR_OUTCOMES
from tests.store.example import START_US, row

HOUR_US = 3_600_000_000


def test_bounds_rise_and_match_the_schema() -> None:
    assert list(LATENCY_BOUNDS_MS) == sorted(set(LATENCY_BOUNDS_MS))
    assert BUCKETS == 16
    assert len(COLUMNS) == len(set(COLUMNS)) == 7 + 17 + 32


@pytest.mark.parametrize(
    ("row_id", "hour"),
    [
        (0, "1970-01-01T00"),
        (START_US, "2026-11-20T09"),
        (1_795_168_799_999_999, "2026-11-20T09"),
        (1_795_168_800_000_000, "2026-11-20T10"),
    ],
)
def test_hours_are_utc(row_id: int, hour: str) -> None:
    assert hour_of(row_id) == hour


def named(sums: list[float]) -> dict[str, float]:
    return {name: value for name, value in zip(SUMS + HISTOGRAMS, sums, strict=True) if value}


def test_a_row_in_full() -> None:
    hours, days = aggregate(
        [
            row(
                stream=1,
                input_tokens=100,
                output_tokens=20,
                cache_read_tokens=30,
                cache_write_tokens=5,
                reasoning_tokens=7,
                cost_nanos=99,
                duration_ms=5.0,
                ttft_ms=5.1,
            )
        ]
    )
    [(key, sums)] = hours.items()
    assert key == ("2026-11-20T09", "project-0", "token-0", "openai", "gpt-0", "", "")
    assert named(sums) == {
        "requests": 1,
        "streams": 1,
        "input_tokens": 100,
        "output_tokens": 20,
        "cache_read_tokens": 30,
        "cache_write_tokens": 5,
        "reasoning_tokens": 7,
        "cost_nanos": 99,
        "duration_ms_sum": 5.0,
        "duration_count": 1,
        "ttft_ms_sum": 5.1,
        "ttft_count": 1,
        "duration_0": 1,  # a bound belongs to the bucket below it
        "ttft_1": 1,
    }
    assert list(days) == [("2026-11-20", *key[1:])]


def test_unknown_numbers_add_nothing() -> None:
    empty = row(
        input_tokens=None, output_tokens=None, cost_nanos=None, duration_ms=None, priced=0, outcome="refused"
    )
    hours, _ = aggregate([empty])
    assert named(next(iter(hours.values()))) == {"requests": 1, "errors": 1}


@pytest.mark.parametrize(
    ("values", "added"),
    [
        ({"cache": ""}, {}),
        ({"cache": "bypass"}, {}),
        ({"cache": "miss"}, {"cache_asked": 1}),
        ({"cache": "stored", "saved_nanos": 5}, {"cache_asked": 1}),
        ({"cache": "hit", "saved_nanos": 5}, {"cache_asked": 1, "cache_hits": 1, "saved_nanos": 5}),
        ({"cache": "hit"}, {"cache_asked": 1, "cache_hits": 1}),
    ],
)
def test_what_the_cache_did(values: dict[str, str | int], added: dict[str, int]) -> None:
    hours, _ = aggregate([row(**values)])
    found = named(next(iter(hours.values())))
    assert {
        name: found[name] for name in ("cache_asked", "cache_hits", "saved_nanos") if name in found
    } == added


@pytest.mark.parametrize("outcome", ["ok", "client_gone", *sorted(ERROR_OUTCOMES)])
def test_errors(outcome: str) -> None:
    hours, _ = aggregate([row(outcome=outcome)])
    assert named(next(iter(hours.values()))).get("errors", 0) == (outcome in ERROR_OUTCOMES)


@pytest.mark.parametrize(
    ("values", "unpriced"),
    [
        ({"priced": 1}, False),
        ({"priced": 0}, True),
        ({"priced": 0, "input_tokens": None}, True),
        ({"priced": 0, "input_tokens": 0, "output_tokens": 0}, False),
        ({"priced": 0, "input_tokens": None, "output_tokens": None}, False),
    ],
)
def test_only_what_has_tokens_can_lack_a_price(values: dict[str, int | None], unpriced: bool) -> None:
    assert counts_as_unpriced(row(**values)) is unpriced


def test_days_are_the_sums_of_their_hours() -> None:
    rows = [row(n, id=START_US + n * HOUR_US // 2) for n in range(200)]
    hours, days = aggregate(rows)
    for position in range(len(SUMS)):
        total = sum(sums[position] for sums in hours.values())
        assert sum(sums[position] for sums in days.values()) == pytest.approx(total)
    assert {key[0] for key in days} == {key[0][:10] for key in hours}


@pytest.mark.parametrize(
    ("counts", "q", "expected"),
    [
        ({}, 0.5, None),
        ({0: 10}, 0.5, 2.5),
        ({3: 100}, 0.5, 37.5),
        ({3: 50, 5: 50}, 0.5, 50.0),
        ({3: 50, 5: 50}, 0.95, 235.0),
        ({15: 3}, 0.5, 300_000.0),
        ({0: 99, 15: 1}, 1.0, 300_000.0),
    ],
)
def test_percentiles(counts: dict[int, int], q: float, expected: float | None) -> None:
    histogram = [counts.get(n, 0) for n in range(BUCKETS)]
    assert percentile(histogram, q) == (None if expected is None else pytest.approx(expected))
