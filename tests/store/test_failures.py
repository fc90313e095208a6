import pytest

from llm_intercept.errors import NotFound
from llm_intercept.home import Home
from llm_intercept.policy.failures import Failures
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault
from tests.store.conftest import Clock

HALF = Failures.model_validate({"error_injection": {"enabled": True, "error_rates": {"500": 0.5}}, "seed": 7})


def test_set_get_reset(control: Control, clock: Clock) -> None:
    control.projects.create("Demo")
    entry = control.failures.set("project", "demo", HALF)
    assert (entry.scope, entry.name, entry.failures) == ("project", "Demo", HALF)
    assert entry.changed_at == "2026-11-18T11:06:40.000000Z"
    assert control.failures.get("project", "DEMO") == entry
    clock.now += 1
    changed = control.failures.set("project", "Demo", Failures(seed=8))
    assert (changed.failures, changed.changed_at) == (Failures(seed=8), "2026-11-18T11:06:41.000000Z")
    assert control.failures.list() == [changed]
    assert control.failures.reset("project", "demo")
    assert not control.failures.reset("project", "demo")
    assert control.failures.find("project", "demo") is None
    with pytest.raises(NotFound, match="failure set --project demo"):
        control.failures.get("project", "demo")


@pytest.mark.parametrize("scope", ["listener", "project"])
def test_of_nobody(control: Control, scope: str) -> None:
    for call in (control.failures.get, control.failures.reset, control.failures.find):
        with pytest.raises(NotFound, match=f"no {scope} named 'nobody'.*llm-intercept {scope} list"):
            call(scope, "nobody")  # type: ignore[operator]
    with pytest.raises(NotFound):
        control.failures.set(scope, "nobody", HALF)  # type: ignore[arg-type]


def listener(control: Control, name: str) -> None:
    with control._database.write() as connection:
        connection.execute(
            "INSERT INTO listeners (id, name, mode, host, created_at, changed_at)"
            " VALUES (?, ?, 'regular', '', '', '')",
            (f"lsn_{name}", name),
        )


def test_listeners_and_projects_are_apart(control: Control) -> None:
    control.projects.create("demo")
    listener(control, "demo")
    control.failures.set("project", "demo", HALF)
    control.failures.set("listener", "demo", Failures(seed=8))
    assert [(e.scope, e.failures) for e in control.failures.list()] == [
        ("listener", Failures(seed=8)),
        ("project", HALF),
    ]


def test_a_listener_takes_its_settings_along(control: Control) -> None:
    control.projects.create("flaky")
    listener(control, "flaky")
    control.failures.set("listener", "flaky", HALF)
    control.failures.set("project", "flaky", HALF)
    with control._database.write() as connection:
        connection.execute("DELETE FROM listeners WHERE name = 'flaky'")
    listener(control, "flaky")
    assert [entry.scope for entry in control.failures.list()] == ["project"]


def test_the_snapshot(control: Control, home: Home, vault: Vault, clock: Clock) -> None:
    """What another process sets is there with the next refresh; what nobody set anew is the same object."""
    assert control.failing == {}
    other = Control(home.control_db, vault, clock=clock)
    other.failures.set("project", "default", HALF)
    control.refresh()
    first = control.failing["project", "default"]
    assert first == HALF
    other.projects.create("elsewhere")
    control.refresh()
    assert control.failing["project", "default"] is first
    clock.now += 1
    other.failures.set("project", "default", HALF)
    control.refresh()
    again = control.failing["project", "default"]
    assert again == first
    assert again is not first
    other.failures.reset("project", "default")
    control.refresh()
    assert control.failing == {}
    other.close()
