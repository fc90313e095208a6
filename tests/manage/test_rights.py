"""Role by action by whose it is: what is allowed, what is refused, what is not there, and the row of each."""

from collections.abc import Callable
from typing import get_args

import pytest
from pydantic import SecretStr

from llm_intercept.errors import Forbidden, InterceptError, NotFound
from llm_intercept.manage import Actor, Management
from llm_intercept.manage.house import House
from llm_intercept.manage.rights import Area, may_change, may_see
from llm_intercept.policy.allow import Policy
from llm_intercept.policy.failures import Failures
from llm_intercept.policy.limits import Limit
from llm_intercept.policy.routing import Route, RouteTarget
from llm_intercept.store.cache import Which
from llm_intercept.store.tokens import Wanted
from tests.manage.conftest import ADMIN, People, count, last

SEEN = ("projects", "tokens", "users", "limits", "cache")
AREAS: tuple[Area, ...] = get_args(Area.__value__)
LIMIT = Limit(scope="project", name="red", measure="requests", amount=5, per="day")
ROUTE = Route(name="safe", targets=[RouteTarget(provider="openai")])

type Act = Callable[[Management, Actor], object]

# Each is carried out by one person and leaves one row.
BY_MEMBERS: dict[str, Act] = {
    "token.create": lambda m, a: m.tokens.create(a, "red", "new"),
    "token.create_batch": lambda m, a: m.tokens.create_many(a, "red", "new", 2, Wanted()),
    "token.change": lambda m, a: m.tokens.change(a, "laptop", "red", max_requests=3),
    "token.refresh": lambda m, a: m.tokens.refresh(a, "laptop", "red"),
    "token.suspend": lambda m, a: m.tokens.suspend(a, "laptop", "red"),
    "token.resume": lambda m, a: m.tokens.resume(a, "laptop", "red"),
    "token.revoke": lambda m, a: m.tokens.revoke(a, "laptop", "red"),
    "token.revoke_batch": lambda m, a: m.tokens.revoke_many(a, ["laptop", "phone"], "red"),
    "token.revoke_all": lambda m, a: m.tokens.revoke_all(a, "red"),
    "cache.purge": lambda m, a: m.cache.purge(a, Which(project="red")),
}
ANYWHERE: Callable[[str, int, bool], bool] = lambda *_: True  # noqa: E731
FOR_ADMINS: dict[str, Act] = {
    "user.create": lambda m, a: m.users.create(a, "new"),
    "user.change": lambda m, a: m.users.change(a, "vic", role="admin"),
    "user.delete": lambda m, a: m.users.delete(a, "sam"),
    "project.create": lambda m, a: m.projects.create(a, "new"),
    "project.change": lambda m, a: m.projects.change(a, "red", capture="all"),
    "key.create": lambda m, a: m.keys.create(a, "openai", SecretStr("sk-x-12345678901234")),
    "key.change": lambda m, a: m.keys.change(a, "groq", "default", weight=3, pool="team"),
    "key.enable": lambda m, a: m.keys.enable(a, "groq", "default"),
    "key.disable": lambda m, a: m.keys.disable(a, "groq", "default"),
    "key.delete": lambda m, a: m.keys.delete(a, "groq", "default"),
    "route.create": lambda m, a: m.routes.set(a, ROUTE),
    "route.change": lambda m, a: m.routes.set(a, ROUTE.model_copy(update={"name": "there"})),
    "route.enable": lambda m, a: m.routes.enable(a, "there"),
    "route.disable": lambda m, a: m.routes.disable(a, "there"),
    "route.move": lambda m, a: m.routes.move(a, "there", 1),
    "route.delete": lambda m, a: m.routes.delete(a, "there"),
    "breaker.reset": lambda m, a: m.breakers.reset(a, "openai"),
    "listener.create": lambda m, a: m.listeners.create(a, "new", is_free=lambda port: True),
    "listener.change": lambda m, a: m.listeners.change(
        a, "there", is_free_at=ANYWHERE, cache="on", port=8200
    ),
    "listener.start": lambda m, a: m.listeners.start(a, "there"),
    "listener.stop": lambda m, a: m.listeners.stop(a, "there", alive=False),
    "listener.delete": lambda m, a: m.listeners.delete(a, "there"),
    "limit.create": lambda m, a: m.limits.set(a, LIMIT),
    "limit.change": lambda m, a: m.limits.set(a, LIMIT.model_copy(update={"per": "month"})),
    "limit.enable": lambda m, a: m.limits.enable(a, limit_id(m)),
    "limit.disable": lambda m, a: m.limits.disable(a, limit_id(m)),
    "limit.delete": lambda m, a: m.limits.delete(a, limit_id(m)),
    "failure.change": lambda m, a: m.failures.set(a, "project", "red", Failures()),
    "failure.reset": lambda m, a: m.failures.reset(a, "project", "red"),
}
EVERYTHING = BY_MEMBERS | FOR_ADMINS


def limit_id(manage: Management) -> str:
    return manage.limits.list(ADMIN)[0].id


@pytest.fixture
def world(manage: Management, people: People) -> People:
    manage.keys.create(ADMIN, "groq", SecretStr("gsk-y-12345678901234"))
    manage.routes.set(ADMIN, ROUTE.model_copy(update={"name": "there"}))
    manage.listeners.create(ADMIN, "there", is_free=lambda port: True)
    manage.limits.set(ADMIN, LIMIT.model_copy(update={"per": "month"}))
    manage.failures.set(ADMIN, "project", "red", Failures())
    return people


@pytest.mark.parametrize("action", EVERYTHING)
def test_admins_do_everything_and_it_leaves_one_row(manage: Management, world: People, action: str) -> None:
    before = count(manage)
    EVERYTHING[action](manage, world.admin)
    row = last(manage)
    assert count(manage) == before + 1
    assert (row.action, row.outcome, row.actor, row.source) == (action, "ok", "root", "local")
    assert row.object_kind == ("project" if action == "token.revoke_all" else action.partition(".")[0])
    assert row.object_name
    is_new, is_gone = ".create" in action, action.endswith((".delete", "failure.reset"))
    assert bool(row.before) == (not is_new and action not in ("breaker.reset", "cache.purge"))
    assert bool(row.after) == (not is_gone)
    assert manage.audit.verify().ok


@pytest.mark.parametrize("action", BY_MEMBERS)
def test_members_make_tokens_for_their_projects(manage: Management, world: People, action: str) -> None:
    before = count(manage)
    BY_MEMBERS[action](manage, world.member)
    assert count(manage) == before + 1
    assert (last(manage).action, last(manage).outcome, last(manage).actor) == (action, "ok", "mia")


@pytest.mark.parametrize("action", FOR_ADMINS)
@pytest.mark.parametrize("who", ["member", "viewer", "stranger"])
def test_only_admins_change_anything_else(manage: Management, world: People, who: str, action: str) -> None:
    before, state = count(manage), everything(manage)
    with pytest.raises(Forbidden, match=r"may not do this \(" + action):
        FOR_ADMINS[action](manage, getattr(world, who))
    assert everything(manage) == state
    assert count(manage) == before + 1
    assert (last(manage).action, last(manage).outcome) == (action, "denied")
    assert last(manage).source == "192.0.2.1"


@pytest.mark.parametrize("action", BY_MEMBERS)
@pytest.mark.parametrize("who", ["viewer", "stranger"])
def test_nobody_else_changes_tokens(manage: Management, world: People, who: str, action: str) -> None:
    """A viewer of the project sees it; to a stranger it does not exist."""
    before, state = count(manage), everything(manage)
    with pytest.raises(InterceptError) as raised:
        BY_MEMBERS[action](manage, getattr(world, who))
    assert isinstance(raised.value, NotFound if who == "stranger" else (Forbidden, NotFound))
    assert everything(manage) == state
    assert count(manage) == before + 1
    assert (last(manage).action, last(manage).outcome) == (action, "denied")


def test_a_token_that_a_member_makes_is_the_members_own(manage: Management, people: People) -> None:
    """A limit on mia would mean nothing if her tokens could be nobody's, or vic's."""
    assert manage.tokens.create(people.member, "red", "a").token.user == "mia"
    assert manage.tokens.create(people.member, "red", "b", user="mia@example.com").token.user == "mia"
    made = manage.tokens.create_many(people.member, "red", "c", 2, Wanted())
    assert {new.token.user for new in made} == {"mia"}
    for user in ("vic", "ci"):
        with pytest.raises(Forbidden, match="mia's own"):
            manage.tokens.create(people.member, "red", "d", user=user)
        with pytest.raises(Forbidden, match="mia's own"):
            manage.tokens.create_many(people.member, "red", "d", 2, Wanted(user=user))
        with pytest.raises(Forbidden, match="mia's own"):
            manage.tokens.change(people.member, "a", "red", user=user)
        assert (last(manage).action, last(manage).outcome) == ("token.change", "denied")
    assert manage.tokens.change(people.member, "laptop", "red", user="mia").user == "mia"
    assert manage.tokens.create(people.admin, "red", "e", user="ci").token.user == "ci"


def test_the_secret_of_somebody_elses_token_is_not_to_be_had(manage: Management, people: People) -> None:
    with pytest.raises(Forbidden, match="is vic's"):
        manage.tokens.refresh(people.member, "phone", "red")
    with pytest.raises(Forbidden, match="is vic's"):
        manage.tokens.change(people.member, "phone", "red", policy=Policy())
    assert (last(manage).outcome, last(manage).object_name) == ("denied", "red/phone")
    assert manage.tokens.suspend(people.member, "phone", "red").state == "suspended"
    assert manage.tokens.revoke(people.member, "phone", "red").state == "revoked"


def test_a_viewer_may_not_even_revoke_an_own_token(manage: Management, world: People) -> None:
    with pytest.raises(Forbidden):
        manage.tokens.revoke(world.viewer, "phone", "red")


def everything(manage: Management) -> list[object]:
    control = manage.control
    stores = (control.users, control.projects, control.tokens, control.credentials, control.routes)
    return [store.list() for store in (*stores, control.listeners, control.limits, control.failures)]


@pytest.mark.parametrize(
    ("who", "projects", "tokens", "users", "limits"),
    [
        (
            "admin",
            ["blue", "default", "red"],
            ["red/laptop", "blue/laptop", "red/phone"],
            ["mia", "sam", "vic"],
            1,
        ),
        ("member", ["red"], ["red/laptop", "red/phone"], ["mia"], 1),
        ("viewer", ["red"], ["red/phone"], ["vic"], 1),
        ("stranger", [], [], ["sam"], 0),
    ],
)
def test_lists_hold_what_may_be_seen(
    manage: Management,
    world: People,
    who: str,
    projects: list[str],
    tokens: list[str],
    users: list[str],
    limits: int,
) -> None:
    actor = getattr(world, who)
    assert [p.name for p in manage.projects.list(actor)] == projects
    assert [f"{t.project}/{t.name}" for t in manage.tokens.list(actor)] == tokens
    assert [u.name for u in manage.users.list(actor)] == users
    assert len(manage.limits.list(actor)) == limits
    seen = (manage.keys, manage.routes, manage.listeners, manage.failures)
    assert all(bool(part.list(actor)) == (who == "admin") for part in seen)


@pytest.mark.parametrize(
    ("real", "made_up"),
    [
        (lambda m, a: m.projects.get(a, "red"), lambda m, a: m.projects.get(a, "nix")),
        (lambda m, a: m.tokens.get(a, "laptop", "red"), lambda m, a: m.tokens.get(a, "laptop", "nix")),
        (lambda m, a: m.tokens.get(a, "phone"), lambda m, a: m.tokens.get(a, "nix")),
        (lambda m, a: m.tokens.list(a, "red"), lambda m, a: m.tokens.list(a, "nix")),
        (lambda m, a: m.tokens.create(a, "red", "x"), lambda m, a: m.tokens.create(a, "nix", "x")),
        (lambda m, a: m.tokens.revoke(a, "phone"), lambda m, a: m.tokens.revoke(a, "nix")),
        (lambda m, a: m.users.get(a, "mia"), lambda m, a: m.users.get(a, "nix")),
    ],
)
def test_what_must_not_be_seen_cannot_be_told_from_what_is_not_there(
    manage: Management, world: People, real: Act, made_up: Act
) -> None:
    errors = []
    for act in (real, made_up):
        with pytest.raises(NotFound) as raised:
            act(manage, world.stranger)
        errors.append(str(raised.value))
    for name in ("red", "phone", "mia"):
        errors[0] = errors[0].replace(f"'{name}'", "'nix'")
    assert errors[0] == errors[1]


@pytest.mark.parametrize(
    "look",
    [
        lambda m, a: m.keys.get(a, "groq"),
        lambda m, a: m.routes.get(a, "there"),
        lambda m, a: m.listeners.get(a, "there"),
        lambda m, a: m.failures.find(a, "project", "red"),
    ],
)
def test_the_machinery_is_for_admins(manage: Management, world: People, look: Act) -> None:
    before = count(manage)
    look(manage, world.admin)
    with pytest.raises(Forbidden, match="may not see"):
        look(manage, world.member)
    assert count(manage) == before


@pytest.mark.parametrize("area", AREAS)
def test_the_table(area: Area) -> None:
    assert may_see("admin", area, own=False)
    assert may_change("admin", area, own=False)
    for role in ("member", "viewer"):
        assert not may_see(role, area, own=False)
        assert not may_change(role, area, own=False)
        assert may_see(role, area, own=True) == (area in SEEN)
        assert may_change(role, area, own=True) == (role == "member" and area in ("tokens", "cache"))


def test_what_is_not_shown_is_named(manage: Management, world: People) -> None:
    with pytest.raises(
        Forbidden, match=r"may not see the backups, databases, logs and settings; only admins"
    ):
        House(manage.desk, manage.settings).may_look(world.member)
