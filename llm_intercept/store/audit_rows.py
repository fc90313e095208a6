"""One row of the audit log: what it says, how it is written, and the digests that hold the rows together.

Both digests are keyed with the vault: who can write to the file, but does not have `secret.key`, can make
neither. The seal is about the row alone; the chain binds it to every row before it.
"""

from dataclasses import dataclass
from typing import Any, Literal

import orjson
from pydantic import BaseModel

from llm_intercept.secrecy import documented, said
from llm_intercept.store.database import Row, as_text
from llm_intercept.vault import Vault

type Outcome = Literal["ok", "denied", "failed"]

OUTCOMES: tuple[Outcome, ...] = ("ok", "denied", "failed")
SEALED = (
    *("id", "actor_kind", "actor_id", "actor", "source", "action", "object_kind", "object_id"),
    *("object_name", "before", "after", "outcome", "detail"),
)
_DIGITS = 32
GENESIS = bytes(_DIGITS)
MOST_DETAIL = 2000


@dataclass(frozen=True, slots=True)
class Thing:
    """What an action is about. `id` is "" for what has none."""

    kind: str
    name: str = ""
    id: str = ""


NOTHING = Thing("")


@dataclass(frozen=True, slots=True)
class AuditRow:
    """`id` is the time in epoch microseconds; `before` and `after` are JSON, "" for nothing."""

    id: int
    actor_kind: str
    actor_id: str
    actor: str
    source: str
    action: str
    object_kind: str
    object_id: str
    object_name: str
    before: str
    after: str
    outcome: str
    detail: str
    seal: bytes
    chain: bytes
    request_id: str = ""

    @property
    def at(self) -> str:
        return as_text(self.id / 1e6)

    def document(self) -> dict[str, object]:
        """For programs: JSON values."""
        return {
            "id": self.id,
            "ts": self.at,
            "actor": {"kind": self.actor_kind, "name": self.actor, "id": self.actor_id},
            "source": self.source,
            "request_id": self.request_id,
            "action": self.action,
            "object": {"kind": self.object_kind, "name": self.object_name, "id": self.object_id},
            "outcome": self.outcome,
            "detail": self.detail,
            "before": orjson.loads(self.before) if self.before else None,
            "after": orjson.loads(self.after) if self.after else None,
            "chain": self.chain.hex(),
        }

    def changes(self) -> list[tuple[str, object, object]]:
        """(field, before, after) of what is not the same; a thing that did not exist had None everywhere."""
        before, after = _fields(self.before), _fields(self.after)
        names = dict.fromkeys((*before, *after))
        found = [(name, before.get(name), after.get(name)) for name in names]
        return [change for change in found if change[1] != change[2]]


def _fields(text: str) -> dict[str, object]:
    found = orjson.loads(text) if text else {}
    return found if isinstance(found, dict) else {"value": found}


def row_of(values: Row) -> AuditRow:
    return AuditRow(**values)


def document(value: object) -> str:
    """A public value as JSON; what looks like a secret in it is taken out. Secrets themselves are refused."""
    return "" if value is None else documented(as_json(value))


def as_json(value: object) -> bytes:
    """`SecretStr` and bytes (digests, ciphertext) have no JSON form here, so that they raise a TypeError."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def detail(text: str) -> str:
    return said(text)[:MOST_DETAIL]


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} does not belong into the audit log")


def seal(vault: Vault, values: Row) -> bytes:
    """The digest of what a row says. An id of a request came later: rows without one are sealed as ever."""
    said = orjson.dumps([*(values[name] for name in SEALED), *filter(None, [values["request_id"]])]).decode()
    return vault.digest(f"llm-intercept audit row v1\n{said}")


def link(vault: Vault, before: bytes, own: bytes) -> bytes:
    """The chain at a row: that of the row before it, and its own seal."""
    return vault.digest(f"llm-intercept audit chain v1\n{before.hex()} {own.hex()}")


def end(vault: Vault, kind: Literal["head", "checkpoint"], number: int, last_id: int, chain: bytes) -> bytes:
    """The seal of an end of the chain."""
    return vault.digest(f"llm-intercept audit {kind} v1\n{number} {last_id} {chain.hex()}")
