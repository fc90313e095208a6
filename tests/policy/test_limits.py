import pytest
from pydantic import ValidationError

from llm_intercept.policy.limits import Limit, LimitBook, Parties, StoredLimit, matches

CALL = Parties(
    user="ada",
    project="demo",
    token="demo/laptop",
    listener="main",
    client_ip="10.1.2.3",
    model="gpt-4o-mini",
    provider="openai",
)


def limit(scope: str, name: str = "", **more: object) -> Limit:
    return Limit.model_validate({"scope": scope, "name": name, "measure": "requests", "amount": 1, **more})


def applied(call: Parties, *limits: Limit) -> list[tuple[str, str]]:
    book = LimitBook([StoredLimit(f"lim_{n}", each) for n, each in enumerate(limits)])
    return [(found.limit.scope, found.member) for found in book.applicable(call)]


@pytest.mark.parametrize(
    ("scope", "name", "member"),
    [
        ("global", "", ""),
        ("user", "ada", ""),
        ("project", "DEMO", ""),
        ("token", "demo/laptop", ""),
        ("token", "demo/*", ""),
        ("listener", "main", ""),
        ("client_ip", "10.1.2.3", ""),
        ("client_ip", "10.0.0.0/8", ""),
        ("model", "gpt-4o*", ""),
        ("provider", "openai", ""),
        ("user", "", "ada"),
        ("token", "", "demo/laptop"),
        ("model", "", "gpt-4o-mini"),
    ],
)
def test_limits_that_apply(scope: str, name: str, member: str) -> None:
    assert applied(CALL, limit(scope, name)) == [(scope, member)]


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("user", "bob"),
        ("project", "dem"),
        ("token", "other/*"),
        ("client_ip", "11.0.0.0/8"),
        ("model", "gpt-5*"),
    ],
)
def test_limits_that_do_not(scope: str, name: str) -> None:
    assert applied(CALL, limit(scope, name)) == []


def test_nobody_has_no_limit() -> None:
    assert applied(Parties(), *(limit(scope) for scope in ("user", "token", "listener"))) == []
    assert applied(Parties(), limit("global")) == [("global", "")]


def test_members_are_counted_apart_and_globs_together() -> None:
    book = LimitBook([StoredLimit("a", limit("model")), StoredLimit("b", limit("model", "gpt*"))])
    keys = [{found.key for found in book.applicable(Parties(model=m))} for m in ("gpt-1", "gpt-2")]
    assert keys == [{"a:gpt-1", "b:"}, {"a:gpt-2", "b:"}]


def test_a_name_in_other_letters_is_the_same_member() -> None:
    book = LimitBook([StoredLimit("lim_1", Limit(scope="model", measure="requests", amount=1))])
    written = [
        applied.key for name in ("GPT-4o", "gpt-4o") for applied in book.applicable(Parties(model=name))
    ]
    assert written == ["lim_1:gpt-4o"] * 2


def test_an_empty_book_is_false() -> None:
    assert not LimitBook()
    assert LimitBook([StoredLimit("a", limit("global"))])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"timezone": "Mars/Olympus"}, "not a time zone"),
        ({"timezone": "../etc/passwd"}, "not a time zone"),
        ({"thresholds": [0]}, "percentages"),
        ({"amount": -1}, "greater than or equal"),
        ({"per": "year"}, "minute"),
        ({"measure": "concurrency", "per": "day"}, "same time"),
        ({"scope": "global", "name": "x"}, "has no name"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_limits_that_make_no_sense(more: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        limit(**{"scope": "project", "name": "demo", **more})  # type: ignore[arg-type]


def test_what_makes_it_the_same_limit() -> None:
    one = limit("project", "demo", amount=5)
    assert one.identity == limit("project", "Demo", amount=6, soft=True, timezone="Europe/Berlin").identity
    assert one.identity != limit("project", "demo", per="day").identity


@pytest.mark.parametrize(
    ("pattern", "value", "whether"),
    [
        ("2001:db8::/32", "2001:db8::1", True),
        ("10.0.0.0/8", "unknown", False),
        ("no/network", "10.0.0.1", False),
        ("openai/*", "openai/gpt-4o", True),
    ],
)
def test_matching(pattern: str, value: str, whether: bool) -> None:
    assert matches(pattern, value) is whether
