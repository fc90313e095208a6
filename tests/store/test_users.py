from collections.abc import Callable

import pytest

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.store.control import Control
from llm_intercept.store.users import Users


def test_a_user(control: Control) -> None:
    made = control.users.create("ada", email="ada@example.com", role="admin")
    assert (made.name, made.email, made.role, made.active) == ("ada", "ada@example.com", "admin", True)
    assert made.id.startswith("usr_")
    for reference in ("ada", "ADA", "ada@example.com", "Ada@Example.com", made.id):
        assert control.users.get(reference) == made
    assert control.users.list() == [made]
    assert control.users.find("bob") is None


def test_what_a_user_has_is_counted(control: Control) -> None:
    control.users.create("ada")
    control.projects.create("demo", owner="ada")
    for name in ("a", "b"):
        control.tokens.create("demo", name, user="ada")
    control.tokens.revoke("b")
    ada = control.users.get("ada")
    assert (ada.projects, ada.tokens) == (1, 1)


def test_changes(control: Control) -> None:
    control.users.create("ada", email="ada@example.com")
    assert control.users.change("ada", role="viewer").role == "viewer"
    assert control.users.change("ada", email="").email is None
    assert control.users.change("ada", email="a@b.example").email == "a@b.example"
    assert control.users.change("ada", active=False).active is False
    assert control.users.change("ada").active is False


def test_removing(control: Control) -> None:
    control.users.create("ada")
    control.projects.create("demo", owner="ada", members=["ada"])
    with pytest.raises(Conflict, match=r"owns 1 projects.*--inactive"):
        control.users.remove("ada")
    control.projects.change("demo", owner="")
    token = control.tokens.create("demo", "t", user="ada").token
    with pytest.raises(Conflict, match="has 1 working tokens"):
        control.users.remove("ada")
    control.tokens.revoke("t")
    assert control.users.remove("ada").name == "ada"
    assert control.users.list() == []
    assert control.projects.get("demo").members == ()
    assert (control.tokens.get(token.id).user, control.tokens.get(token.id).user_id) == ("ada", None)


def test_the_last_admin_stays(control: Control) -> None:
    control.users.create("ada", role="admin")
    for change in ({"role": "member"}, {"active": False}):
        with pytest.raises(Conflict, match="last active admin"):
            control.users.change("ada", **change)
    with pytest.raises(Conflict, match="last active admin"):
        control.users.remove("ada")
    control.users.create("bob", role="admin")
    assert control.users.change("ada", role="member").role == "member"
    control.users.remove("ada")


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda u: u.create("ada"), Conflict, "the name 'ada' exists already"),
        (lambda u: u.create("ADA"), Conflict, "exists already"),
        (lambda u: u.create("x", email="ADA@example.com"), Conflict, "email address ADA@example.com"),
        (lambda u: u.create("x y"), ConfigError, "cannot be the name of a user"),
        (lambda u: u.create("x", email="nobody"), ConfigError, "not an email address"),
        (lambda u: u.create("x", role="king"), ConfigError, "admin, member or viewer"),
        (lambda u: u.change("ada", role="king"), ConfigError, "admin, member or viewer"),
        (lambda u: u.change("bob", email="ada@example.com"), Conflict, "email address"),
        (lambda u: u.get("nobody"), NotFound, "llm-intercept user list"),
        (lambda u: u.remove("nobody"), NotFound, "no user 'nobody'"),
    ],
)
def test_errors(
    control: Control, act: Callable[[Users], object], error: type[Exception], message: str
) -> None:
    control.users.create("ada", email="ada@example.com")
    control.users.create("bob")
    with pytest.raises(error, match=message):
        act(control.users)
