"""Whose rows one sees: every route there is, as each kind of person, with a word in what is not theirs.

The routes are asked for, not listed here: a new page is tried without anybody adding it.
"""

import itertools
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from llm_intercept.home import Home
from tests.dashboard.conftest import Visitor, log_in
from tests.dashboard.people import SECRET, control_of, furnish, ids, log_in_as, uuid

QUERIES = ("", f"?since=365d&project=p-{SECRET}", f"?search={SECRET}&limit=100")
_OPTIONAL = re.compile(r"\(\\\.\(\?P<format>[^)]*\)\)\?")
_GROUP = re.compile(r"\(\?P<(\w+)>((?:[^()\[\]]|\[(?:\\.|[^\]])*\]|\((?:[^()]|\([^()]*\))*\))*)\)")


def foreign_names(home: Home) -> list[str]:
    """Names and ids of things that belong to others, for the variable parts of paths."""
    control = control_of(home)
    try:
        project = control.projects.get(f"p-{SECRET}")
        token = next(token for token in control.tokens.list() if token.name == f"t-{SECRET}")
        user = control.users.get(f"u-{SECRET}")
        session = next((s.id for s in control.sessions.list() if s.actor == "ada"), "")
        limit = control.limits.list()[0].id
    finally:
        control.close()
    calls = [uuid(5), str(ids()["theirs"])]
    named = [project.name, project.id, token.name, token.id, user.name, user.id, limit, session]
    return [*calls, *filter(None, named)]


def paths(pattern: str, names: list[str]) -> Iterator[str]:
    """Concrete paths of a route: each variable part takes everything that it accepts."""
    plain = _OPTIONAL.sub(".json", pattern).removeprefix("^").removesuffix("$")
    parts = _GROUP.split(plain)
    fixed, groups = parts[0::3], list(zip(parts[1::3], parts[2::3], strict=True))
    for values in itertools.product(*(candidates(name, accepts, names) for name, accepts in groups)):
        path = fixed[0] + "".join(value + rest for value, rest in zip(values, fixed[1:], strict=True))
        yield re.sub(r"\\(.)", r"\1", path)


def candidates(name: str, accepts: str, names: list[str]) -> list[str]:
    known = {
        "database": ["usage"],
        "table": ["requests", "attempts", "violations", "usage_hour", "usage_day"],
        "query": ["by-project", "errors"],
        "pks": [str(ids()["theirs"])],
        "format": ["json", "csv"],
    }
    if name in known:
        return known[name]
    if re.fullmatch(r"[\w|-]+", accepts):
        return accepts.split("|")
    if "/" in re.sub(r"\[\^[^\]]*\]", "", accepts) or accepts.startswith("/") or accepts == ".*":
        return ["/x"]
    return [text for text in names if re.fullmatch(accepts, text)] or ["1"]


def ours(visitor: Visitor) -> list[str]:
    plugin = sys.modules["llm_dashboard"]
    return [pattern for pattern, _ in plugin.register_routes(visitor.datasette)]


def cores(visitor: Visitor) -> list[str]:
    patterns = [route.pattern for route, _ in visitor.datasette._routes()]
    known = set(ours(visitor))
    return [pattern for pattern in patterns if pattern not in known and "static" not in pattern]


def api_paths(names: list[str]) -> Iterator[str]:
    operations = sys.modules["llm_dashboard.api.operations"]
    for operation in operations.ALL:
        if operation.method == "GET":
            for values in itertools.product(names, repeat=len(operation.parameters)):
                filled = operation.path
                for parameter, value in zip(operation.parameters, values, strict=True):
                    filled = filled.replace("{" + parameter + "}", value)
                yield f"/-/api{filled}"


@pytest.fixture(scope="module")
def peopled(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("rows") / "home")
    home.ensure()
    furnish(home)
    return home


@pytest.fixture
def visitor(visit: Any, peopled: Home) -> Visitor:
    found: Visitor = visit(peopled)
    return found


def everything(visitor: Visitor, home: Home) -> Iterator[str]:
    names = foreign_names(home)
    for pattern in ours(visitor):
        queries = QUERIES if "?P<" not in pattern or "export" in pattern else ("",)
        for path in paths(pattern, names):
            yield from (path + query for query in queries)
    yield from api_paths(names)
    for path in api_paths([]):
        yield from (f"{path}?{name}" for name in (f"project=p-{SECRET}", f"search={SECRET}", "limit=100"))


# What one typed oneself comes back in forms and error texts; that tells nothing.
def answer_without_echo(text: str, path: str) -> str:
    for typed in re.findall(rf"[\w.-]*{SECRET}[\w.-]*", path):
        text = text.replace(typed, "")
    return text


@pytest.mark.parametrize("name", ["bob", "vic"])
def test_nobody_sees_the_rows_of_others_anywhere(visitor: Visitor, peopled: Home, name: str) -> None:
    log_in_as(visitor, name)
    asked = list(everything(visitor, peopled))
    assert len(asked) > 60, len(asked)
    for path in asked:
        answer = visitor.get(path, html="/-/api/" not in path)
        assert answer.status_code < 500, path
        assert SECRET not in answer_without_echo(answer.text, path), path
        for call in (5, 6, 7, 8):
            assert uuid(call) not in answer.text or uuid(call) in path, path


@pytest.mark.parametrize("name", ["bob", "vic"])
def test_datasettes_own_pages_are_closed_to_all_but_admins(
    visitor: Visitor, peopled: Home, name: str
) -> None:
    log_in_as(visitor, name)
    names = foreign_names(peopled)
    asked = [path for pattern in cores(visitor) for path in paths(pattern, names)]
    asked += [
        "/usage/-/query?sql=select+*+from+requests",
        "/usage/-/query.json?sql=select+*+from+requests",
        "/usage/requests?_facet=project",
        "/usage/requests.json?_facet=project&_facet=token",
        "/usage/requests.csv?_stream=1",
        f"/usage/by-day.json?project=p-{SECRET}",
        "/_internal",
        "/control",
        "/bodies/bodies.json",
    ]
    assert len(asked) > 40
    seen = 0
    for path in asked:
        answer = visitor.get(path, html=False)
        assert SECRET not in answer_without_echo(answer.text, path), path
        assert "CREATE TABLE" not in answer.text
        if path == "/usage/-/queries.json":
            assert answer.json()["queries"] == [], "a list of those that one may see"
        elif path.startswith("/usage"):
            assert answer.status_code in (403, 404, 405), path
            seen += answer.status_code == 403
    assert seen > 10


def test_the_word_is_there_for_an_admin(visitor: Visitor) -> None:
    """The two tests above could not fail if it were not."""
    log_in_as(visitor, "ada")
    for path in (
        "/",
        "/-/llm/requests",
        f"/-/llm/requests/{uuid(5)}",
        f"/-/llm/requests/{ids()['theirs']}",
        "/-/llm/live.json",
        "/-/llm/export.csv",
        "/-/llm/export.ndjson",
        "/-/llm/export.json",
        "/-/llm/timeseries.json?by=project",
        "/-/llm/targets",
        "/usage/requests",
        "/usage/requests.json",
        "/usage/by-project",
        "/usage/-/query?sql=select+project+from+requests",
        "/-/api/users",
        "/-/api/projects",
    ):
        answer = visitor.get(path, html="json" not in path and "api" not in path)
        assert answer.status_code == 200, path
        assert SECRET in answer.text, path
    assert SECRET in visitor.get(f"/-/llm/requests/{uuid(5)}").text.split("Conversation")[1]


@pytest.mark.parametrize(
    ("name", "models", "requests", "cost"),
    [
        ("bob", {"m-bobs", "m-shared", "m-bobs-too"}, 3, 7_000_000),
        ("vic", {"m-vics"}, 1, 3_000_000),
        ("ada", {"m-bobs", "m-shared", "m-vics", "m-bobs-too", f"m-{SECRET}"}, 8, 36_000_000),
    ],
)
def test_everybody_sees_their_own(
    visitor: Visitor, name: str, models: set[str], requests: int, cost: int
) -> None:
    log_in_as(visitor, name)
    found = visitor.get("/-/llm/summary.json", html=False).json()
    assert (found["requests"], found["cost_nanos"]) == (requests, cost)
    rows = visitor.get("/-/llm/export.json", html=False).json()
    assert {row["model"] for row in rows} == models
    assert len(rows) == requests
    series = visitor.get("/-/llm/timeseries.json?by=model", html=False).json()
    assert set(series["values"]) == models
    by_hour = visitor.get("/-/llm/timeseries.json?interval=hour&since=24h", html=False).json()
    assert sum(map(sum, by_hour["values"].values())) == requests
    for model in models:
        for path in ("/", "/-/llm/requests", "/-/llm/live.json"):
            assert model in visitor.get(path).text


@pytest.mark.parametrize(("name", "own", "others"), [("bob", 1, (3, 5)), ("vic", 3, (1, 2, 4, 5))])
def test_the_calls_of_others_are_not_there(
    visitor: Visitor, name: str, own: int, others: tuple[int, ...]
) -> None:
    log_in_as(visitor, name)
    assert visitor.get(f"/-/llm/requests/{uuid(own)}").status_code == 200
    nowhere = visitor.get(f"/-/llm/requests/{uuid(999)}")
    assert nowhere.status_code == 404
    for number in others:
        answer = visitor.get(f"/-/llm/requests/{uuid(number)}")
        assert answer.status_code == 404
        assert answer.text.replace(uuid(number), uuid(999)) == nowhere.text, (
            "it looks like one that never was"
        )
    assert visitor.get(f"/-/llm/requests/{ids()['theirs']}").status_code == 404


def test_which_key_of_a_provider_was_used_is_for_admins(visitor: Visitor) -> None:
    log_in_as(visitor, "bob")
    rows = visitor.get("/-/llm/export.json", html=False).json()
    assert {row["credential"] for row in rows} == {""}
    assert ">key-of-theirs<" not in visitor.get(f"/-/llm/requests/{uuid(1)}").text
    log_in_as(visitor, "ada")
    rows = visitor.get("/-/llm/export.json", html=False).json()
    assert "key-of-theirs" in {row["credential"] for row in rows}
    assert "key-of-theirs" in visitor.get(f"/-/llm/requests/{uuid(1)}").text


def test_what_belongs_to_everybody_is_for_admins(visitor: Visitor) -> None:
    for name, status in (("bob", 403), ("vic", 403), ("ada", 200)):
        log_in_as(visitor, name)
        for path in ("/-/llm/targets", "/-/llm/listeners", "/usage", "/-/plugins", "/-/config"):
            assert visitor.get(path).status_code == status, path
        links = visitor.get("/").text
        assert ('href="/usage"' in links) is (status == 200)
        assert ('href="/-/llm/targets"' in links) is (status == 200)


def test_a_member_resets_no_breaker(visitor: Visitor, peopled: Home) -> None:
    log_in_as(visitor, "bob")
    answer = visitor.post("/-/llm/targets/reset", data={"provider": "openai"})
    assert answer.status_code == 403
    control = control_of(peopled)
    assert not control.breakers.asked()
    control.close()


def test_what_changes_for_a_person_is_seen_at_once(visitor: Visitor, peopled: Home) -> None:
    log_in_as(visitor, "vic")

    def count() -> int:
        return int(visitor.get("/-/llm/summary.json", html=False).json()["requests"])

    control = control_of(peopled)
    assert count() == 1
    control.users.change("vic", role="member")
    control.projects.change("shared", add=["vic"])
    assert count() == 2
    control.projects.change("shared", remove=["vic"])
    assert count() == 1
    control.users.change("vic", role="admin")
    assert count() == 8
    control.users.change("vic", role="viewer")
    assert count() == 1
    control.close()


def test_the_owner_by_link_sees_everything(visitor: Visitor, peopled: Home) -> None:
    log_in(visitor, peopled)
    assert visitor.get("/-/llm/summary.json", html=False).json()["requests"] == 8


def test_a_filter_widens_nothing(visitor: Visitor) -> None:
    log_in_as(visitor, "vic")
    for asked in ("project=bobs", "project=others&token=bobs-too", "scope=everything", "project=shared"):
        found = visitor.get(f"/-/llm/summary.json?{asked}", html=False).json()
        assert found["requests"] == (1 if "scope" in asked else 0), asked
