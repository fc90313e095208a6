"""Stored answers: seen by whoever may see the calls that they come from, deleted by admins, and by members
for their projects.

They lie in `cache.db`, so deleting them and the row about it are two transactions, one after the other.
"""

import re
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from llm_intercept.errors import ConfigError, Conflict, NotFound, StoreError
from llm_intercept.home import Home
from llm_intercept.manage.desk import Desk
from llm_intercept.manage.projects import Projects
from llm_intercept.policy.actor import Actor
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.cache import Entry, Totals, Which, opened
from llm_intercept.store.database import as_text
from llm_intercept.store.export import usd
from llm_intercept.store.report_terms import Scope
from llm_intercept.store.scopes import scope_of

_PURGE = "cache.purge"
_ALL = Which()
_LAST = 253_402_300_799_000_000  # 9999-12-31T23:59:59Z
_KEY = re.compile(r"[0-9A-Fa-f]{1,128}")


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer with what was said. `headers` are those of the provider that are kept with it."""

    entry: Entry
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


def asked(
    now: float,
    *,
    project: str = "",
    provider: str = "",
    model: str = "",
    key: str = "",
    older_than: timedelta | None = None,
    expired: bool = False,
) -> Which:
    """What somebody asks for in words; "" stands for any. `now` is Unix seconds."""
    if key and not _KEY.fullmatch(key):
        raise ConfigError(f"{key!r} is no key of a stored answer: keys have the digits 0-9 and a-f")
    now_us = int(now * 1e6)
    return Which(
        project=project or None,
        provider=provider.lower() or None,
        model=model or None,
        key=key.lower() or None,
        expired_at=now_us if expired else None,
        before=None if older_than is None else max(0, now_us - int(older_than.total_seconds() * 1e6)),
    )


def document(entry: Entry) -> dict[str, Any]:
    """One for programs: times as texts, money as numbers and texts."""
    saved = entry.hits * (entry.cost_nanos or 0)
    times = {"stored_at": entry.id, "used_at": entry.used_us, "expires_at": entry.expires_us}
    own = asdict(entry)
    for name in ("id", "used_us", "expires_us"):
        del own[name]
    own["stored_size"] = own.pop("stored")
    return {
        **own,
        "cost_usd": usd(entry.cost_nanos),
        "saved_nanos": saved,
        "saved_usd": usd(saved),
        **{name: _text(moment) for name, moment in times.items()},
    }


def sums(totals: Totals) -> dict[str, Any]:
    """The same for sums."""
    own = asdict(totals)
    own["stored_size"] = own.pop("stored")
    times = {name: None if own[name] is None else _text(own[name]) for name in ("oldest", "newest")}
    return {**own, "saved_usd": usd(totals.saved_nanos), **times}


def written(body: bytes) -> dict[str, str]:
    """What was said, as a text if it is one."""
    try:
        return {"body": body.decode("utf-8"), "encoding": "utf-8"}
    except UnicodeDecodeError:
        return {"body": b64encode(body).decode(), "encoding": "base64"}


def _text(moment: int) -> str:
    """Epoch microseconds; what is beyond the calendar is at its end."""
    return as_text(min(max(0, moment), _LAST) / 1e6)


def delete(path: Path, own: Which) -> int:
    """What `Cache.may_purge` has allowed, in whichever thread there is: a full cache takes some seconds."""
    with opened(path) as store:
        return store.purge(own)


class Cache:
    """Of the home that the desk's `control.db` belongs to. A damaged `cache.db` is a StoreError."""

    def __init__(self, desk: Desk, now: Callable[[], float] = time.time) -> None:
        self._desk = desk
        self._projects = Projects(desk)
        self._path = Home(desk.control.path.parent).cache_db
        self._now = now

    def totals(self, actor: Actor, which: Which = _ALL) -> Totals:
        """Sums over those that the actor may see."""
        seen = self._seen(actor, which)
        with opened(self._path) as store:
            return store.totals(int(self._now() * 1e6), seen)

    def entries(
        self, actor: Actor, which: Which = _ALL, limit: int = 50, before: int | None = None
    ) -> list[Entry]:
        """The newest first; `before` is the id of the last one that was shown already."""
        seen = self._seen(actor, which)
        with opened(self._path) as store:
            return store.entries(seen, limit, before)

    def show(self, actor: Actor, key: str) -> Shown:
        """One by its key, or by the beginning of its key if no other begins so."""
        found = self.entries(actor, Which(key=key), 2) if _KEY.fullmatch(key) else []
        if not found:
            raise NotFound(
                f"no key of a stored answer begins with {key!r}; `llm-intercept cache list` shows them"
            )
        if len(found) > 1:
            raise Conflict(f"several keys begin with {key}; give more of it")
        with opened(self._path) as store:
            answer = store.answer(found[0].key)
        if answer is None:
            raise NotFound(f"the answer {found[0].key} has just been deleted")
        return Shown(found[0], answer.headers, answer.body)

    def count(self, actor: Actor, which: Which) -> int:
        """How many `purge` would delete; needs the same right."""
        own = self.may_purge(actor, which)
        with opened(self._path) as store:
            return store.totals(0, own).entries

    def purge(self, actor: Actor, which: Which) -> int:
        """Deletes them and returns how many there were. `Which()` is all of them, or all of the actor's."""
        own = self.may_purge(actor, which)
        try:
            deleted = delete(self._path, own)
        except StoreError as error:
            self.not_purged(actor, own, error)
            raise
        self.purged(actor, own, deleted)
        return deleted

    def purged(self, actor: Actor, own: Which, deleted: int) -> None:
        """The row about it."""
        after = {"asked": _asked(own), "deleted": deleted}
        try:
            self._desk.audit.record(actor, _PURGE, _thing(own), after=after)
        except StoreError as error:
            raise StoreError(
                f"{deleted} answers were deleted, and there is no audit row of it: {error}"
            ) from error

    def not_purged(self, actor: Actor, own: Which, error: StoreError) -> None:
        self._desk.audit.event(_PURGE, actor, _thing(own), outcome="failed", detail=str(error))

    def _seen(self, actor: Actor, which: Which) -> Which:
        """With the project as it is written, and without what the actor may not see."""
        control, name = self._desk.control, which.project
        if name is not None:
            name = next((p.name for p in control.projects.list() if p.name.lower() == name.lower()), name)
        return replace(which, project=name, among=scope_of(control.database, actor.role, actor.user_id))

    def may_purge(self, actor: Actor, which: Which) -> Which:
        """Restricted to what the actor may delete: Forbidden, or NotFound for somebody else's project."""
        thing = _thing(which)
        mine = scope_of(self._desk.control.database, actor.role, actor.user_id)
        if which.project is not None:
            try:
                which = replace(which, project=self._projects.get(actor, which.project).name)
            except NotFound:
                if actor.role != "admin":
                    self._desk.denied(actor, _PURGE, thing)
                raise
        own = which.project in mine.projects if which.project is not None else bool(mine.projects)
        self._desk.check(actor, _PURGE, "cache", thing, own=own)
        return replace(which, among=mine if mine.everything else Scope(projects=mine.projects))


def _thing(which: Which) -> Thing:
    return Thing("cache", which.project or "answers")


def _asked(which: Which) -> dict[str, object]:
    """For the audit log."""
    named = {"project": which.project, "provider": which.provider, "model": which.model, "begins": which.key}
    found: dict[str, object] = {name: value for name, value in named.items() if value is not None}
    if which.expired_at is not None:
        found["expired"] = True
    if which.before is not None:
        found["stored_before"] = _text(which.before)
    return found or {"all": True}
