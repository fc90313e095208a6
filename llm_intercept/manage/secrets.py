"""The keys that encrypt what is stored, by somebody: how old they are, and a new one. None is ever shown."""

from dataclasses import asdict
from pathlib import Path

from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.sealed import Sealed
from llm_intercept.tools.rotation import KeyState, Rotation, Rotator

_ROTATE = "secret.rotate"


class Secrets:
    """Never inside of a transaction: an old key may only go when everything is encrypted with the new one."""

    def __init__(self, desk: Desk, leases: Path) -> None:
        self._desk = desk
        database = desk.control.database
        self._rotator = Rotator(database.vault, Sealed(database), leases)

    def states(self, actor: Actor) -> list[KeyState]:
        """The key that encrypts first. Opens everything that is stored, to count it."""
        self._desk.see(actor, "audit", "encryption keys")
        return self._rotator.states()

    def lost(self, actor: Actor) -> int:
        """How many stored values no key opens."""
        self._desk.see(actor, "audit", "encryption keys")
        return self._rotator.lost()

    def rotate(self, actor: Actor, now: float, *, new_key: bool = True, drop_old: bool = False) -> Rotation:
        self._desk.check(actor, _ROTATE, "audit", Thing("secret"))
        done = self._rotator.rotate(now, new_key=new_key, drop_old=drop_old)
        self._desk.audit.record(actor, _ROTATE, Thing("secret", done.key), after=asdict(done))
        return done
