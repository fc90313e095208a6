"""Ways in: tokens of this API, logins that last, invites for people who shall set a password."""

from typing import Literal

from pydantic import Field

from llm_dashboard.api.fields import Name, Span, duration
from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_dashboard.api.paging import Page, Paged, sliced
from llm_intercept.manage import Management
from llm_intercept.manage.accounts import Accounts
from llm_intercept.store.invites import DEFAULT_SECONDS

table = Table("accounts", "Ways in: tokens of this API, logins, invites. One's own; for admins, everybody's.")
type Scope = Literal["usage", "read", "write"]


class ApiTokenView(View):
    """A token of this API, without its text."""

    id: str
    name: str
    user: str = Field(description="whose it is; empty: the local administrator's")
    scope: Scope = Field(description="usage, read, write: each includes those before it")
    hint: str
    state: str = Field(description="active, revoked, expired, or inactive: its user is off")
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


class NewApiTokenView(View):
    """The one answer that has its text."""

    token: ApiTokenView
    text: str


class SessionView(View):
    """A login that lasts. Times are Unix seconds."""

    id: str
    actor: str
    role: str
    user_id: str
    method: str = Field(description="how the login was done")
    created_at: int
    expires_at: int
    last_seen_at: int
    user_agent: str
    client_ip: str


class Invite(View):
    """A way in for a user who has no password yet, or has forgotten it."""

    user: str
    path: str = Field(description="opened in a browser, it lets the user set a password, once")
    expires_in: int = Field(description="seconds")


class InviteCreate(Model):
    """How long it works."""

    expires: Span = Field("", description="12h, 3d; empty: seven days")


class Withdrawn(View):
    """Whose invite does not work any more."""

    user: str


class SessionsRevoke(Model):
    """Whose logins are to end."""

    user: str = Field("", max_length=320, description="somebody else's; admins only")


class Ended(View):
    """How many logins have ended."""

    ended: int


class ApiTokenFilters(Paged):
    """Which tokens."""

    all: bool = Field(False, description="those of everybody; admins only")


class ApiTokenCreate(Model):
    """A token of this API to be made. It may do what its user may, as far as its scope goes."""

    name: Name
    scope: Scope = "read"
    expires: Span = Field("", description="30d, 12h; empty: until revoked")
    user: str = Field("", max_length=320, description="for somebody else; admins only")


class SessionFilters(Paged):
    """Whose logins."""

    user: str = Field("", max_length=320, description="of somebody else; admins only")


@table.get(
    "/api-tokens", "List API tokens", Page[ApiTokenView], query=ApiTokenFilters, command="apitoken list"
)
def list_tokens(management: Management, call: Call[ApiTokenFilters, Nothing]) -> object:
    """One's own, oldest first."""
    found = Accounts(management.desk).api_tokens(call.actor, everybody=call.query.all)
    return sliced(found, call.query, "api-tokens", lambda token: token.id)


@table.post(
    "/api-tokens",
    "Make an API token",
    NewApiTokenView,
    body=ApiTokenCreate,
    status=201,
    creates=True,
    command="apitoken create",
    gives={"token": "/token/id"},
)
def create_token(management: Management, call: Call[Nothing, ApiTokenCreate]) -> object:
    """Its text is in this answer, and never again."""
    body = call.body
    return Accounts(management.desk).create_api_token(
        call.actor, body.name, body.scope, duration(body.expires), body.user
    )


@table.post("/api-tokens/{token}/revoke", "Revoke an API token", ApiTokenView, command="apitoken revoke")
def revoke_token(management: Management, call: Call[Nothing, Nothing]) -> object:
    """By id or name. Twice is no error."""
    return Accounts(management.desk).revoke_api_token(call.actor, call.path["token"])


@table.get(
    "/sessions",
    "List logins",
    Page[SessionView],
    query=SessionFilters,
    command="user sessions",
    gives={"session": "/items/0/id"},
)
def list_sessions(management: Management, call: Call[SessionFilters, Nothing]) -> object:
    """One's own."""
    found = Accounts(management.desk).sessions(call.actor, call.query.user)
    return sliced(found, call.query, "sessions", lambda session: session.id)


@table.delete("/sessions/{session}", "End a login", SessionView, command="user sessions --end")
def end_session(management: Management, call: Call[Nothing, Nothing]) -> object:
    """By its id."""
    return Accounts(management.desk).revoke_session(call.actor, call.path["session"])


@table.post(
    "/sessions/revoke", "End all logins", Ended, body=SessionsRevoke, command="user sessions --revoke"
)
def end_sessions(management: Management, call: Call[Nothing, SessionsRevoke]) -> object:
    """One's own, or, for admins, those of a user."""
    return {"ended": Accounts(management.desk).revoke_sessions(call.actor, call.body.user)}


@table.post(
    "/users/{user}/invite",
    "Invite a user",
    Invite,
    body=InviteCreate,
    status=201,
    creates=True,
    command="user invite",
)
def invite(management: Management, call: Call[Nothing, InviteCreate]) -> object:
    """A link by which he or she sets a password; those before it stop working. Admins only."""
    user, lifetime = call.path["user"], duration(call.body.expires)
    seconds = int(lifetime.total_seconds()) if lifetime else DEFAULT_SECONDS
    code = Accounts(management.desk).invite(call.actor, user, seconds)
    return {"user": user, "path": f"/-/llm/invite?code={code}", "expires_in": seconds}


@table.delete("/users/{user}/invite", "Withdraw an invite", Withdrawn, command="user invite --withdraw")
def withdraw_invite(management: Management, call: Call[Nothing, Nothing]) -> object:
    """The link that was made last stops working. Admins only."""
    return {"user": Accounts(management.desk).withdraw_invite(call.actor, call.path["user"]).name}
