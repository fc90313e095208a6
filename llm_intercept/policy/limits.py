"""Limits: who may take how much of what in which time. Which of them apply to a call, and to whose count.

A limit names one party ("project demo", one count), several by a glob ("model gpt-4o*", one count for all
of them together), or nobody: then each member has a count of its own ("each token").
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from llm_intercept.policy.windows import zone

Scope = Literal["global", "user", "project", "token", "listener", "client_ip", "model", "provider"]
Measure = Literal["requests", "tokens", "cost", "concurrency"]
Period = Literal["minute", "hour", "day", "week", "month", "total"]
Percent = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 1000})]

SCOPES: tuple[Scope, ...] = (
    "global",
    "user",
    "project",
    "token",
    "listener",
    "client_ip",
    "model",
    "provider",
)
MEASURES: tuple[Measure, ...] = ("requests", "tokens", "cost", "concurrency")
PERIODS: tuple[Period, ...] = ("minute", "hour", "day", "week", "month", "total")
MOST = 9_000_000_000_000_000
NANOS = 10**9
_GLOB = frozenset("*?[")


class Limit(BaseModel):
    """One limit as it is stored. `amount` of cost is in nano-USD; `concurrency` has no period."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scope: Scope
    name: str = Field("", max_length=200)  # "": each member by itself; a glob: all that match together
    measure: Measure
    amount: int = Field(ge=0, le=MOST)
    per: Period = "total"
    timezone: str = "UTC"
    soft: bool = False  # only tells, never refuses
    thresholds: tuple[Percent, ...] = (80, 100)  # of the amount, that are told of
    reserve: int | None = Field(None, ge=1, le=MOST)  # of streams: so many tokens of output at a time

    @field_validator("timezone")
    @classmethod
    def _check_zone(cls, name: str) -> str:
        try:
            zone(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{name!r} is not a time zone; write it like Europe/Berlin or UTC") from None
        return name

    @field_validator("thresholds")
    @classmethod
    def _check_thresholds(cls, given: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 < percent <= 1000 for percent in given):
            raise ValueError("thresholds are percentages from 1 to 1000")
        return tuple(sorted(set(given)))

    @model_validator(mode="after")
    def _check_sense(self) -> Self:
        if self.scope == "global" and self.name:
            raise ValueError("a global limit is about everything and has no name")
        if self.measure == "concurrency" and self.per != "total":
            raise ValueError("concurrency counts calls at the same time, not in a period")
        if self.reserve is not None and self.measure not in ("tokens", "cost"):
            raise ValueError("only limits on tokens and cost reserve anything")
        return self

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What makes it this limit: setting it again changes the rest."""
        return self.scope, self.name.lower(), self.measure, self.per


class Parties(NamedTuple):
    """Whom a call concerns, in the order of `SCOPES`; "" where nobody. `token` is `project/name`."""

    everything: str = ""
    user: str = ""
    project: str = ""
    token: str = ""
    listener: str = ""
    client_ip: str = ""
    model: str = ""
    provider: str = ""


@dataclass(frozen=True, slots=True)
class StoredLimit:
    id: str
    limit: Limit
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Applied:
    """A limit that applies to a call, and the member whose count it is ("" for a limit with one count)."""

    stored: StoredLimit
    member: str

    @property
    def limit(self) -> Limit:
        return self.stored.limit

    @property
    def key(self) -> str:
        """The name of the counter: a name in other letters is no other member."""
        return f"{self.stored.id}:{self.member.lower()}"


@dataclass(slots=True)
class _Group:
    """The limits of one scope, by how their names are compared."""

    each: list[StoredLimit] = field(default_factory=list)
    exact: dict[str, list[Applied]] = field(default_factory=dict)
    globs: list[tuple[str, Applied]] = field(default_factory=list)

    def add(self, stored: StoredLimit) -> None:
        name = stored.limit.name.lower()
        if not name:
            self.each.append(stored)
        elif _is_pattern(stored.limit):
            self.globs.append((name, Applied(stored, "")))
        else:
            self.exact.setdefault(name, []).append(Applied(stored, ""))

    def applicable(self, value: str) -> Iterable[Applied]:
        lowered = value.lower()
        yield from self.exact.get(lowered, ())
        for pattern, applied in self.globs:
            if matches(pattern, lowered):
                yield applied
        for stored in self.each:
            yield Applied(stored, value)


class LimitBook:
    """All limits in force, ready to be asked which apply."""

    def __init__(self, limits: Sequence[StoredLimit] = ()) -> None:
        self._groups: list[tuple[int, _Group]] = []
        self._everywhere = [Applied(stored, "") for stored in limits if stored.limit.scope == "global"]
        self.by_id = {stored.id: stored for stored in limits}
        for position, scope in enumerate(SCOPES):
            ours = [stored for stored in limits if stored.limit.scope == scope != "global"]
            if ours:
                group = _Group()
                for stored in ours:
                    group.add(stored)
                self._groups.append((position, group))

    def __bool__(self) -> bool:
        return bool(self.by_id)

    def applicable(self, parties: Parties) -> list[Applied]:
        """Every limit that this call counts against; a party that is not there has no limit."""
        found = list(self._everywhere)
        for position, group in self._groups:
            if value := parties[position]:
                found += group.applicable(value)
        return found


def is_glob(name: str) -> bool:
    return bool(_GLOB & set(name))


def _is_pattern(limit: Limit) -> bool:
    return is_glob(limit.name) or (limit.scope == "client_ip" and "/" in limit.name)


def matches(pattern: str, value: str) -> bool:
    """A glob; for addresses also a network such as 10.0.0.0/8. Both in lower case."""
    if fnmatchcase(value, pattern):
        return True
    if "/" not in pattern:
        return False
    try:
        return ip_address(value) in ip_network(pattern, strict=False)
    except ValueError:
        return False
