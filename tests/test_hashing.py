"""Passwords and their hashes. Cheap parameters, except where the real ones are the question."""

import pytest

from llm_intercept.errors import ConfigError
from llm_intercept.hashing import Hasher
from llm_intercept.policy.passwords import Cost

CHEAP = Cost(time=1, memory_kib=8, parallelism=1)
PASSWORD = "correct horse battery"


def test_the_parameters_are_those_that_are_stated() -> None:
    stored = Hasher().new(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert Hasher().verify(stored, PASSWORD).right
    assert Hasher().verify(stored, PASSWORD).rehashed == ""


@pytest.mark.parametrize("typed", ["", "correct horse batterz", "correct horse battery ", "x" * 100_000])
def test_another_password_is_wrong(typed: str) -> None:
    hasher = Hasher(CHEAP)
    assert not hasher.verify(hasher.new(PASSWORD), typed).right


def test_two_hashes_of_a_password_differ() -> None:
    hasher = Hasher(CHEAP)
    assert hasher.new(PASSWORD) != hasher.new(PASSWORD)


def test_a_hash_with_other_parameters_is_made_anew() -> None:
    old, new = Hasher(CHEAP), Hasher(Cost(time=2, memory_kib=16, parallelism=1))
    verdict = new.verify(old.new(PASSWORD), PASSWORD)
    assert verdict.right
    assert "m=16,t=2" in verdict.rehashed
    assert new.verify(verdict.rehashed, PASSWORD).rehashed == ""
    assert not new.verify(old.new(PASSWORD), "another one, wrong").rehashed


def test_without_a_hash_nothing_is_right_and_the_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = Hasher(CHEAP)
    done = []
    real = hasher._argon2.verify

    class Counting:
        def verify(self, stored: str, password: str) -> bool:
            done.append(stored)
            return real(stored, password)

        def __getattr__(self, name: str) -> object:
            return getattr(real.__self__, name)

    hasher._argon2 = Counting()  # type: ignore[assignment]
    assert not hasher.verify("", PASSWORD).right
    assert len(done) == 1
    assert done[0].startswith("$argon2id$v=19$m=8,t=1,p=1$")


def test_a_damaged_hash_lets_nobody_in() -> None:
    assert not Hasher(CHEAP).verify("$argon2id$nonsense", PASSWORD).right


def test_a_new_password_is_checked() -> None:
    with pytest.raises(ConfigError):
        Hasher(CHEAP).new("short")


def test_one_way_to_type_it_is_like_another() -> None:
    hasher = Hasher(CHEAP)
    assert hasher.verify(hasher.new("café con leche"), "cafe\u0301 con leche").right
