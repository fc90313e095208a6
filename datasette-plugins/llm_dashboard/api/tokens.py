"""Project tokens: made (their text is answered once), changed, refreshed, suspended and revoked."""

from typing import Any, Literal

from pydantic import Field, SecretStr

from llm_dashboard.api.fields import Lifetime, Name, Policy, Span, duration, lifetime
from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_dashboard.api.paging import Page, Paged, page, place_of
from llm_intercept.manage import Management
from llm_intercept.manage.lists import Lists
from llm_intercept.store.paging import TokenQuery
from llm_intercept.store.token_use import UsedToken, used
from llm_intercept.store.tokens import MOST_AT_ONCE, NewToken, Token, Wanted

table = Table("tokens", "What clients use in place of providers' keys. Only a digest is kept.")
_LIST = "tokens"
type State = Literal["active", "suspended", "expired", "revoked", "inactive"]


class TokenView(View):
    """A token, without its text."""

    id: str
    project: str
    name: str
    user: str = Field(description="a user's name, or any label")
    user_id: str | None
    kind: str = Field(description="bearer, or aws for a key pair")
    hint: str = Field(description="how its text begins and ends")
    state: str = Field(
        description="active, suspended, expired, revoked, exhausted, or inactive: its project or user is off"
    )
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    suspended_at: str | None
    refreshed_at: str | None = Field(description="when its present secret was made, if not at first")
    overlap_until: str | None = Field(description="until when its former secret works as well")
    max_requests: int | None
    policy: Policy
    requests: int = Field(0, description="calls made with it that were not refused here")
    refused: int = Field(0, description="calls that were")
    cache_hits: int = Field(0, description="of the requests: answered out of the cache, free of any limit")
    last_used_at: str | None = None
    remaining: int | None = Field(None, description="of max_requests; null: no limit")


class NewTokenView(View):
    """The one answer that has the text of a token."""

    token: TokenView
    text: str = Field(description="for bearer tokens the token, for aws the access key id")
    secret: str | None = Field(None, description="aws only: the secret access key")


class NewTokens(View):
    """Several tokens with their texts."""

    items: list[NewTokenView]


class Tokens(View):
    """Several tokens."""

    items: list[TokenView]


class TokenFilters(Paged):
    """Which tokens."""

    project: str = Field("", max_length=64)
    user: str = Field("", max_length=320, description="by name, or by id")
    state: State | Literal[""] = ""
    prefix: str = Field("", max_length=200, description="how a token or its name begins; or a whole token")


class _Made(Model):
    """What new tokens have in common."""

    project: Name
    user: str = Field("", max_length=320, description="a user by name, address or id, or any label")
    expires: Lifetime = Field(
        "", description="how long it works: 30d, 12h, 90m, never; empty: as in settings"
    )
    kind: Literal["bearer", "aws"] = "bearer"
    max_requests: int | None = Field(None, ge=1, le=10**15, description="so many calls, and then no more")
    policy: Policy = Policy()

    def wanted(self) -> Wanted:
        return Wanted(self.user, lifetime(self.expires), self.kind == "aws", self.policy, self.max_requests)


class TokenCreate(_Made):
    """A token to be made."""

    name: Name


class TokenBatch(_Made):
    """Tokens to be made: `name-1`, `name-2`, and so on. All of them or none."""

    name: Name
    count: int = Field(ge=1, le=MOST_AT_ONCE)


class TokenChange(Model):
    """What is left out stays."""

    user: str | None = Field(None, max_length=320)
    expires: Lifetime = Field("", description="from now: 30d, 12h; never: until revoked")
    max_requests: int | None = Field(None, ge=0, le=10**15, description="0: no limit")
    policy: Policy | None = None


class TokenRefresh(Model):
    """A new secret for the same token."""

    expires: Lifetime = Field("", description="from now, or never; empty: as long again as before")
    overlap: Span = Field("", description="how long the old secret still works: 1h; empty: not at all")


class TokenReferences(Model):
    """Tokens by id; or by name, where that says which."""

    tokens: list[str] = Field(min_length=1, max_length=MOST_AT_ONCE)


def _used(call: Call[Any, Any], *tokens: Token) -> list[UsedToken]:
    home = call.stage.home
    return used(tokens, home.usage_db, home.limits_db)


def with_text(made: NewToken) -> dict[str, object]:
    secret = made.secret.get_secret_value() if isinstance(made.secret, SecretStr) else None
    return {"token": made.token, "text": made.text, "secret": secret}


@table.get("/tokens", "List tokens", Page[TokenView], query=TokenFilters, command="token list")
def list_(management: Management, call: Call[TokenFilters, Nothing]) -> object:
    """Oldest first: all of them for admins, those of their projects for members, their own for viewers."""
    asked = call.query
    place: Any = place_of(asked.cursor, _LIST, str, str)
    wanted = TokenQuery(asked.project, asked.user, asked.state, asked.prefix)
    found = Lists(management.desk).tokens(call.actor, wanted, place, asked.limit + 1)
    return page(_used(call, *found), asked.limit, _LIST, lambda token: (token.created_at, token.id))


@table.post(
    "/tokens",
    "Make a token",
    NewTokenView,
    body=TokenCreate,
    status=201,
    creates=True,
    command="token create",
    gives={"token": "/token/id"},
)
def create(management: Management, call: Call[Nothing, TokenCreate]) -> object:
    """Its text is in this answer, and never again. Admins, and members of the project."""
    body = call.body
    wanted = body.wanted()
    return with_text(
        management.tokens.create(
            call.actor,
            body.project,
            body.name,
            user=wanted.user,
            lifetime=wanted.lifetime,
            aws=wanted.aws,
            policy=wanted.policy,
            max_requests=wanted.max_requests,
        )
    )


@table.post(
    "/tokens/batch",
    "Make several tokens",
    NewTokens,
    body=TokenBatch,
    status=201,
    creates=True,
    command="token create --count",
)
def create_batch(management: Management, call: Call[Nothing, TokenBatch]) -> object:
    """All of them or none; their texts are in this answer, and never again."""
    body = call.body
    made = management.tokens.create_many(call.actor, body.project, body.name, body.count, body.wanted())
    return {"items": [with_text(token) for token in made]}


@table.post("/tokens/revoke", "Revoke several tokens", Tokens, body=TokenReferences, command="token revoke")
def revoke_batch(management: Management, call: Call[Nothing, TokenReferences]) -> object:
    """All of them, or none if one of them is not there."""
    return {"items": _used(call, *management.tokens.revoke_many(call.actor, call.body.tokens))}


@table.get("/tokens/{token}", "Show a token", TokenView, command="token show", codes=("conflict",))
def get(management: Management, call: Call[Nothing, Nothing]) -> object:
    """By its id; or by its name, where only one project has it."""
    return _used(call, management.tokens.get(call.actor, call.path["token"]))[0]


@table.patch("/tokens/{token}", "Change a token", TokenView, body=TokenChange, command="token set")
def change(management: Management, call: Call[Nothing, TokenChange]) -> object:
    """From the next call on."""
    body = call.body
    changed = management.tokens.change(
        call.actor,
        call.path["token"],
        policy=body.policy,
        max_requests=body.max_requests,
        user=body.user,
        lifetime=lifetime(body.expires),
    )
    return _used(call, changed)[0]


@table.delete("/tokens/{token}", "Revoke a token", TokenView, command="token revoke")
def delete(management: Management, call: Call[Nothing, Nothing]) -> object:
    """The same as `revoke`: it is kept, for its calls, until a cleanup finds it long past its end."""
    return _used(call, management.tokens.revoke(call.actor, call.path["token"]))[0]


@table.post("/tokens/{token}/revoke", "Revoke a token", TokenView, command="token revoke")
def revoke(management: Management, call: Call[Nothing, Nothing]) -> object:
    """For good, from the next call on. Twice is no error."""
    return _used(call, management.tokens.revoke(call.actor, call.path["token"]))[0]


@table.post(
    "/tokens/{token}/refresh",
    "Give a token a new secret",
    NewTokenView,
    body=TokenRefresh,
    creates=True,
    command="token refresh",
)
def refresh(management: Management, call: Call[Nothing, TokenRefresh]) -> object:
    """Name, limits, policy and what it has used stay; the new text is in this answer, and never again."""
    body = call.body
    return with_text(
        management.tokens.refresh(
            call.actor,
            call.path["token"],
            lifetime=lifetime(body.expires),
            overlap=duration(body.overlap),
        )
    )


@table.post("/tokens/{token}/suspend", "Suspend a token", TokenView, command="token suspend")
def suspend(management: Management, call: Call[Nothing, Nothing]) -> object:
    """Refused from the next call on, until it is resumed."""
    return _used(call, management.tokens.suspend(call.actor, call.path["token"]))[0]


@table.post("/tokens/{token}/resume", "Resume a token", TokenView, command="token resume")
def resume(management: Management, call: Call[Nothing, Nothing]) -> object:
    """Takes a suspension back."""
    return _used(call, management.tokens.resume(call.actor, call.path["token"]))[0]
