import pytest

from llm_intercept.store.control import Control
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
    first, second, other = (control.sessions.open(actor, "admin", hours=1) for actor in ("a", "a", "b"))
    control.sessions.close(first)
    assert control.sessions.find(first) is None
    assert control.sessions.find(second)
    assert control.sessions.close_all("a") == 1
    assert control.sessions.find(second) is None
    assert control.sessions.find(other)


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
