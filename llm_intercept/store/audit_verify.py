"""Whether the audit log is as it was written: every seal, every link, its beginning and its end."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llm_intercept.store import audit_rows as rows
from llm_intercept.store.audit_rows import GENESIS
from llm_intercept.store.database import Database, Row

type Reason = Literal["", "changed", "missing", "reordered", "inserted", "end", "checkpoint"]

_PAGE = 2000
_TEXTS: dict[Reason, str] = {
    "changed": "the row {id} does not say what was written",
    "missing": "rows before the row {id} are missing",
    "reordered": "the row {id} is not in its place: what it says was written as the row {other}",
    "inserted": "the row {id} was not written by llm-intercept",
    "end": "rows at the end are missing, after the row {id}",
    "checkpoint": "the mark at which the log begins (after the row {id}) was not made by llm-intercept",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rows` are there, `removed` were taken out under a checkpoint; `broken` is the first that is wrong."""

    ok: bool
    rows: int
    removed: int
    last_id: int
    chain: str  # at the last row, in hexadecimal: noted elsewhere it proves that nothing was cut off
    broken: int | None = None
    reason: Reason = ""
    text: str = ""


@dataclass(slots=True)
class _Walk:
    """What has been seen so far."""

    number: int
    last_id: int
    chain: bytes
    removed: int = 0


def verify(database: Database) -> Verdict:
    """Reads every row once, in one snapshot."""
    with database.snapshot():
        return _verify(database)


def _verify(database: Database) -> Verdict:
    walk = _Walk(0, 0, GENESIS)
    start = _end_of(database, "checkpoint")
    if start is not None:
        last_id = start["last_id"]
        walk = _Walk(0, last_id, start["chain"], start["number"])
        if not start["genuine"]:
            return _broken(database, walk, "checkpoint", last_id)
    for values in _all(database):
        seal = values["seal"]
        genuine = seal == rows.seal(database.vault, values)
        if not genuine or values["chain"] != rows.link(database.vault, walk.chain, seal):
            return _broken(database, walk, *_why(database, walk, values, genuine))
        walk.number, walk.last_id, walk.chain = walk.number + 1, values["id"], values["chain"]
    if not _ends_well(database, walk):
        return _broken(database, walk, "end", walk.last_id)
    return Verdict(True, walk.number, walk.removed, walk.last_id, walk.chain.hex())


def _end_of(database: Database, kind: Literal["head", "checkpoint"]) -> Row | None:
    """The row, with whether it is ours."""
    table = "SELECT number, last_id, chain, seal FROM audit_"
    found = database.row(table + ("head" if kind == "head" else "checkpoint"))
    if found is None:
        return None
    place = (found["number"], found["last_id"], found["chain"])
    return found | {"genuine": found["seal"] == rows.end(database.vault, kind, *place)}


def _ends_well(database: Database, walk: _Walk) -> bool:
    head = _end_of(database, "head")
    if head is None:
        return walk.number == walk.removed == 0
    there = (walk.removed + walk.number, walk.last_id, walk.chain)
    return bool(head["genuine"]) and there == (head["number"], head["last_id"], head["chain"])


def _why(
    database: Database, walk: _Walk, values: Row, genuine: bool
) -> tuple[Reason, int] | tuple[Reason, int, int]:
    """Told by which digests hold: a row whose own seal holds is genuine, so what was before it is missing."""
    if genuine:
        return "missing", values["id"]
    if _goes_on_without(database, walk, values["id"]):
        return "inserted", values["id"]
    for other in database.rows("SELECT id FROM audit ORDER BY id"):
        if values["seal"] == rows.seal(database.vault, values | {"id": other["id"]}):
            return "reordered", values["id"], other["id"]
    return "changed", values["id"]


def _goes_on_without(database: Database, walk: _Walk, id_: int) -> bool:
    """Whether the chain holds when the row is left out."""
    following = database.row("SELECT * FROM audit WHERE id > ? ORDER BY id LIMIT 1", (id_,))
    if following is None:
        return _ends_well(database, walk)
    seal = rows.seal(database.vault, following)
    return bool(
        following["seal"] == seal and following["chain"] == rows.link(database.vault, walk.chain, seal)
    )


def _broken(database: Database, walk: _Walk, reason: Reason, id_: int, other: int = 0) -> Verdict:
    counted = database.row("SELECT count(*) AS number FROM audit")
    number = counted["number"] if counted else 0
    text = _TEXTS[reason].format(id=id_, other=other)
    return Verdict(False, number, walk.removed, walk.last_id, walk.chain.hex(), id_, reason, text)


def _all(database: Database) -> Iterator[Row]:
    """In pages of constant memory."""
    last = -1
    while page := database.rows("SELECT * FROM audit WHERE id > ? ORDER BY id LIMIT ?", (last, _PAGE)):
        yield from page
        last = page[-1]["id"]
