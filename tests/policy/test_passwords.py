"""Passwords as they may be, and how long failures make one wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.errors import ConfigError
from llm_intercept.policy.passwords import FREE, LONGEST_PAUSE_S, checked, origin, pause, prepared


@pytest.mark.parametrize(
    "password", ["correct horse battery", "a" * 12, "日本語のパスワードです。長い", " " * 12, "x" * 1024]
)
def test_length_is_the_only_rule(password: str) -> None:
    assert checked(password) == prepared(password)


@pytest.mark.parametrize(("password", "why"), [("", "short"), ("a" * 11, "short"), ("x" * 1025, "long")])
def test_what_cannot_be_one(password: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"too {why}"):
        checked(password)


def test_the_same_characters_are_the_same_password() -> None:
    assert prepared("café") == prepared("cafe\u0301")


@given(st.sampled_from(["user", "ip"]), st.integers(0, 10**9))
def test_pauses_grow_and_end(scope: str, failures: int) -> None:
    shorter, longer = pause(scope, failures), pause(scope, failures + 1)  # type: ignore[arg-type]
    assert 0 <= shorter <= longer <= LONGEST_PAUSE_S
    assert (longer > 0) == (failures + 1 >= FREE[scope])  # type: ignore[index]
    assert longer in (0, 1, 2 * shorter, LONGEST_PAUSE_S)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1%eth0", "2001:db8:1:2::/64"),
        ("", ""),
        ("x" * 100, "x" * 64),
    ],
)
def test_what_counts_as_one_address(address: str, counted: str) -> None:
    assert origin(address) == counted
