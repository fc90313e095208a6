from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.policy.windows import FOREVER, SECONDS, SLICES, Counter, span

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, where: ZoneInfo = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=where).timestamp())


@pytest.mark.parametrize(
    ("per", "now", "start", "end"),
    [
        ("day", "2026-11-20T23:59:59", "2026-11-20T00:00", "2026-11-21T00:00"),
        ("day", "2026-11-21T00:00:00", "2026-11-21T00:00", "2026-11-22T00:00"),
        ("day", "2026-10-25T12:00:00", "2026-10-25T00:00", "2026-10-26T00:00"),  # 25 hours
        ("day", "2026-03-29T12:00:00", "2026-03-29T00:00", "2026-03-30T00:00"),  # 23 hours
        ("week", "2026-11-20T12:00:00", "2026-11-16T00:00", "2026-11-23T00:00"),
        ("week", "2026-11-16T00:00:00", "2026-11-16T00:00", "2026-11-23T00:00"),
        ("month", "2026-12-31T23:59:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("month", "2028-02-29T12:00:00", "2028-02-01T00:00", "2028-03-01T00:00"),
    ],
)
def test_calendar_periods_begin_at_local_midnight(per: str, now: str, start: str, end: str) -> None:
    assert span(per, "Europe/Berlin", at(now)) == (at(start), at(end))


def test_days_differ_in_length_where_clocks_are_changed() -> None:
    start, end = span("day", "Europe/Berlin", at("2026-10-25T12:00"))
    assert end - start == 25 * 3600


def test_the_day_of_another_zone_is_another_one() -> None:
    now = at("2026-11-20T00:30")
    assert span("day", "UTC", now) != span("day", "Europe/Berlin", now)


def test_total_has_no_end() -> None:
    assert span("total", "UTC", 1e9) == (0, FOREVER)


@pytest.mark.parametrize("per", list(SECONDS))
def test_a_slice_counts_for_a_whole_period_after_its_end(per: str) -> None:
    for second in range(SECONDS[per] * 2):
        start, end = span(per, "UTC", 1_795_000_000 + second)
        assert start <= 1_795_000_000 + second < start + SECONDS[per] // SLICES
        assert end == start + SECONDS[per] // SLICES + SECONDS[per]


@given(st.lists(st.floats(0, 200), min_size=1, max_size=80).map(sorted), st.integers(1, 12))
def test_no_span_of_a_minute_holds_more_than_the_amount(moments: list[float], amount: int) -> None:
    """Against the log of every call: never more, and refused only when it is full."""
    counter, admitted = Counter(), []
    for moment in moments:
        now = 1_795_000_000 + moment
        counter.expire(now)
        if counter.taken + 1 <= amount:
            counter.add(*span("minute", "UTC", now), 1)
            admitted.append(now)
        else:
            assert sum(now - 62 < earlier for earlier in admitted) >= amount
    for moment in admitted:
        assert sum(moment <= other < moment + 60 for other in admitted) <= amount


def test_settling_puts_the_real_figure_in_place() -> None:
    counter = Counter()
    counter.hold(0, FOREVER, 100)
    counter.hold(0, FOREVER, 50)
    counter.settle(0, 100, 7)
    assert (counter.used, counter.reserved, counter.taken) == (7, 50, 57)
    counter.settle(0, 50, 0)
    assert (counter.used, counter.reserved) == (7, 0)


def test_what_has_ended_is_not_settled_any_more() -> None:
    counter = Counter()
    counter.hold(100, 200, 10)
    counter.expire(200)
    counter.settle(100, 10, 3)
    assert counter.cells == []
    assert counter.taken == 0


def test_an_empty_cell_is_forgotten() -> None:
    counter = Counter()
    counter.hold(100, 200, 10)
    counter.settle(100, 10, 0)
    assert counter.cells == []


def test_a_counter_survives_its_text() -> None:
    counter = Counter(80, 500)
    counter.hold(100, 200, 10)
    assert Counter.read(counter.text()) == counter
    assert Counter.read(None) == Counter()


def test_a_text_of_an_earlier_version_is_read() -> None:
    """Times were those of the clock."""
    counter = Counter.read("[0,0,5,2,[[1795000020,1795000082,5,0],[1795000022,1795000084,0,2]],100]")
    assert counter.fits_at(100, 100, 1_795_000_030) == 1_795_000_084
    counter.settle(1_795_000_022, 2, 3)
    counter.expire(1_795_000_082)
    assert (counter.used, counter.reserved, counter.end) == (3, 0, 1_795_000_084)
    counter.expire(1_795_000_084)
    assert (counter.used, counter.cells) == (0, [])


def test_no_cell_ends_never_because_the_clock_was_turned_back() -> None:
    counter = Counter()
    counter.add(1000, 1062, 1)
    counter.add(937, 999, 1)
    assert counter.end == 999
    counter.expire(999)
    assert (counter.used, counter.end) == (1, 1062)


@given(
    st.lists(st.tuples(st.integers(-200, 200), st.booleans()), min_size=1, max_size=60),
    st.sampled_from(["minute", "hour", "day"]),
)
def test_whatever_the_clock_does_cells_keep_their_times(steps: list[tuple[int, bool]], per: str) -> None:
    """Against cells that say the time of the clock."""
    counter, plain, now = Counter(), dict[int, list[int]](), 1_795_000_000
    for seconds, back in steps:
        now += seconds
        start, end = span(per, "UTC", now)
        counter.expire(now)
        ends = [ended for ended, _ in plain.values()]
        if ends and min(ends[0], ends[-1]) <= now:  # nobody looks at those in between before
            plain = {begun: cell for begun, cell in plain.items() if cell[0] > now}
        if back:
            counter.turn_back(end)
            last = list(plain)[-1] if plain else 0
            plain = {b: [end if last > end and b > end else e, n] for b, (e, n) in plain.items()}
        counter.add(start, end, 1)
        plain.setdefault(start, [end, 0])[1] += 1
        counter = Counter.read(counter.text())
        cells = [
            [begun + counter.base, ended + counter.base, used] for begun, ended, used, _ in counter.cells
        ]
        assert cells == [[begun, *cell] for begun, cell in plain.items()]
        assert counter.used == sum(used for _, used in plain.values())
        assert all(ended != FOREVER for _, ended, *_ in counter.cells)


@pytest.mark.parametrize(
    ("need", "when"),
    [(1, 100), (4, 160), (6, 162), (10, 170), (11, None)],
)
def test_when_there_is_room_again(need: int, when: int | None) -> None:
    counter = Counter()
    for end, used in ((160, 3), (162, 2), (170, 4)):
        counter.add(end - 62, end, used)
    assert counter.fits_at(need, 10, 100) == when


def test_what_never_ends_never_fits_again() -> None:
    counter = Counter()
    counter.add(0, FOREVER, 10)
    assert counter.fits_at(1, 10, 100) is None
