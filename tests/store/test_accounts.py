"""Passwords, attempts, the first admin, invites, and who people are elsewhere."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_intercept.errors import Conflict, NotFound
from llm_intercept.hashing import Hasher
from llm_intercept.home import Home
from llm_intercept.policy.passwords import FORGOTTEN_S, FREE, LONGEST_PAUSE_S, Cost, pause
from llm_intercept.store.accounts import Accounts, TooManyAttempts
from llm_intercept.store.control import Control
from llm_intercept.store.database import Database
from llm_intercept.store.migrate import connect, migrate
from llm_intercept.store.schema import CONTROL
from llm_intercept.vault import Vault
from tests.store.conftest import Clock

CHEAP = Hasher(Cost(time=1, memory_kib=8, parallelism=1))
PASSWORD = "correct horse battery"
IP = "192.0.2.1"


def try_(control: Control, who: str, password: str, ip: str = IP) -> bool:
    attempt = control.accounts.attempt(who, ip)
    verdict = CHEAP.verify(attempt.hash, password)
    control.accounts.settle(attempt, verdict.right, verdict.rehashed)
    return verdict.right


@pytest.fixture
def ada(control: Control) -> str:
    user = control.users.create("ada", email="ada@example.com")
    control.accounts.set_password(user.id, CHEAP.new(PASSWORD))
    return user.id


def test_logging_in_by_name_or_address(control: Control, ada: str) -> None:
    for who in ("ada", "ADA", " ada@example.com ", "Ada@Example.com"):
        assert try_(control, who, PASSWORD)
    for who in ("", "  ", "bob", "ada@example.org", "' OR 1=1 --"):
        assert not try_(control, who, PASSWORD, "192.0.2.9")


def test_somebody_inactive_or_without_a_password_does_not_get_in(control: Control, ada: str) -> None:
    control.users.create("bob")
    assert not try_(control, "bob", PASSWORD)
    assert not try_(control, "bob", "")
    control.users.change("ada", active=False)
    attempt = control.accounts.attempt("ada", IP)
    assert (attempt.user, attempt.hash) == (None, "")


def test_failures_make_one_wait(control: Control, ada: str, clock: Clock) -> None:
    for number in range(FREE["user"]):
        assert not try_(control, "ada", "wrong", f"192.0.2.{number}")
    with pytest.raises(TooManyAttempts, match=r"try again in 1 second$"):
        control.accounts.attempt("ada@example.com", "198.51.100.1")
    clock.now += 1
    assert not try_(control, "ada", "wrong", "198.51.100.1")
    clock.now += 1
    with pytest.raises(TooManyAttempts):
        control.accounts.attempt("ada", IP)
    clock.now += 1
    assert try_(control, "ada", PASSWORD)
    assert not try_(control, "ada", "wrong"), "what was wrong before is forgiven"


def test_an_address_waits_whoever_it_tries(control: Control, ada: str) -> None:
    for number in range(FREE["ip"]):
        assert not try_(control, f"nobody{number}", "wrong")
    with pytest.raises(TooManyAttempts):
        control.accounts.attempt("ada", IP)
    assert try_(control, "ada", PASSWORD, "198.51.100.1")


def test_a_good_login_forgives_an_address_only_itself(control: Control, ada: str) -> None:
    for number in range(FREE["ip"] - 1):
        try_(control, f"nobody{number}", "wrong")
        assert try_(control, "ada", PASSWORD), "it does not count against the address"
    assert not try_(control, "somebody", "wrong")
    with pytest.raises(TooManyAttempts):
        control.accounts.attempt("ada", IP)


def test_many_at_once_are_no_way_round(control: Control, ada: str) -> None:
    begun = [control.accounts.attempt("ada", f"192.0.2.{n}") for n in range(FREE["user"])]
    assert all(attempt.hash for attempt in begun)
    with pytest.raises(TooManyAttempts):
        control.accounts.attempt("ada", IP)


def test_failures_are_kept_and_forgotten(
    home: Home, vault: Vault, control: Control, ada: str, clock: Clock
) -> None:
    for number in range(FREE["user"]):
        try_(control, "ada", "wrong", f"192.0.2.{number}")
    again = Control(home.control_db, vault, clock=clock)
    with pytest.raises(TooManyAttempts):
        again.accounts.attempt("ada", IP)
    again.close()
    clock.now += FORGOTTEN_S + 1
    assert not try_(control, "ada", "wrong")
    assert not try_(control, "ada", "wrong"), "the count began again"


def test_what_people_type_into_the_wrong_field_is_not_kept(home: Home, control: Control) -> None:
    try_(control, "my-secret-password", "x")
    stored = home.control_db.read_bytes() + home.control_db.with_name("control.db-wal").read_bytes()
    assert b"my-secret-password" not in stored


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ada", "bob", "nobody"]),
            st.sampled_from([IP, "192.0.2.2", "2001:db8::1"]),
            st.integers(0, 400),
        ),
        max_size=60,
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_guessing_is_slow_in_whatever_order(
    tmp_path_factory: pytest.TempPathFactory, vault: Vault, tries: list[tuple[str, str, int]]
) -> None:
    """A model that keeps every failure: an attempt is looked at exactly when neither counter waits."""
    path: Path = tmp_path_factory.mktemp("guessing") / "control.db"
    migrate(path, CONTROL)
    clock, connection = Clock(), connect(path)
    accounts = Accounts(Database(connection, vault, clock))
    failed: dict[tuple[str, str], tuple[int, int]] = {}
    for who, ip, later in tries:
        clock.now += later
        now, keys = int(clock.now), [("user", who), ("ip", ip)]
        waits = max(failed.get(key, (0, 0))[1] - now for key in keys)
        if waits > 0:
            with pytest.raises(TooManyAttempts) as raised:
                accounts.attempt(who, ip)
            assert raised.value.seconds == waits <= LONGEST_PAUSE_S
            continue
        accounts.attempt(who, ip)
        for key in keys:
            count = failed.get(key, (0, 0))[0] + 1
            failed[key] = (count, now + pause(key[0], count))  # type: ignore[arg-type]
    connection.close()


def test_a_new_password_ends_sessions_and_invites(control: Control, ada: str) -> None:
    cookie = control.sessions.open("ada", "member", hours=1, user_id=ada)
    code = control.invites.create("ada")
    control.accounts.set_password(ada, CHEAP.new("another long password"))
    assert control.sessions.find(cookie) is None
    assert control.invites.redeem(code) is None
    assert not try_(control, "ada", PASSWORD)
    assert try_(control, "ada", "another long password")


def test_a_hash_made_anew_ends_nothing(control: Control, ada: str) -> None:
    cookie = control.sessions.open("ada", "member", hours=1, user_id=ada)
    stronger = Hasher(Cost(time=2, memory_kib=16, parallelism=1))
    attempt = control.accounts.attempt("ada", IP)
    verdict = stronger.verify(attempt.hash, PASSWORD)
    control.accounts.settle(attempt, verdict.right, verdict.rehashed)
    assert "t=2" in control.accounts.attempt("ada", IP).hash
    assert control.sessions.find(cookie)


def test_there_is_one_first_admin(control: Control) -> None:
    assert control.accounts.without_users()
    first = control.accounts.create_first("ada", "ada@example.com", CHEAP.new(PASSWORD))
    assert (first.role, first.active) == ("admin", True)
    assert not control.accounts.without_users()
    with pytest.raises(Conflict, match="ask an admin"):
        control.accounts.create_first("eve", "", CHEAP.new(PASSWORD))
    assert try_(control, "ada", PASSWORD)


def test_an_invite_works_once(control: Control) -> None:
    user = control.users.create("ada")
    old, code = control.invites.create("ada"), control.invites.create(user.id)
    assert control.invites.find(old) is None, "the last one counts"
    assert control.invites.open_for(user.id)
    for _ in range(2):
        assert control.invites.find(code) == user
    assert control.invites.redeem(code) == user
    assert control.invites.redeem(code) is None
    assert not control.invites.open_for(user.id)


@pytest.mark.parametrize(("later", "good"), [(59, True), (60, False)])
def test_an_invite_expires(control: Control, clock: Clock, later: int, good: bool) -> None:
    control.users.create("ada")
    code = control.invites.create("ada", seconds=60)
    clock.now += later
    assert (control.invites.find(code) is not None) is good


def test_whom_one_cannot_invite(control: Control) -> None:
    with pytest.raises(NotFound):
        control.invites.create("ada")
    control.users.create("ada")
    code = control.invites.create("ada")
    control.users.change("ada", active=False)
    assert control.invites.find(code) is None
    with pytest.raises(Conflict, match="inactive"):
        control.invites.create("ada")
    control.users.change("ada", active=True)
    assert control.invites.find(code) is None


def test_who_somebody_is_elsewhere(control: Control) -> None:
    made = control.accounts.create_identified("https://id.example", "7", "ada", "ada@example.com", "viewer")
    assert control.accounts.identified("https://id.example", "7") == made
    assert control.accounts.identified("https://other.example", "7") is None
    bob = control.users.create("bob")
    control.accounts.identify("https://id.example", "7", bob.id)
    assert control.accounts.identified("https://id.example", "7") == made, "the first one stays"
    control.users.remove("ada")
    assert control.accounts.identified("https://id.example", "7") is None


def test_hashes_go_with_their_user(control: Control, home: Home, ada: str) -> None:
    control.users.remove("ada")
    with sqlite3.connect(home.control_db) as connection:
        assert connection.execute("SELECT count(*) FROM passwords").fetchone() == (0,)
    connection.close()
