"""Routes: which calls they are for, and where those may go. What holds a route is a JSON document.

`choose` finds the route of a call, `ordered` the order of its targets; how is in `strategies`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from llm_intercept.errors import ConfigError
from llm_intercept.policy.modelrules import tier_name
from llm_intercept.policy.strategies import Chance, Ranked, Strategy, View, rank
from llm_intercept.policy.targets import RouteTarget, parse_target, target_text

__all__ = [
    "CallFacts",
    "Ranked",
    "Route",
    "RouteMatch",
    "RouteTarget",
    "RouteTimeouts",
    "View",
    "choose",
    "features",
    "filled",
    "longer",
    "ordered",
    "parse_target",
    "read_route",
    "target_text",
    "unmet",
]

type Tier = Literal["big", "middle", "small"]

FLAGS = ("image", "web_search", "background", "thinking")
_NAMED = (
    ("models", "model"),
    ("aliases", "alias"),
    ("projects", "project"),
    ("tokens", "token"),
    ("dialects", "dialect"),
)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What routes ask about a call. `model` is the name asked for, `alias` and `tier` what it led through."""

    model: str
    alias: str = ""
    tier: str = ""
    project: str = ""
    token: str = ""
    dialect: str = ""
    operation: str = ""
    tokens: int = 0  # the prompt's, estimated
    image: bool = False
    web_search: bool = False
    background: bool = False
    thinking: bool = False


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RouteMatch(_Document):
    """All that is said must hold; of a list, one. Names may be globs. Nothing said: every call."""

    models: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    tiers: tuple[Tier, ...] = ()
    projects: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    dialects: tuple[str, ...] = ()
    min_tokens: int | None = Field(None, ge=1)
    image: bool | None = None
    web_search: bool | None = None
    background: bool | None = None
    thinking: bool | None = None


class RouteTimeouts(_Document):
    """Seconds instead of those of settings; 0 switches one off."""

    connect: float | None = Field(None, ge=0)
    first_byte: float | None = Field(None, ge=0)
    idle: float | None = Field(None, ge=0)
    total: float | None = Field(None, ge=0)


class Route(_Document):
    """`longer` are the targets for conversations that were too long for another one.

    `tries` and `budget` stand for those of the settings' `retries`.
    """

    name: str = Field(json_schema_extra={"pattern": f"^{_NAME.pattern}$"})
    match: RouteMatch = RouteMatch()
    strategy: Strategy = "ordered"
    targets: tuple[RouteTarget, ...] = Field(min_length=1)
    longer: tuple[RouteTarget, ...] = ()
    tries: int | None = Field(None, ge=1, le=20)
    budget: float | None = Field(None, ge=0)
    timeouts: RouteTimeouts = RouteTimeouts()

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("takes 1 to 64 of A-Z a-z 0-9 . _ -")
        return name


def read_route(document: object) -> Route:
    """A route from parsed JSON; ConfigError says everything that is wrong with it."""
    try:
        return Route.model_validate(document)
    except ValidationError as error:
        raise ConfigError("this is no route: " + "; ".join(_problems(error))) from None


def _problems(error: ValidationError) -> Iterable[str]:
    for one in error.errors():
        name = ".".join(str(part) for part in one["loc"]) or "a route"
        if one["type"] == "extra_forbidden":
            yield f"`{name}` is not known"
        elif one["type"] == "missing":
            yield f"`{name}` is missing"
        else:
            yield f"`{name}` {one['msg'].removeprefix('Value error, ').removeprefix('Input ')}"


def choose(routes: Sequence[Route], facts: CallFacts) -> Route | None:
    """The first that is for this call."""
    return next((route for route in routes if not unmet(route.match, facts)), None)


def unmet(match: RouteMatch, facts: CallFacts) -> str:
    """The first condition that does not hold, by its name; "" if the route is for this call."""
    for condition, fact in _NAMED:
        patterns = getattr(match, condition)
        if patterns and not _is_among(getattr(facts, fact), patterns):
            return condition
    if match.tiers and (facts.tier or tier_name(facts.model, "")) not in match.tiers:
        return "tiers"
    if match.min_tokens is not None and facts.tokens < match.min_tokens:
        return "min_tokens"
    return next((flag for flag in FLAGS if getattr(match, flag) not in (None, getattr(facts, flag))), "")


def _is_among(value: str, patterns: Iterable[str]) -> bool:
    """An alias may itself be a glob. What is not there (no token, no alias) matches nothing."""
    return bool(value) and any(value == pattern or fnmatchcase(value, pattern) for pattern in patterns)


def features(routes: Sequence[Route]) -> frozenset[str]:
    """What routes ask that only a look into the body can tell: `tokens`, `image`, `web_search` and so on."""
    found = {flag for route in routes for flag in FLAGS if getattr(route.match, flag) is not None}
    if any(route.match.min_tokens is not None for route in routes):
        found.add("tokens")
    return frozenset(found)


def filled(route: Route, provider: str, model: str) -> Route:
    """The route with the provider that was called, and the model that was asked for, where it names none."""
    targets, further = (_filled(group, provider, model) for group in (route.targets, route.longer))
    if targets == route.targets and further == route.longer:
        return route
    return route.model_copy(update={"targets": targets, "longer": further})


def _filled(targets: Sequence[RouteTarget], provider: str, model: str) -> tuple[RouteTarget, ...]:
    return tuple(
        target
        if target.provider and target.model
        else target.model_copy(
            update={"provider": target.provider or provider, "model": target.model or model}
        )
        for target in targets
    )


def ordered(route: Route, view: View, chance: Chance) -> list[Ranked]:
    """Its targets as they will be tried. Give a route that is `filled`."""
    return rank(route.strategy, route.targets, view, chance)


def longer(route: Route) -> list[Ranked]:
    """The targets for conversations that were too long, in the order in which they are written."""
    return [Ranked(target, "for a longer conversation") for target in route.longer]
