"""Failures on purpose, for listeners and projects."""

from typing import Literal

from pydantic import Field

from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_dashboard.api.paging import Page, Paged, sliced
from llm_intercept.errors import NotFound
from llm_intercept.manage import Management
from llm_intercept.policy.failures import Failures
from llm_intercept.store.failures import FailureEntry, Scope

table = Table("failures", "Failures that are simulated on purpose, to see what clients make of them.")
type Where = Literal["listener", "project"]
_PLACE = "/failures/{scope}/{name}"
_WORDS = {"scope": {"type": "string", "enum": ["listener", "project"]}}


class FailureView(View):
    """What is simulated for one listener or project."""

    scope: Where
    name: str
    failures: Failures
    changed_at: str | None = Field(description="null: nothing is set, so nothing is simulated")


class Place(Model):
    """For whom."""

    scope: Where
    name: str


@table.get(
    "/failures",
    "List failure settings",
    Page[FailureView],
    query=Paged,
    command="failure list",
    gives={"scope": "/items/0/scope", "name": "/items/0/name"},
)
def list_(management: Management, call: Call[Paged, Nothing]) -> object:
    """Listeners first, by name. Admins only: others get an empty list."""
    found = management.failures.list(call.actor)
    return sliced(found, call.query, "failures", lambda entry: f"{entry.scope} {entry.name}")


@table.get(_PLACE, "Show failure settings", FailureView, command="failure show", words=_WORDS)
def get(management: Management, call: Call[Nothing, Nothing]) -> object:
    """Of a listener or a project. Admins only."""
    scope, name = _place(call)
    return management.failures.find(call.actor, scope, name) or FailureView(
        scope=scope, name=name, failures=Failures(), changed_at=None
    )


@table.put(_PLACE, "Set failures", FailureView, body=Failures, command="failure set", words=_WORDS)
def put(management: Management, call: Call[Nothing, Failures]) -> FailureEntry:
    """From the next call on; what is left out is off. Admins only."""
    return management.failures.set(call.actor, *_place(call), call.body)


@table.delete(_PLACE, "Reset failures", FailureView, command="failure reset", words=_WORDS)
def delete(management: Management, call: Call[Nothing, Nothing]) -> object:
    """Nothing is simulated any more. Admins only."""
    scope, name = _place(call)
    management.failures.reset(call.actor, scope, name)
    return FailureView(scope=scope, name=name, failures=Failures(), changed_at=None)


def _place(call: Call[Nothing, Failures] | Call[Nothing, Nothing]) -> tuple[Scope, str]:
    scope = call.path["scope"]
    if scope == "listener" or scope == "project":
        return scope, call.path["name"]
    raise NotFound(f"failures are set for a listener or a project, not for a {scope!r}")
