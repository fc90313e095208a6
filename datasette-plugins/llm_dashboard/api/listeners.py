"""Named listeners: made, changed, started, stopped and deleted; the running proxy carries it out."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from llm_dashboard.api.fields import Name
from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_dashboard.api.paging import Page, Paged, sliced
from llm_intercept import presence
from llm_intercept.cli.ports import is_free
from llm_intercept.errors import Conflict
from llm_intercept.manage import Management
from llm_intercept.policy import listeners as rules
from llm_intercept.store.listeners import Listener

table = Table("listeners", "Ports of their own, with defaults of their own.")
ANSWER_S = 8.0
_LOOK_S = 0.05


class ListenerView(View):
    """A listener."""

    id: str
    name: str
    mode: str
    host: str
    port: int | None
    provider: str = Field(description="for calls whose path names none")
    project: str = Field(description="for calls without a token")
    auth: str = Field(description="open, required, or empty: as in settings")
    cache: str = Field(description="off, opt-in, on, or empty: as its project or the settings say")
    wanted: str = Field(description="running or stopped: what was asked for")
    state: str = Field(description="running, stopped or error: what the proxy made of it")
    problem: str
    standing: str = Field(description="in words")
    url: str = Field(description="what a client connects to; empty where it connects to nothing")
    created_at: str
    changed_at: str


class ListenerCreate(Model):
    """A listener to be made. It is stopped at first."""

    name: Name
    port: int | None = Field(None, ge=1, le=65535, description="left out: one that is free")
    mode: str = Field("regular", max_length=300, description=f"one of {rules.FORMS}")
    host: str = Field("127.0.0.1", max_length=100, pattern=r"^[A-Za-z0-9.:_-]+$")
    provider: str = Field("", max_length=64)
    project: str = Field("", max_length=64)
    auth: Literal["", "open", "required"] = ""
    cache: Literal["", "off", "opt-in", "on"] = Field("", description="which answers are stored")


class ListenerChange(Model):
    """What is left out stays. `name`, `port`, `mode` and `host` are for listeners that are stopped."""

    provider: str | None = Field(None, max_length=64, description="empty: none of its own")
    project: str | None = Field(None, max_length=64, description="empty: none of its own")
    auth: Literal["", "open", "required"] | None = Field(None, description="empty: as in settings")
    cache: Literal["", "off", "opt-in", "on"] | None = Field(None, description="empty: as elsewhere said")
    name: Name | None = None
    port: int | None = Field(None, ge=1, le=65535)
    mode: str | None = Field(None, max_length=300, description=f"one of {rules.FORMS}")
    host: str | None = Field(None, max_length=100, pattern=r"^[A-Za-z0-9.:_-]+$")


@table.get("/listeners", "List listeners", Page[ListenerView], query=Paged, command="listener list")
def list_(management: Management, call: Call[Paged, Nothing]) -> object:
    """By name. Admins only: others get an empty list."""
    shown = sliced(management.listeners.list(call.actor), call.query, "listeners", lambda one: one.name)
    found: Any = shown["items"]
    return {**shown, "items": [_view(call, listener) for listener in found]}


@table.post(
    "/listeners",
    "Make a listener",
    ListenerView,
    body=ListenerCreate,
    status=201,
    creates=True,
    command="listener create",
    gives={"listener": "/name"},
)
def create(management: Management, call: Call[Nothing, ListenerCreate]) -> object:
    """Off loopback every call needs a project token. Admins only."""
    body = call.body
    made = management.listeners.create(
        call.actor,
        body.name,
        is_free=lambda port: is_free(body.host, port, udp=rules.parse(body.mode).transport == "udp"),
        reserved=_reserved(management, call),
        port=body.port,
        mode=body.mode,
        host=body.host,
        provider=body.provider,
        project=body.project,
        auth=body.auth,
        cache=body.cache,
    )
    return _view(call, made)


@table.get("/listeners/{listener}", "Show a listener", ListenerView, command="listener show")
def get(management: Management, call: Call[Nothing, Nothing]) -> object:
    """By its name. Admins only."""
    return _view(call, management.listeners.get(call.actor, call.path["listener"]))


@table.patch(
    "/listeners/{listener}", "Change a listener", ListenerView, body=ListenerChange, command="listener set"
)
def change(management: Management, call: Call[Nothing, ListenerChange]) -> object:
    """Its defaults count from the next call on, also while it is running. Admins only."""
    given = call.body.model_dump()
    changed = management.listeners.change(
        call.actor,
        call.path["listener"],
        is_free_at=lambda host, port, udp: is_free(host, port, udp=udp),
        reserved=_reserved(management, call),
        new_name=given.pop("name"),
        **given,
    )
    return _view(call, changed)


@table.delete("/listeners/{listener}", "Delete a listener", ListenerView, command="listener delete")
def delete(management: Management, call: Call[Nothing, Nothing]) -> object:
    """One that is stopped. Answers with what it was. Admins only."""
    return _view(call, management.listeners.delete(call.actor, call.path["listener"]))


@table.post(
    "/listeners/{listener}/start", "Start a listener", ListenerView, where="here", command="listener start"
)
async def start(call: Call[Nothing, Nothing]) -> object:
    """Now, or with the next proxy where none is running. Admins only."""
    name = call.path["listener"]
    listener = await call.stage.manage(lambda management: management.listeners.start(call.actor, name))
    listener = await _answered(call, listener, "running")
    if listener.state == "error":
        raise Conflict(f"{listener.name} could not be started: {listener.problem}")
    return _view(call, listener)


@table.post(
    "/listeners/{listener}/stop", "Stop a listener", ListenerView, where="here", command="listener stop"
)
async def stop(call: Call[Nothing, Nothing]) -> object:
    """Calls that are under way go on to their end. Admins only."""
    name, alive = call.path["listener"], _alive(call)
    listener = await call.stage.manage(
        lambda management: management.listeners.stop(call.actor, name, alive=alive)
    )
    return _view(call, await _answered(call, listener, "stopped"))


def _view(call: Call[Any, Any], listener: Listener) -> dict[str, Any]:
    return {**asdict(listener), "standing": listener.standing(_alive(call)), "url": listener.url}


def _alive(call: Call[Any, Any]) -> bool:
    return presence.find(call.stage.home.path) is not None


async def _answered(call: Call[Any, Any], listener: Listener, wanted: str) -> Listener:
    """As the proxy reports it, once it has; as it stands after a few seconds otherwise."""
    deadline = time.monotonic() + ANSWER_S
    look: Callable[[Management], Listener] = lambda management: management.listeners.get(  # noqa: E731
        call.actor, listener.name
    )
    while _alive(call) and listener.state not in (wanted, "error") and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_S)
        listener = await call.stage.manage(look)
    return listener


def _reserved(management: Management, call: Call[Any, Any]) -> dict[int, str]:
    settings = management.settings
    ports = {settings.dashboard.port: "the dashboard", settings.port: "the proxy itself"}
    actual = urlsplit(presence.find(call.stage.home.path) or call.stage.proxy).port
    return ports | ({actual: "the proxy itself"} if actual else {})
