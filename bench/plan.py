"""How much is measured: the full run takes about seven minutes, the quick one about one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """`events` are those of each stream, `single_...` what one connection does in a round.

    After `patience` seconds a measure makes do with the rounds it has, if they are three.
    """

    rounds: int
    patience: float
    call_seconds: int
    events: int
    single_calls: int
    single_streams: int
    mixed_calls: int
    writer_seconds: float
    page_rows: int
    page_visits: int


FULL = Size(
    rounds=7,
    patience=90,
    call_seconds=2,
    events=2000,
    single_calls=300,
    single_streams=60,
    mixed_calls=20_000,
    writer_seconds=6,
    page_rows=1_000_000,
    page_visits=20,
)
QUICK = Size(
    rounds=3,
    patience=20,
    call_seconds=1,
    events=1000,
    single_calls=100,
    single_streams=20,
    mixed_calls=4_000,
    writer_seconds=2,
    page_rows=100_000,
    page_visits=10,
)
