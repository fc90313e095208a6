"""Who is asking: a bearer API token, a header of a proxy that is trusted for it, or a session's cookie.

Shared by the pages (through Datasette's actor) and the management API. Nothing is cached: what is revoked
or switched off is so at the next request.
"""

from dataclasses import dataclass
from typing import cast

from datasette.app import Datasette
from datasette.utils.asgi import Request

from llm_dashboard import access, peers
from llm_intercept.policy.actor import Actor, Role
from llm_intercept.policy.apitokens import PREFIX, ApiScope
from llm_intercept.store.api_tokens import OWNER, ApiToken
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.control import Control

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Identity:
    """`scope` is that of an API token; None for people, who may do whatever their role may."""

    actor: Actor
    scope: ApiScope | None = None

    def document(self) -> dict[str, str]:
        """As Datasette keeps it for the time of a request."""
        more = {"user_id": self.actor.user_id, "kind": self.actor.kind, "scope": self.scope or ""}
        return {"id": self.actor.name, "role": self.actor.role, **more}


async def identify(datasette: Datasette, request: Request) -> Identity | None:
    """A credential that is wrong is nobody's: there is no falling back to another one."""
    opened = access.doors(datasette)
    if opened is None:
        return None
    ip, bearer = peers.client_ip(request), _bearer(request)
    if bearer is not None:
        return await opened.ask(lambda control: _by_token(control, bearer, ip))
    vouched = opened.vouched_for(request)
    if vouched is not None:
        return await opened.ask(lambda control: _by_header(control, vouched, ip))
    cookie = request.cookies.get(access.COOKIE)
    if not cookie:
        return None
    return await opened.ask(lambda control: _by_session(control, cookie, ip))


def _bearer(request: Request) -> str | None:
    """The token, if it means to be one of ours."""
    given = request.headers.get("authorization", "")
    text = given[len(_BEARER) :].strip()
    return text if given.lower().startswith(_BEARER) and text.startswith(PREFIX) else None


def _by_token(control: Control, text: str, ip: str) -> Identity | None:
    token = control.api_tokens.find(text)
    if token is None:
        return None
    actor = Actor("api_token", _name(token), cast(Role, token.role), token.user_id, ip)
    if token.state != "active":
        thing = Thing("api_token", token.name, token.id)
        detail = f"the token is {token.state}"
        control.audit.event("apitoken.use", actor, thing, outcome="denied", detail=detail)
        return None
    return Identity(actor, token.scope)


def _name(token: ApiToken) -> str:
    return f"{token.user or OWNER}/{token.name}"


def _by_header(control: Control, reference: str, ip: str) -> Identity | None:
    user = control.users.find(reference)
    if user is None or not user.active:
        return None
    return Identity(Actor("session", user.name, user.role, user.id, ip))


def _by_session(control: Control, cookie: str, ip: str) -> Identity | None:
    session = control.sessions.find(cookie)
    if session is None:
        return None
    return Identity(Actor("session", session.actor, cast(Role, session.role), session.user_id, ip))


def actor_of(request: Request) -> Actor:
    """The actor of a page's request, which has one."""
    known = request.actor or {}
    return Actor(
        known["kind"], known["id"], known["role"], known.get("user_id", ""), peers.client_ip(request)
    )
