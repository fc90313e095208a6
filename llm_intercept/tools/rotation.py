"""Changing the encryption key of a home, so that a kill at any moment leaves one that works.

First the key file has the new key in front of the old ones, then everything is encrypted anew in one
transaction, and only then, if asked for, do old keys go. Running processes read the file again as soon as
they meet a value that they cannot decrypt.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llm_intercept import keyring
from llm_intercept.errors import ConfigError, Conflict
from llm_intercept.store.sealed import Sealed
from llm_intercept.vault import KEY_VARIABLE, Vault


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key without the key: `values` is how many it has encrypted, `front` says that it encrypts."""

    id: str
    made: str
    front: bool
    values: int


@dataclass(frozen=True, slots=True)
class Rotation:
    """What was done. `key` is the id of the key in front, "" for no new one."""

    key: str
    renewed: int
    dropped: tuple[str, ...]


class Rotator:
    """One home's keys. `leases` is a folder of locks; only one rotation happens at a time."""

    def __init__(self, vault: Vault, sealed: Sealed, leases: Path) -> None:
        self._vault = vault
        self._sealed = sealed
        self._leases = leases

    def states(self) -> list[KeyState]:
        used = self._sealed.usage()
        keys = self._vault.ring.keys
        return [KeyState(key.id, key.made, number == 0, used[key.id]) for number, key in enumerate(keys)]

    def lost(self) -> int:
        """How many values no key opens."""
        return self._sealed.usage()[""]

    def rotate(self, now: float, *, new_key: bool = True, drop_old: bool = False) -> Rotation:
        with _alone(self._leases):
            self._vault.refresh()
            if new_key and not self._interrupted():
                self._write(self._vault.ring.with_new(now))
            renewed = self._sealed.renew()
            dropped = self._drop() if drop_old else ()
        return Rotation(self._vault.ring.keys[0].id if new_key else "", renewed, dropped)

    def _interrupted(self) -> bool:
        """A key in front that has encrypted nothing, unlike others: left by a kill, or put by a person."""
        front, *others = self.states()
        return not front.values and any(other.values for other in others)

    def _drop(self) -> tuple[str, ...]:
        """Nobody writes meanwhile, so nothing is encrypted with a key that goes."""
        with self._sealed.frozen():
            _, *others = self.states()
            if any(other.values for other in others):
                raise Conflict(
                    "an old key is in use again; run `llm-intercept secret rotate --drop-old` again"
                )
            gone = tuple(other.id for other in others)
            if gone:
                self._write(self._vault.ring.without(gone))
        return gone

    def _write(self, ring: keyring.Keyring) -> None:
        path = self._vault.path
        if path is None:
            raise ConfigError(
                f"the keys come from {KEY_VARIABLE}: put a new one in front there, restart everything "
                "that uses it, and run `llm-intercept secret rotate --no-new-key`; "
                "the last one gives the pepper and stays"
            )
        keyring.write(path, ring)
        self._vault.refresh()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / "rotation.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
