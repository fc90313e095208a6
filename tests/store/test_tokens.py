from contextlib import closing
from datetime import timedelta

import pytest

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.home import Home
from llm_intercept.policy.allow import Policy
from llm_intercept.policy.tokens import ENDLESS, Lifetimes, Suspended, Wellformed, parse
from llm_intercept.store.control import Control, Expired, Revoked, Unknown, Valid
from llm_intercept.store.tokens import Wanted
from llm_intercept.vault import Vault
from tests.store.conftest import Clock


def test_a_new_token(control: Control, clock: Clock) -> None:
    new = control.tokens.create("default", "laptop", user="ada", lifetime=timedelta(days=30))
    assert parse(new.text) == Wellformed(new.text)
    token = new.token
    assert control.tokens.list() == [token]
    assert (token.project, token.name, token.user, token.kind) == ("default", "laptop", "ada", "bearer")
    assert (token.state, token.created_at[:10], (token.expires_at or "")[:10]) == (
        "active",
        "2026-11-18",
        "2026-12-18",
    )
    assert token.hint == f"{new.text[:8]}...{new.text[-4:]}"


def test_an_aws_pair(control: Control) -> None:
    new = control.tokens.create("default", "bedrock", aws=True)
    assert new.token.kind == "aws"
    assert new.text.startswith("LLIA")
    assert new.secret is not None
    assert len(new.secret.get_secret_value()) == 40


def test_lists_by_project(control: Control) -> None:
    control.projects.create("demo")
    for project in ("default", "demo"):
        control.tokens.create(project, "laptop")
    assert [token.project for token in control.tokens.list()] == ["default", "demo"]
    assert [token.project for token in control.tokens.list("demo")] == ["demo"]
    with pytest.raises(NotFound):
        control.tokens.list("nope")


def test_states(control: Control, clock: Clock) -> None:
    for name in ("revoked", "expired", "active"):
        control.tokens.create("default", name, lifetime=timedelta(hours=1) if name == "expired" else None)
    clock.now += 3600
    first = control.tokens.revoke("revoked")
    assert {token.name: token.state for token in control.tokens.list()} == {
        "revoked": "revoked",
        "expired": "expired",
        "active": "active",
    }
    clock.now += 5
    assert control.tokens.revoke("revoked") == first
    control.projects.set_active("default", False)
    assert control.tokens.get("active").state == "inactive"


def test_references(control: Control) -> None:
    control.projects.create("demo")
    ours = control.tokens.create("default", "laptop").token
    theirs = control.tokens.create("demo", "laptop").token
    only = control.tokens.create("demo", "server").token
    assert control.tokens.get(ours.id) == ours
    assert control.tokens.get("laptop", "demo") == theirs
    assert control.tokens.get("server") == only
    with pytest.raises(Conflict, match=r"default, demo.*say --project"):
        control.tokens.revoke("laptop")
    with pytest.raises(NotFound, match="llm-intercept token list"):
        control.tokens.get("nope")


def test_errors(control: Control) -> None:
    control.tokens.create("default", "laptop")
    control.tokens.revoke("laptop")
    with pytest.raises(Conflict, match="'default' has a token named 'laptop' already"):
        control.tokens.create("default", "laptop")
    with pytest.raises(NotFound, match="no project named 'nope'"):
        control.tokens.create("nope", "laptop")
    with pytest.raises(ConfigError, match="cannot be the name of a token"):
        control.tokens.create("default", "own:abc")


def test_names_in_other_letters_are_the_same(control: Control) -> None:
    made = control.tokens.create("default", "Laptop").token
    with pytest.raises(Conflict, match="'laptop' already"):
        control.tokens.create("default", "laptop")
    assert control.tokens.get("LAPTOP").id == made.id


def test_suspending(control: Control) -> None:
    control.tokens.create("default", "laptop")
    first = control.tokens.suspend("laptop")
    assert first.state == "suspended"
    assert control.tokens.suspend("laptop") == first
    assert control.tokens.resume("laptop").state == "active"
    control.tokens.suspend("laptop")
    control.tokens.revoke("laptop")
    for change in (control.tokens.suspend, control.tokens.resume):
        with pytest.raises(Conflict, match="was revoked"):
            change("laptop")


def test_tokens_of_users(control: Control) -> None:
    ada = control.users.create("ada", email="ada@example.com")
    token = control.tokens.create("default", "laptop", user="ada@example.com").token
    assert (token.user, token.user_id) == ("ada", ada.id)
    assert control.tokens.create("default", "ci", user="build machine").token.user_id is None
    assert control.tokens.list(user_id=ada.id) == [token]
    control.users.change("ada", active=False)
    assert control.tokens.get("laptop").state == "inactive"


def test_many_at_once_or_none(control: Control) -> None:
    wanted = Wanted(lifetime=timedelta(days=1), max_requests=5)
    made = control.tokens.create_many("default", "ci", 12, wanted)
    assert [new.token.name for new in made][:2] == ["ci-01", "ci-02"]
    assert len({new.text for new in made}) == 12
    assert {new.token.max_requests for new in made} == {5}
    control.tokens.create("default", "x-3")
    with pytest.raises(Conflict, match="'x-3' already"):
        control.tokens.create_many("default", "x", 5, wanted)
    assert control.tokens.list(prefix="x-") == [control.tokens.get("x-3")]
    with pytest.raises(ConfigError, match="1 to 1000"):
        control.tokens.create_many("default", "y", 0, wanted)


def test_revoking_several_or_none(control: Control) -> None:
    control.projects.create("demo")
    for name in ("a", "b", "c"):
        control.tokens.create("demo", name)
    with pytest.raises(NotFound, match="'nope'"):
        control.tokens.revoke_many(["a", "nope"])
    assert {token.state for token in control.tokens.list()} == {"active"}
    assert [token.state for token in control.tokens.revoke_many(["a", "b"])] == ["revoked", "revoked"]
    control.tokens.create("default", "other")
    assert [token.name for token in control.tokens.revoke_all("demo")] == ["c"]
    assert control.tokens.revoke_all("demo") == ()
    assert control.tokens.get("other").state == "active"


def test_found_by_how_it_begins(control: Control) -> None:
    new = control.tokens.create("default", "laptop")
    other = control.tokens.create("default", "server")
    assert control.tokens.list(prefix=new.text) == [new.token]
    assert new.token in control.tokens.list(prefix=new.text[:12])
    assert control.tokens.list(prefix="lap") == [new.token]
    assert control.tokens.list(prefix="lli_") == [new.token, other.token]
    assert control.tokens.list(prefix="nope") == []
    control.tokens.suspend("server")
    assert [token.name for token in control.tokens.list(state="suspended")] == ["server"]


def test_refreshing(control: Control, clock: Clock) -> None:
    policy = Policy(models=("gpt-*",))
    old = control.tokens.create(
        "default", "laptop", lifetime=timedelta(days=2), policy=policy, max_requests=9
    )
    clock.now += 86_400
    new = control.tokens.refresh("laptop", overlap=timedelta(minutes=10))
    assert new.text != old.text
    assert (new.token.id, new.token.name, new.token.policy, new.token.max_requests) == (
        old.token.id,
        "laptop",
        policy,
        9,
    )
    assert (new.token.expires_at or "")[:10] == "2026-11-21"
    assert (new.token.overlap_until or "")[11:16] == "11:16"
    assert control.tokens.list() == [new.token]
    control.refresh()
    for text in (old.text, new.text):
        assert isinstance(control.token(text, clock.now), Valid)
    clock.now += 600
    assert isinstance(control.token(old.text, clock.now), Expired)
    assert isinstance(control.token(new.text, clock.now), Valid)
    assert control.tokens.get("laptop").overlap_until is None


def test_refreshing_without_overlap(control: Control, clock: Clock) -> None:
    old = control.tokens.create("default", "laptop")
    second = control.tokens.refresh("laptop", overlap=timedelta(hours=1))
    third = control.tokens.refresh("laptop")
    control.refresh()
    assert isinstance(control.token(old.text, clock.now), Unknown)
    assert isinstance(control.token(second.text, clock.now), Unknown)
    assert isinstance(control.token(third.text, clock.now), Valid)
    assert third.token.expires_at is None


def test_what_befalls_a_token_befalls_its_former_secret(control: Control, clock: Clock) -> None:
    old = control.tokens.create("default", "laptop", lifetime=timedelta(hours=1))
    new = control.tokens.refresh("laptop", lifetime=timedelta(days=9), overlap=timedelta(hours=5))
    control.tokens.suspend("laptop")
    control.refresh()
    assert isinstance(control.token(old.text, clock.now), Suspended)
    control.tokens.resume("laptop")
    clock.now += 3600  # the end that the former secret was made for
    control.refresh()
    assert isinstance(control.token(old.text, clock.now), Expired | Unknown)
    assert isinstance(control.token(new.text, clock.now), Valid)
    control.tokens.change("laptop", lifetime=timedelta(seconds=5))
    clock.now += 5
    control.refresh()
    assert isinstance(control.token(new.text, clock.now), Expired)
    revived = control.tokens.refresh("laptop", lifetime=timedelta(hours=1), overlap=timedelta(hours=1))
    control.refresh()
    assert isinstance(control.token(new.text, clock.now), Unknown | Expired)
    assert isinstance(control.token(revived.text, clock.now), Valid)
    control.tokens.revoke("laptop")
    control.refresh()
    assert isinstance(control.token(revived.text, clock.now), Revoked)
    with pytest.raises(Conflict, match="was revoked"):
        control.tokens.refresh("laptop")


def test_refreshing_an_aws_pair(control: Control, clock: Clock) -> None:
    old = control.tokens.create("default", "bedrock", aws=True)
    new = control.tokens.refresh("bedrock", overlap=timedelta(minutes=1))
    control.refresh()
    for made in (old, new):
        state, secret = control.aws_key(made.text, clock.now)
        assert isinstance(state, Valid)
        assert secret is not None
        assert made.secret is not None
        assert secret.get_secret_value() == made.secret.get_secret_value()


def test_changing(control: Control) -> None:
    control.users.create("ada")
    control.tokens.create("default", "laptop", max_requests=3)
    policy = Policy(providers=("openai",))
    changed = control.tokens.change("laptop", policy=policy, max_requests=0, user="ada")
    assert (changed.policy, changed.max_requests, changed.user) == (policy, None, "ada")
    assert control.tokens.change("laptop") == changed
    with pytest.raises(ConfigError, match="max_requests"):
        control.tokens.change("laptop", max_requests=-1)


def test_lifetimes_have_a_maximum(home: Home, vault: Vault, clock: Clock) -> None:
    lifetimes = Lifetimes(default=timedelta(days=1), longest=timedelta(days=30))
    with closing(Control(home.control_db, vault, clock=clock, lifetimes=lifetimes)) as control:
        assert (control.tokens.create("default", "a").token.expires_at or "")[:10] == "2026-11-19"
        with pytest.raises(ConfigError, match=r"30d at most \(tokens.max_lifetime\), not for 31d"):
            control.tokens.create("default", "b", lifetime=timedelta(days=31))
        for change in (control.tokens.change, control.tokens.refresh):
            with pytest.raises(ConfigError, match=r"30d at most \(tokens.max_lifetime\), not for ever"):
                change("a", lifetime=ENDLESS)
        control.tokens.create("default", "c", lifetime=timedelta(days=30))
        with pytest.raises(ConfigError, match="30d at most"):
            control.tokens.change("c", lifetime=timedelta(weeks=5))
        with pytest.raises(ConfigError, match="30d at most"):
            control.tokens.refresh("c", lifetime=timedelta(weeks=5))


def test_no_token_works_for_longer_than_times_can_say(control: Control) -> None:
    with pytest.raises(ConfigError, match="at most"):
        control.tokens.create("default", "a", lifetime=timedelta(weeks=999_999))


def test_both_names_find_a_token(control: Control) -> None:
    control.projects.create("demo")
    ours = control.tokens.create("default", "laptop").token
    theirs = control.tokens.create("demo", "laptop").token
    assert control.tokens.get("default/laptop") == ours
    assert control.tokens.get("demo/laptop") == theirs
    with pytest.raises(NotFound):
        control.tokens.get("nope/laptop")
    with pytest.raises(Conflict):
        control.tokens.get("laptop")


def test_never_is_said_where_tokens_have_an_end_by_default(home: Home, vault: Vault, clock: Clock) -> None:
    lifetimes = Lifetimes(default=timedelta(days=1))
    with closing(Control(home.control_db, vault, clock=clock, lifetimes=lifetimes)) as control:
        assert control.tokens.create("default", "a", lifetime=ENDLESS).token.expires_at is None
        assert control.tokens.create("default", "b").token.expires_at is not None
        assert control.tokens.refresh("b", lifetime=ENDLESS).token.expires_at is None
        assert control.tokens.change("b", lifetime=timedelta(hours=1)).expires_at is not None
        clock.now += 7200
        assert control.tokens.get("b").state == "expired"
        assert control.tokens.change("b", lifetime=ENDLESS).state == "active"
