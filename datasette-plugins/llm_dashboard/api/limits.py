"""Limits: who may take how much, and how much of it is taken."""

from contextlib import closing
from typing import Any

from pydantic import Field

from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_dashboard.api.paging import Page, Paged, sliced
from llm_intercept.manage import Management
from llm_intercept.manage.limit_usage import usage_of
from llm_intercept.policy.limits import Limit, Measure, Percent, Period, Scope
from llm_intercept.store.limits import LimitRecord
from llm_intercept.store.reservations import Counters

table = Table("limits", "Who may take how much: requests, tokens, money, calls at the same time.")


class LimitView(View):
    """A limit."""

    id: str
    text: str = Field(description="in words")
    scope: Scope
    name: str = Field(description="whom it is for; empty: each by itself; a pattern: all that match together")
    measure: Measure
    amount: int = Field(description="of cost in nano-dollars")
    per: Period
    timezone: str
    soft: bool = Field(description="tells of it and refuses nothing")
    thresholds: list[int] = Field(description="percentages that are told of")
    reserve: int | None = Field(None, description="of streams: tokens of output that are reserved at a time")
    enabled: bool
    created_at: str
    changed_at: str


class LimitUsage(View):
    """One counter of a limit."""

    id: str = Field(description="the limit's")
    who: str
    text: str
    measure: str
    per: str
    amount: int
    used: int
    reserved: int = Field(description="held by calls under way")
    remaining: int
    resets: str | None


class LimitUsages(View):
    """Where limits stand."""

    items: list[LimitUsage]


class LimitFilters(Paged):
    """Which limits."""

    scope: Scope | None = None
    name: str = Field("", max_length=200)


class LimitChange(Model):
    """What is left out stays; whom it is for, what it counts and in which time cannot be changed."""

    amount: int | None = Field(None, ge=0, le=9_000_000_000_000_000)
    timezone: str | None = Field(None, max_length=100)
    soft: bool | None = None
    thresholds: list[Percent] | None = Field(None, max_length=20)
    reserve: int | None = Field(None, ge=0, le=9_000_000_000_000_000, description="0: the longest answer")
    enabled: bool | None = None


def _view(record: LimitRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "text": record.text,
        **record.limit.model_dump(),
        "enabled": record.enabled,
        "created_at": record.created_at,
        "changed_at": record.changed_at,
    }


@table.get("/limits", "List limits", Page[LimitView], query=LimitFilters, command="limit list")
def list_(management: Management, call: Call[LimitFilters, Nothing]) -> object:
    """Oldest first: all of them for admins, those that bind them for others."""
    asked = call.query
    found = [
        record
        for record in management.limits.list(call.actor)
        if asked.scope in (None, record.limit.scope) and asked.name in ("", record.limit.name)
    ]
    shown = sliced(found, asked, "limits", lambda record: record.id)
    return {**shown, "items": [_view(record) for record in found_in(shown)]}


def found_in(shown: dict[str, Any]) -> list[LimitRecord]:
    found: list[LimitRecord] = shown["items"]
    return found


@table.post(
    "/limits",
    "Set a limit",
    LimitView,
    body=Limit,
    status=201,
    creates=True,
    command="limit set",
    gives={"limit": "/id"},
)
def create(management: Management, call: Call[Nothing, Limit]) -> object:
    """From the next call on. Where there is one for the same whom, what and time, it is changed and keeps its
    count. Admins only."""
    return _view(management.limits.set(call.actor, call.body))


@table.get("/limits/usage", "Where limits stand", LimitUsages, command="limit usage")
def usage(management: Management, call: Call[Nothing, Nothing]) -> object:
    """What is used and reserved, what remains, and when it resets; of limits that whoever asks may see."""
    return _usage(management, call, management.limits.list(call.actor))


@table.get("/limits/{limit}", "Show a limit", LimitView, command="limit show")
def get(management: Management, call: Call[Nothing, Nothing]) -> object:
    """By its id."""
    return _view(management.limits.get(call.actor, call.path["limit"]))


@table.get("/limits/{limit}/usage", "Where a limit stands", LimitUsages, command="limit usage")
def usage_of_one(management: Management, call: Call[Nothing, Nothing]) -> object:
    """One line for each counter."""
    return _usage(management, call, [management.limits.get(call.actor, call.path["limit"])])


def _usage(management: Management, call: Call[Any, Any], records: list[LimitRecord]) -> object:
    with closing(Counters(call.stage.home.limits_db)) as counters:
        return {"items": usage_of(records, counters.read(), management.now(), call.actor)}


@table.patch(
    "/limits/{limit}",
    "Change a limit",
    LimitView,
    body=LimitChange,
    command="limit change",
    commands=("limit enable", "limit disable"),
)
def change(management: Management, call: Call[Nothing, LimitChange]) -> object:
    """Its count stays. Admins only."""
    id_, body = call.path["limit"], call.body
    record = management.limits.get(call.actor, id_)
    given = body.model_dump(exclude_none=True, exclude={"enabled"})
    if given:
        record = management.limits.change(call.actor, id_, enabled=body.enabled, **given)
    elif body.enabled is not None and body.enabled != record.enabled:
        switch = management.limits.enable if body.enabled else management.limits.disable
        record = switch(call.actor, id_)
    return _view(record)


@table.delete("/limits/{limit}", "Delete a limit", LimitView, command="limit remove")
def delete(management: Management, call: Call[Nothing, Nothing]) -> object:
    """With what it has counted. Answers with what it was. Admins only."""
    return _view(management.limits.delete(call.actor, call.path["limit"]))
