"""Users: people who own projects and tokens, and who may log in; and who is asking."""

from contextlib import closing
from typing import Any, Literal

from pydantic import Field

from llm_dashboard.api.fields import Name
from llm_dashboard.api.limits import LimitUsages
from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_dashboard.api.paging import Page, Paged, page, place_of
from llm_dashboard.api.usage import UsageFilters, filters_of, window
from llm_dashboard.api.usage_views import Totals, totals
from llm_intercept.manage import Management
from llm_intercept.manage.lists import Lists
from llm_intercept.manage.quota import quota
from llm_intercept.store import reports
from llm_intercept.store.report_terms import Scope
from llm_intercept.store.reservations import Counters
from llm_intercept.store.scopes import tokens_of

table = Table("users", "People who own projects and tokens, and who may log in.")
_LIST = "users"
type Role = Literal["admin", "member", "viewer"]


class UserView(View):
    """A user."""

    id: str
    name: str
    email: str | None
    role: Role
    active: bool = Field(description="false: no login, and none of their tokens works")
    created_at: str
    projects: int = Field(description="how many he or she owns")
    tokens: int = Field(description="how many tokens of theirs are not at their end")


class Me(View):
    """Who is asking."""

    kind: str = Field(description="session or api_token")
    name: str
    role: Role
    user_id: str = Field(description="empty for whoever is no stored user")
    projects: list[str] = Field(description="the names of the projects that he or she owns or belongs to")


class UserFilters(Paged):
    """Which users."""

    search: str = Field("", max_length=100, description="a part of the name or of the address")
    role: Role | Literal[""] = ""


class UserCreate(Model):
    """A user to be made."""

    name: Name
    email: str | None = Field(None, max_length=320)
    role: Role = "member"


class UserChange(Model):
    """What is left out stays."""

    email: str | None = Field(None, max_length=320, description="empty: none")
    role: Role | None = None
    active: bool | None = None


@table.get("/users", "List users", Page[UserView], query=UserFilters, command="user list")
def list_(management: Management, call: Call[UserFilters, Nothing]) -> object:
    """By name: all of them for admins, themselves for others."""
    asked = call.query
    place = place_of(asked.cursor, _LIST, str)
    after: Any = place[0] if place else None
    found = Lists(management.desk).users(call.actor, asked.search, asked.role, after, asked.limit + 1)
    return page(found, asked.limit, _LIST, lambda user: [user.name])


@table.post(
    "/users",
    "Make a user",
    UserView,
    body=UserCreate,
    status=201,
    creates=True,
    command="user create",
    gives={"user": "/id"},
)
def create(management: Management, call: Call[Nothing, UserCreate]) -> object:
    """Without a password; somebody is let in by an invite. Admins only."""
    body = call.body
    return management.users.create(call.actor, body.name, email=body.email, role=body.role)


@table.get("/users/me", "Who is asking", Me)
def me(management: Management, call: Call[Nothing, Nothing]) -> object:
    """The user or token behind this request."""
    actor = call.actor
    mine = management.control.projects.of_user(actor.user_id) if actor.user_id else []
    return {
        "kind": actor.kind,
        "name": actor.name,
        "role": actor.role,
        "user_id": actor.user_id,
        "projects": [project.name for project in mine],
    }


@table.get("/users/me/quota", "What is left for whoever asks", LimitUsages, scope="usage")
def my_quota(management: Management, call: Call[Nothing, Nothing]) -> object:
    """Where the limits stand that his or her projects and tokens count against."""
    with closing(Counters(call.stage.home.limits_db)) as counters:
        return {"items": quota(management.control, counters.read(), call.actor, management.now())}


@table.get(
    "/users/me/usage", "What whoever asks has used", Totals, where="here", query=UsageFilters, scope="usage"
)
async def my_usage(call: Call[UsageFilters, Nothing]) -> object:
    """Of the tokens that are his or her own."""
    user_id = call.actor.user_id
    own = await call.stage.manage(
        lambda management: tokens_of(management.control.database, user_id) if user_id else frozenset()
    )
    span, filters = window(call), filters_of(call, Scope(tokens=own))
    return totals(await call.stage.usage(lambda conn: reports.summary(conn, span, filters)))


@table.get("/users/{user}", "Show a user", UserView, command="user show")
def get(management: Management, call: Call[Nothing, Nothing]) -> object:
    """By name, address or id."""
    return management.users.get(call.actor, call.path["user"])


@table.patch("/users/{user}", "Change a user", UserView, body=UserChange, command="user set")
def change(management: Management, call: Call[Nothing, UserChange]) -> object:
    """The last active admin stays one. Admins only."""
    body = call.body
    return management.users.change(
        call.actor, call.path["user"], email=body.email, role=body.role, active=body.active
    )


@table.delete("/users/{user}", "Delete a user", UserView, command="user remove")
def delete(management: Management, call: Call[Nothing, Nothing]) -> object:
    """Somebody who owns no project and has no working token. Answers with who it was. Admins only."""
    return management.users.delete(call.actor, call.path["user"])
