"""Who is asking, as Datasette has found out for this request (llm_dashboard/authentication.py)."""

from dataclasses import dataclass

from datasette.utils.asgi import Request

from llm_intercept.policy.actor import Actor

NOBODY = Actor("session", "nobody", "viewer", source="")


@dataclass(frozen=True, slots=True)
class Caller:
    """`scope` is what an API token is for; "" for a login, which may do whatever its role may."""

    actor: Actor
    scope: str = ""


def caller_of(request: Request) -> Caller | None:
    """None for nobody. An actor that is not one of ours is nobody here."""
    known = request.actor or {}
    if known.get("role") not in ("admin", "member", "viewer"):
        return None
    source = (request.scope.get("client") or [""])[0]
    kind = "api_token" if known.get("kind") == "api_token" else "session"
    actor = Actor(kind, known["id"], known["role"], known.get("user_id", ""), source)
    return Caller(actor, known.get("scope") or "")
