"""Routes, and what is known of their targets: breakers that are open, keys that cool down."""

from typing import Any

import orjson
from pydantic import Field

from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_dashboard.api.paging import Page, Paged, sliced
from llm_dashboard.api.problem import Problem
from llm_intercept.errors import ConfigError, Conflict, Forbidden, NotFound
from llm_intercept.manage import Management
from llm_intercept.policy.routing import Route
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.pools import BreakerRow, KeyRow, read_breakers, read_keys
from llm_intercept.store.routes import StoredRoute

table = Table("routes", "Where calls may go. The first by position that is for a call decides.")
breakers_table = Table(
    "breakers", "Targets that are left alone because they failed, and keys that cool down."
)


class RouteView(View):
    """A route. Its document is what `PUT` takes."""

    id: str
    name: str
    position: int = Field(description="from 1; the first that is for a call decides")
    enabled: bool
    route: Route | None = Field(description="null where `problem` says why it cannot be read")
    problem: str
    created_at: str
    changed_at: str


class RouteCreate(Model):
    """A route to be made."""

    route: Route
    position: int | None = Field(None, ge=1, le=100_000, description="left out: last")


class RouteChange(Model):
    """What is left out stays."""

    position: int | None = Field(None, ge=1, le=100_000)
    enabled: bool | None = None


class BreakerView(View):
    """The breaker of one model with one key."""

    provider: str
    credential: str
    model: str
    state: str = Field(description="closed, open or half_open")
    failures: int = Field(description="in a row")
    reason: str
    until_us: int = Field(description="open: when a trial is let through, in epoch microseconds")
    openings: int
    changed_us: int


class KeyHealth(View):
    """What is known of a key; with a model, what it is refused for."""

    provider: str
    credential: str
    model: str
    cooling_until_us: int = Field(description="epoch microseconds; 0: in use")
    reason: str
    headroom: dict[str, Any] = Field(description="what its provider said is left")
    seen_us: int


class Targets(View):
    """Breakers and keys."""

    breakers: list[BreakerView]
    keys: list[KeyHealth]


class BreakerReset(Model):
    """What to reset; empty stands for all."""

    provider: str = Field("", max_length=64)
    credential: str = Field("", max_length=64)
    model: str = Field("", max_length=200)


class ResetAsked(View):
    """What was asked for. The proxy carries it out with its next call, or when it starts."""

    provider: str
    credential: str
    model: str


@table.get("/routes", "List routes", Page[RouteView], query=Paged, command="route list")
def list_(management: Management, call: Call[Paged, Nothing]) -> object:
    """In the order in which they are asked. Admins only: others get an empty list."""
    return sliced(management.routes.list(call.actor), call.query, "routes", lambda route: route.id)


@table.post(
    "/routes",
    "Make a route",
    RouteView,
    body=RouteCreate,
    status=201,
    creates=True,
    command="route set",
    gives={"route": "/name"},
)
def create(management: Management, call: Call[Nothing, RouteCreate]) -> object:
    """Asked from the next call on. A name that is taken is a conflict; `PUT` changes. Admins only."""
    management.desk.check(call.actor, "route.create", "routes", Thing("route", call.body.route.name))
    route = _checked(management, call.body.route)
    if any(stored.name.lower() == route.name.lower() for stored in management.routes.list(call.actor)):
        raise Conflict(f"there is a route named {route.name!r} already; change it with PUT")
    return management.routes.set(call.actor, route, call.body.position)


@table.get("/routes/{route}", "Show a route", RouteView, command="route show")
def get(management: Management, call: Call[Nothing, Nothing]) -> object:
    """By its name. Admins only."""
    return management.routes.get(call.actor, call.path["route"])


@table.put("/routes/{route}", "Set a route", RouteView, body=Route, command="route set")
def put(management: Management, call: Call[Nothing, Route]) -> object:
    """Made, or changed in its place. Admins only."""
    if call.body.name.lower() != call.path["route"].lower():
        raise Problem("unusable", "The name in the body is not the one in the path.", "name")
    return management.routes.set(call.actor, _checked(management, call.body))


@table.patch(
    "/routes/{route}",
    "Move or switch a route",
    RouteView,
    body=RouteChange,
    command="route move",
    commands=("route enable", "route disable"),
)
def change(management: Management, call: Call[Nothing, RouteChange]) -> object:
    """Admins only."""
    name, body = call.path["route"], call.body
    management.desk.check(call.actor, "route.change", "routes", Thing("route", name))
    found: StoredRoute = management.routes.get(call.actor, name)
    if body.position is not None:
        found = management.routes.move(call.actor, name, body.position)
    if body.enabled is not None and body.enabled != found.enabled:
        switch = management.routes.enable if body.enabled else management.routes.disable
        found = switch(call.actor, name)
    return found


@table.delete("/routes/{route}", "Delete a route", RouteView, command="route remove")
def delete(management: Management, call: Call[Nothing, Nothing]) -> object:
    """Answers with what it was. Admins only."""
    return management.routes.delete(call.actor, call.path["route"])


@breakers_table.get("/breakers", "Show breakers and keys", Targets, where="here", command="route breakers")
async def show(call: Call[Nothing, Nothing]) -> object:
    """As the proxy wrote them down last. Admins only."""
    _admin(call)
    breakers, keys = await call.stage.usage(lambda conn: (read_breakers(conn), read_keys(conn)))
    return {"breakers": [_breaker(row) for row in breakers], "keys": [_key(row) for row in keys]}


@breakers_table.post(
    "/breakers/reset", "Reset breakers", ResetAsked, body=BreakerReset, command="route breakers --reset"
)
def reset(management: Management, call: Call[Nothing, BreakerReset]) -> object:
    """Closes breakers and ends cool-downs, with the proxy's next call. Admins only."""
    body = call.body
    provider = body.provider.lower()
    if provider and provider not in management.registry.providers:
        raise NotFound(f"there is no provider {body.provider!r}; /-/api/providers lists them")
    management.breakers.reset(call.actor, provider, body.credential, body.model)
    return {"provider": provider, "credential": body.credential, "model": body.model}


def _checked(management: Management, route: Route) -> Route:
    """Its targets have providers that exist."""
    for target in (*route.targets, *route.longer):
        if target.provider and target.provider.lower() not in management.registry.providers:
            raise ConfigError(f"there is no provider {target.provider!r}; /-/api/providers lists them")
    return route


def _breaker(row: BreakerRow) -> BreakerView:
    return BreakerView.model_validate(row)


def _key(row: KeyRow) -> KeyHealth:
    headroom = orjson.loads(row.headroom) if row.headroom else {}
    return KeyHealth(
        provider=row.provider,
        credential=row.credential,
        model=row.model,
        cooling_until_us=row.cooling_until_us,
        reason=row.reason,
        headroom=headroom if isinstance(headroom, dict) else {},
        seen_us=row.seen_us,
    )


def _admin(call: Call[Any, Any]) -> None:
    if call.actor.role != "admin":
        raise Forbidden(f"{call.actor.name} ({call.actor.role}) may not see the breakers; only admins do")
