"""Who may do what: admins everything; members see their projects and make tokens for them; viewers look."""

from typing import Literal

from llm_intercept.policy.actor import Role

type Area = Literal[
    "projects",
    "tokens",
    "users",
    "keys",
    "routes",
    "breakers",
    "listeners",
    "limits",
    "failures",
    "audit",
    "aliases",
    "cache",
]

_SEEN: tuple[Area, ...] = ("projects", "tokens", "users", "limits", "cache")
_CHANGED: tuple[Area, ...] = ("tokens", "cache")


def may_see(role: Role, area: Area, *, own: bool) -> bool:
    """`own`: it is the actor, or belongs to the actor or to one of the actor's projects."""
    return role == "admin" or (own and area in _SEEN)


def may_change(role: Role, area: Area, *, own: bool) -> bool:
    """`own`: it belongs to one of the actor's projects."""
    return role == "admin" or (role == "member" and own and area in _CHANGED)
