"""Passwords to argon2id hashes and back to a yes or no. The rules for passwords are `policy/passwords.py`."""

import os
from dataclasses import dataclass
from functools import cached_property

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from llm_intercept.policy.passwords import LONGEST, Cost, checked, prepared


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rehashed`: what is to be stored instead, when the parameters have changed since."""

    right: bool
    rehashed: str = ""


class Hasher:
    """Takes a tenth of a second and 64 MiB at each use: not for an event loop, and not many at once."""

    def __init__(self, cost: Cost | None = None) -> None:
        chosen = cost or Cost()
        self._argon2 = PasswordHasher(
            time_cost=chosen.time,
            memory_cost=chosen.memory_kib,
            parallelism=chosen.parallelism,
            hash_len=chosen.hash_bytes,
            salt_len=chosen.salt_bytes,
            type=Type.ID,
        )

    def new(self, password: str) -> str:
        """The hash of a new password; ConfigError if that cannot be one."""
        return self._argon2.hash(checked(password))

    def verify(self, stored: str, password: str) -> Verdict:
        """Whether it is the password. Without a stored hash it takes as long, and is not."""
        # Nobody's password is longer; more would only be work.
        ready = prepared(password[: LONGEST * 2])
        try:
            self._argon2.verify(stored or self._nobodys, ready)
        except (VerificationError, InvalidHashError):
            return Verdict(False)
        if not stored:
            return Verdict(False)
        outdated = self._argon2.check_needs_rehash(stored)
        return Verdict(True, self._argon2.hash(ready) if outdated else "")

    @cached_property
    def _nobodys(self) -> str:
        return self._argon2.hash(os.urandom(32))
