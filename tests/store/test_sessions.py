import pytest

from llm_intercept.errors import NotFound
from llm_intercept.store.control import Control
from llm_intercept.store.users import User
from tests.store.conftest import Clock


def test_a_link_works_once(control: Control) -> None:
    code = control.sessions.create_link()
    assert control.sessions.redeem_link(code)
    assert not control.sessions.redeem_link(code)
    assert not control.sessions.redeem_link("guess")


@pytest.mark.parametrize(("later", "good"), [(599, True), (600, False)])
def test_a_link_works_for_ten_minutes(control: Control, clock: Clock, later: int, good: bool) -> None:
    code = control.sessions.create_link()
    clock.now += later
    assert control.sessions.redeem_link(code) is good


def test_a_session(control: Control, clock: Clock) -> None:
    cookie = control.sessions.open("owner", "admin", hours=2, user_agent="x" * 500, client_ip="127.0.0.1")
    assert len(cookie) == 64
    session = control.sessions.find(cookie)
    assert session is not None
    assert (session.actor, session.role, session.expires_at - session.created_at) == ("owner", "admin", 7200)
    assert control.sessions.find(cookie[:-1]) is None
    clock.now += 7200
    assert control.sessions.find(cookie) is None


def test_logging_out(control: Control) -> None:
    first, second = (control.sessions.open("owner", "admin", hours=1) for _ in range(2))
    control.sessions.close(first)
    assert control.sessions.find(first) is None
    assert control.sessions.find(second)


def opened(control: Control, user: User) -> str:
    return control.sessions.open(user.name, user.role, hours=1, user_id=user.id, method="password")


def test_sessions_are_listed_and_revoked_by_user(control: Control, clock: Clock) -> None:
    ada, bob = control.users.create("ada"), control.users.create("bob")
    cookies = [opened(control, ada), opened(control, ada), opened(control, bob)]
    owner = control.sessions.open("owner", "admin", hours=1)
    clock.now += 61
    assert control.sessions.find(cookies[0])
    mine = control.sessions.list(ada.id)
    assert [session.actor for session in mine] == ["ada", "ada"]
    assert mine[0].last_seen_at == int(clock.now), "the latest seen is the first"
    assert not {session.id for session in mine} & set(cookies)
    assert [session.actor for session in control.sessions.list("")] == ["owner"]
    assert len(control.sessions.list()) == 4
    with pytest.raises(NotFound):
        control.sessions.revoke(mine[0].id, bob.id)
    control.sessions.revoke(mine[0].id, ada.id)
    assert control.sessions.find(cookies[0]) is None
    assert control.sessions.find(cookies[1])
    third = opened(control, ada)
    assert control.sessions.revoke_all(ada.id, but=third) == 1
    assert [bool(control.sessions.find(c)) for c in (cookies[1], third, cookies[2], owner)] == [
        False,
        True,
        True,
        True,
    ]
    assert control.sessions.revoke_all("") == 1


def test_name_and_role_are_those_of_this_moment(control: Control) -> None:
    control.users.create("root", role="admin")
    ada = control.users.create("ada", role="admin")
    cookie = opened(control, ada)
    control.users.change("ada", role="viewer")
    session = control.sessions.find(cookie)
    assert session is not None
    assert (session.actor, session.role, session.user_id) == ("ada", "viewer", ada.id)


def test_a_deactivated_user_is_logged_out_for_good(control: Control) -> None:
    ada = control.users.create("ada")
    cookie = opened(control, ada)
    control.users.change("ada", active=False)
    assert control.sessions.find(cookie) is None
    control.users.change("ada", active=True)
    assert control.sessions.find(cookie) is None


def test_a_removed_user_is_logged_out(control: Control) -> None:
    cookie = opened(control, control.users.create("ada"))
    control.users.remove("ada")
    assert control.sessions.find(cookie) is None


@pytest.mark.parametrize(("later", "good"), [(3599, True), (3600, False)])
def test_a_setup_link(control: Control, clock: Clock, later: int, good: bool) -> None:
    code = control.sessions.create_link("setup")
    clock.now += later
    assert not control.sessions.redeem_link(code), "it logs nobody in"
    assert control.sessions.is_link(code, "setup") is good
    assert control.sessions.redeem_link(code, "setup") is good
    assert not control.sessions.is_link(code, "setup")


def test_being_seen_is_written_once_a_minute(control: Control, clock: Clock) -> None:
    cookie = control.sessions.open("owner", "admin", hours=1)
    start = int(clock.now)
    seen = []
    for _ in range(5):
        clock.now += 20
        session = control.sessions.find(cookie)
        assert session is not None
        seen.append(session.last_seen_at - start)
    assert seen == [0, 0, 0, 60, 60]
