"""Routes by their forms: made, changed, moved, explained, removed."""

import html
import json

import pytest

from llm_intercept.policy.routing import Route, RouteMatch
from llm_intercept.policy.targets import parse_target
from tests.dashboard.admin.conftest import Admin, said

BASE = {"name": "safe", "strategy": "ordered", "targets": "anthropic/\nopenai/gpt-5-mini@team*3"}


def names(admin: Admin) -> list[str]:
    with admin.control() as control:
        return [stored.name for stored in control.routes.list()]


def test_one_is_made_as_the_form_says(admin: Admin) -> None:
    more = {
        "models": "claude-*\ngpt-5*",
        "dialects": "anthropic, openai_chat",
        "min_tokens": "60,000",
        "thinking": "no",
        "longer": "gemini/gemini-2.5-pro",
        "tries": "3",
        "budget": "2.5",
        "timeout_first_byte": "30",
        "overrides": 'temperature=0\nmetadata={"a": 1}',
    }
    text = admin.done("/routes/new", **BASE, **more)
    assert "counts from the next call on" in said(text)
    with admin.control() as control:
        route = control.routes.get("safe").route
    assert route is not None
    assert [str(target) for target in route.targets] == ["anthropic/", "openai/gpt-5-mini@team*3"]
    assert route.targets[0].overrides == {"temperature": 0, "metadata": {"a": 1}}
    assert route.match == RouteMatch(
        models=("claude-*", "gpt-5*"),
        dialects=("anthropic", "openai_chat"),
        min_tokens=60_000,
        thinking=False,
    )
    assert (route.tries, route.budget, route.timeouts.first_byte) == (3, 2.5, 30.0)
    assert "no key for anthropic" in said(text)


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"name": ""}, "name", "needed"),
        ({"name": "a b"}, "name", "1 to 64"),
        ({"name": "taken"}, "name", "a route named"),
        ({"targets": ""}, "targets", "needed"),
        ({"targets": "gpt-5"}, "targets", "PROVIDER/MODEL"),
        ({"targets": "nobody/gpt-5"}, "targets", "no provider"),
        ({"dialects": "klingon"}, "dialects", "no dialect"),
        ({"tiers": "huge"}, "tiers", "Should be"),
        ({"min_tokens": "0"}, "min_tokens", "greater than or equal to 1"),
        ({"tries": "99"}, "tries", "less than or equal to 20"),
        ({"timeout_idle": "-1"}, "timeout_idle", "greater than or equal to 0"),
        ({"overrides": "temperature"}, "overrides", "not like"),
        ({"overrides": "model=gpt-5"}, "targets", "Cannot set `model`"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    admin: Admin, fields: dict[str, str], where: str, words: str
) -> None:
    with admin.control() as control:
        control.routes.set(Route(name="taken", targets=(parse_target("openai/"),)))
    assert words in admin.refused("/routes/new", **(BASE | fields))[where]
    assert names(admin) == ["taken"]


def test_changing_shows_what_it_is(admin: Admin) -> None:
    admin.done("/routes/new", **BASE, models="claude-*", image="yes", overrides="temperature=0")
    page = html.unescape(admin.get("/routes/safe/edit"))
    for text in ("openai/gpt-5-mini@team*3", "claude-*", '<option value="yes" selected>', "temperature=0"):
        assert text in page
    admin.done("/routes/safe/edit", strategy="weighted", targets="openai/")
    with admin.control() as control:
        route = control.routes.get("safe").route
    assert route == Route(name="safe", strategy="weighted", targets=(parse_target("openai/"),))


def test_what_the_fields_cannot_say_is_a_document(admin: Admin) -> None:
    document = {
        "name": "safe",
        "targets": [{"provider": "openai", "overrides": {"temperature": 0}}, {"provider": "anthropic"}],
    }
    with admin.control() as control:
        control.routes.set(Route.model_validate(document))
    page = html.unescape(_follow(admin, "/routes/safe/edit"))
    assert '"temperature": 0' in page
    wrong = admin.refused("/routes/safe/document", document="{not json")
    assert "not JSON" in wrong["document"]
    assert "`targets` is missing" in admin.refused("/routes/safe/document", document="{}")["document"]
    admin.done("/routes/safe/document", document=json.dumps({"targets": ["sim/echo"]}))
    with admin.control() as control:
        route = control.routes.get("safe").route
    assert route is not None
    assert str(route.targets[0]) == "sim/echo"


def _follow(admin: Admin, path: str) -> str:
    answer = admin.visitor.get(f"/-/llm/manage{path}")
    assert answer.status_code == 303
    return admin.get(answer.headers["location"])


def test_moved_switched_and_removed(admin: Admin) -> None:
    for name in ("one", "two", "three"):
        admin.done("/routes/new", **(BASE | {"name": name}))
    admin.done("/routes/three/move", position="1")
    assert names(admin) == ["three", "one", "two"]
    assert "left out" in said(admin.done("/routes/one/disable"))
    assert '<span class="badge quiet">off</span>' in admin.get("/routes")
    admin.done("/routes/one/enable")
    assert "Remove the route one?" in admin.get("/routes/one/delete")
    admin.done("/routes/one/delete", confirmed="yes")
    assert names(admin) == ["three", "two"]


def test_a_call_is_explained(admin: Admin) -> None:
    admin.done("/keys/new", provider="openai", name="main", secret="sk-proj-0123456789abcdef", weight="1")
    admin.done("/routes/new", **(BASE | {"name": "long", "min_tokens": "90000", "targets": "gemini/"}))
    admin.done("/routes/new", **(BASE | {"name": "mini", "models": "gpt-5*", "targets": "openai/gpt-5-mini"}))
    text = admin.get("/routes/explain?model=gpt-5&project=default")
    assert "The route mini takes it" in text
    assert "Not long: its condition on min tokens does not hold" in text
    assert "openai/gpt-5-mini" in text
    assert "the only target" in text
    assert admin.visitor.get("/-/llm/manage/routes/explain?model=&project=default").status_code == 400
    assert admin.visitor.get("/-/llm/manage/routes/explain?model=x&tokens=many").status_code == 400


def test_an_empty_list_says_how_to_begin(admin: Admin) -> None:
    assert "No routes yet" in admin.get("/routes")
