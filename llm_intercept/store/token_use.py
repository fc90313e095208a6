"""How much tokens have been used: counted in `usage.db` by the writer, with the rows that it counts.

What a token may still do (`max_requests`) is counted in `limits.db`, by admission, so that it is exact.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from llm_intercept.store.database import as_text
from llm_intercept.store.migrate import connect
from llm_intercept.store.reservations import Counters
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.tokens import Token

_OWN_KEY = "own:"
_VALUES = attrgetter(*(field.name for field in fields(Token)))
_UPSERT = (
    "INSERT INTO token_use (project, token, requests, refused, first_us, last_us, cache_hits)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (project, token) DO UPDATE SET requests = requests + excluded.requests,"
    " refused = refused + excluded.refused, first_us = min(first_us, excluded.first_us),"
    " last_us = max(last_us, excluded.last_us), cache_hits = cache_hits + excluded.cache_hits"
)
_READ = "SELECT project, token, requests, refused, last_us, cache_hits FROM token_use"


@dataclass(frozen=True, slots=True)
class UsedToken(Token):
    """A token with what is known of its use. `state` may be `exhausted`; `remaining` None: no limit."""

    requests: int = 0  # calls that were not refused here
    refused: int = 0
    last_used_at: str | None = None
    remaining: int | None = None
    cache_hits: int = 0  # of the requests: answered out of the cache


def write_token_use(connection: sqlite3.Connection, rows: Iterable[RequestRow]) -> None:
    """Inside the writer's transaction; `rows` are those that are new."""
    sums: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        if not row.token or row.token.startswith(_OWN_KEY):
            continue
        refused = row.outcome == "refused"
        known = sums.setdefault((row.project, row.token), [0, 0, row.id, row.id, 0])
        known[1 if refused else 0] += 1
        known[4] += row.cache == "hit"
        known[2], known[3] = min(known[2], row.id), max(known[3], row.id)
    connection.executemany(_UPSERT, [(*key, *values) for key, values in sums.items()])


def used(tokens: Sequence[Token], usage_db: Path, limits_db: Path) -> list[UsedToken]:
    """The same tokens, with what is known of their use."""
    with closing(connect(usage_db, readonly=True)) as connection:
        found = {(row[0], row[1]): row[2:] for row in connection.execute(_READ)}
    taken = _taken(tokens, limits_db)
    return [_used(token, found.get((token.project, token.name)), taken.get(token.id, 0)) for token in tokens]


def _taken(tokens: Sequence[Token], limits_db: Path) -> dict[str, int]:
    """By id, of tokens that are only good for so many calls."""
    keys = [f"{token.id}:" for token in tokens if token.max_requests is not None]
    if not keys:
        return {}
    with closing(Counters(limits_db)) as counters:
        return {key.removesuffix(":"): counter.taken for key, counter in counters.read(keys).items()}


def _used(token: Token, found: tuple[int, ...] | None, taken: int) -> UsedToken:
    remaining = None if token.max_requests is None else max(0, token.max_requests - taken)
    requests, refused, last_us, hits = found or (0, 0, 0, 0)
    last = as_text(last_us / 1e6) if last_us else None
    values: tuple[Any, ...] = (*_VALUES(token), requests, refused, last, remaining, hits)
    shown = UsedToken(*values)
    exhausted = remaining == 0 and token.state == "active"
    return replace(shown, state="exhausted") if exhausted else shown
