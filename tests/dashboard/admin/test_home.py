"""The summary, and the filters of lists that are looked through."""

import re
from contextlib import closing

from pydantic import SecretStr

from llm_intercept import presence
from llm_intercept.policy.failures import Failures
from llm_intercept.policy.limits import Limit
from llm_intercept.policy.routing import Route
from llm_intercept.policy.targets import parse_target
from llm_intercept.store.migrate import connect
from llm_intercept.store.pools import Changes, KeyRow, write_changes
from llm_intercept.store.reservations import Counters
from tests.dashboard.admin.conftest import Admin
from tests.dashboard.conftest import NOW


def wants(text: str) -> list[str]:
    """The labels of what wants a look."""
    return re.findall(r'<li><span class="badge [a-z]+">([^<]+)<', text)


def figure(text: str, title: str) -> str:
    found = re.search(rf"<b>{title}</b><span class=\"figure\">(.*?)</span>", text)
    assert found is not None
    return re.sub(r"<[^>]+>", "", found[1])


def test_an_empty_home_says_how_to_begin(admin: Admin) -> None:
    text = admin.get("")
    assert wants(text) == ["keys", "proxy", "backup"]
    assert "<code>llm-intercept up</code>" in text
    assert figure(text, "Tokens") == "0 working"


def test_what_wants_a_look(admin: Admin) -> None:
    with admin.control() as control:
        control.credentials.add("openai", SecretStr("sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"))
        control.tokens.create("default", "laptop")
        full = control.limits.set(Limit(scope="global", measure="requests", amount=10)).id
        soft = control.limits.set(Limit(scope="user", measure="requests", amount=10, soft=True)).id
        control.listeners.create("team", is_free=lambda _: True)
        control.listeners.set_state("team", "error", "port 8101 is taken")
        control.failures.set("project", "default", Failures.model_validate({"timeout": {"enabled": True}}))
    with closing(Counters(admin.home.limits_db)) as counters, counters.changing(5.0) as changes:
        for key, used in ((f"{full}:", 10), (f"{soft}:ada", 9)):
            changes.counters([key])[key].add(0, 0, used)
            changes.changed(key)
    with closing(connect(admin.home.usage_db)) as connection:
        row = KeyRow("openai", "default", "", NOW + 60_000_000, "429 slow down", "{}", NOW)
        write_changes(connection, Changes(keys={("openai", "default", ""): row}), NOW)
    presence.announce(admin.home.path, "http://127.0.0.1:18080")
    admin.home.backups.mkdir()
    (admin.home.backups / "llm-intercept-20261101T000000Z.tar").write_bytes(b"x")
    text = admin.get("")
    assert wants(text) == ["cooling", "listener", "on purpose", "full", "nearly full"]
    assert "429 slow down" in text
    assert "port 8101 is taken" in text
    assert "It is soft: nothing is refused." in text
    assert f"/-/llm/manage/limits?q={full}" in text
    assert figure(text, "Tokens") == "1 working"
    assert figure(text, "Failures") == "1 simulated"


def named(text: str) -> list[str]:
    """The names in a list."""
    return re.findall(r'<td class="name"><b>(?:<a [^>]*>)?([^<]+)<', text)


def test_routes_aliases_and_failures_are_filtered(admin: Admin) -> None:
    with admin.control() as control:
        control.projects.create("team")
        control.routes.set(Route(name="safe", targets=(parse_target("openai/gpt-5-mini"),)))
        control.routes.set(Route(name="other", targets=(parse_target("anthropic/"),)))
        control.routes.disable("other")
        control.aliases.set("fast", "openai/gpt-5-mini")
        control.aliases.set("smart", "anthropic/claude-sonnet-4-5", "team")
        for project in ("default", "team"):
            failures = Failures.model_validate({"timeout": {"enabled": project == "team"}})
            control.failures.set("project", project, failures)
    for path, found in (
        ("/routes", ["safe", "other"]),
        ("/routes?q=gpt-5", ["safe"]),
        ("/routes?state=off", ["other"]),
        ("/routes?q=gpt&state=off", []),
        ("/aliases?q=claude", ["smart"]),
        ("/aliases?project=team", ["smart"]),
        ("/failures?q=team", ["project team"]),
    ):
        assert named(admin.get(path)) == found, path
    assert "Ask it earlier" not in admin.get("/routes?q=o")
    assert "No alias matches" in admin.get("/aliases?q=nothing-like-it")
