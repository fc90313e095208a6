"""Projects: what calls and tokens belong to, and who belongs to them."""

from typing import Any, Literal

from pydantic import Field

from llm_dashboard.api.fields import Name, Policy, Reference
from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_dashboard.api.paging import Page, Paged, page, place_of
from llm_dashboard.api.problem import Problem
from llm_dashboard.api.tokens import Tokens
from llm_intercept.manage import Management
from llm_intercept.manage.lists import Lists
from llm_intercept.manage.removal import Books, Removal

table = Table("projects", "What calls and tokens belong to.")
_LIST = "projects"
type Capture = Literal["default", "none", "errors", "all"]
type CacheMode = Literal["default", "off", "opt-in", "on"]


class ProjectView(View):
    """A project."""

    id: str
    name: str
    active: bool = Field(description="false: none of its tokens works")
    owner: str = Field(description="a user's name, or empty")
    members: list[str] = Field(description="names of users")
    tokens: int = Field(description="how many of its tokens are not at their end")
    capture: str | None = Field(description="which bodies are kept: none, errors, all; null: as in settings")
    hangup: str = Field(description="when a client goes away: cut, or drain")
    cache: str | None = Field(description="which answers are stored: off, opt-in, on; null: as in settings")
    policy: Policy = Field(description="what all of its tokens may be used for")
    created_at: str


class Members(View):
    """Who belongs to a project."""

    owner: str
    members: list[str]


class Deleted(View):
    """What was deleted."""

    project: str
    tokens: int
    calls: int = Field(description="deleted, or made anonymous")
    answers: int = Field(description="that the cache had of its calls")


class ProjectDelete(Model):
    """How a project is deleted."""

    confirm: str = Field(max_length=64, description="its name again")
    with_calls: bool = Field(False, description="its calls and sums too, instead of the names in them")


class ProjectFilters(Paged):
    """Which projects."""

    search: str = Field("", max_length=64, description="a part of the name")
    active: bool | None = None


class ProjectCreate(Model):
    """A project to be made."""

    name: Name
    owner: str = Field("", max_length=320, description="a user by name, address or id")
    members: list[Reference] = Field([], max_length=1000)
    capture: Capture = "default"
    hangup: Literal["cut", "drain"] = "cut"
    cache: CacheMode = "default"
    policy: Policy = Policy()


class ProjectChange(Model):
    """What is left out stays."""

    active: bool | None = None
    owner: str | None = Field(None, max_length=320, description="empty: nobody")
    capture: Capture | None = None
    hangup: Literal["cut", "drain"] | None = None
    cache: CacheMode | None = None
    policy: Policy | None = None
    add_members: list[Reference] = Field([], max_length=1000)
    remove_members: list[Reference] = Field([], max_length=1000)


@table.get("/projects", "List projects", Page[ProjectView], query=ProjectFilters, command="project list")
def list_(management: Management, call: Call[ProjectFilters, Nothing]) -> object:
    """By name: all of them for admins, their own for others."""
    asked = call.query
    place = place_of(asked.cursor, _LIST, str)
    after: Any = place[0] if place else None
    found = Lists(management.desk).projects(call.actor, asked.search, asked.active, after, asked.limit + 1)
    return page(found, asked.limit, _LIST, lambda project: [project.name])


@table.post(
    "/projects",
    "Make a project",
    ProjectView,
    body=ProjectCreate,
    status=201,
    creates=True,
    command="project create",
    gives={"project": "/name"},
)
def create(management: Management, call: Call[Nothing, ProjectCreate]) -> object:
    """Admins only."""
    body = call.body
    return management.projects.create(
        call.actor,
        body.name,
        capture=None if body.capture == "default" else body.capture,
        owner=body.owner,
        members=body.members,
        policy=body.policy,
        hangup=body.hangup,
        cache=None if body.cache == "default" else body.cache,
    )


@table.get("/projects/{project}", "Show a project", ProjectView, command="project show")
def get(management: Management, call: Call[Nothing, Nothing]) -> object:
    """By its name."""
    return management.projects.get(call.actor, call.path["project"])


@table.patch(
    "/projects/{project}", "Change a project", ProjectView, body=ProjectChange, command="project set"
)
def change(management: Management, call: Call[Nothing, ProjectChange]) -> object:
    """From the next call on. Admins only."""
    body = call.body
    return management.projects.change(
        call.actor,
        call.path["project"],
        capture=body.capture,
        active=body.active,
        owner=body.owner,
        policy=body.policy,
        hangup=body.hangup,
        cache=body.cache,
        add=body.add_members,
        remove=body.remove_members,
    )


@table.delete(
    "/projects/{project}",
    "Delete a project",
    Deleted,
    query=ProjectDelete,
    where="here",
    command="project delete --everything",
)
async def delete(call: Call[ProjectDelete, Nothing]) -> object:
    """With its tokens, members, limits, captured bodies and stored answers. Its calls stay in the books
    without a name, unless they are to go as well. Switching it off is a change (`active`). Admins only.
    """
    name = call.path["project"]
    if call.query.confirm != name:
        raise Problem("unusable", "Confirm with the project's name; nothing was deleted.", "confirm")
    return await call.stage.manage(lambda management: _delete(management, call, name))


def _delete(management: Management, call: Call[ProjectDelete, Nothing], name: str) -> object:
    management.projects.get(call.actor, name)  # what must not be seen is not there
    removal = Removal(management.desk, Books.of(call.stage.home))
    return removal.delete(call.actor, name, with_calls=call.query.with_calls, progress=lambda _: None)


@table.get("/projects/{project}/members", "List members", Members, command="project show")
def members(management: Management, call: Call[Nothing, Nothing]) -> object:
    """The owner and the members of a project."""
    return management.projects.get(call.actor, call.path["project"])


@table.put("/projects/{project}/members/{user}", "Add a member", Members, command="project set --member")
def add_member(management: Management, call: Call[Nothing, Nothing]) -> object:
    """A user by name, address or id. Twice is no error. Admins only."""
    return management.projects.change(call.actor, call.path["project"], add=[call.path["user"]])


@table.delete(
    "/projects/{project}/members/{user}", "Remove a member", Members, command="project set --remove-member"
)
def remove_member(management: Management, call: Call[Nothing, Nothing]) -> object:
    """A user by name, address or id. Tokens that he or she has in the project stay. Admins only."""
    return management.projects.change(call.actor, call.path["project"], remove=[call.path["user"]])


@table.post(
    "/projects/{project}/tokens/revoke",
    "Revoke all tokens of a project",
    Tokens,
    command="token revoke --all",
)
def revoke_tokens(management: Management, call: Call[Nothing, Nothing]) -> object:
    """Answers with those that were not revoked before."""
    return {"items": management.tokens.revoke_all(call.actor, call.path["project"])}
