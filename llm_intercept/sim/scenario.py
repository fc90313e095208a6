"""What a scenario's file says: rules in order, each with the calls that it is about and what becomes of them.

    [keys]
    first = "0001"                # a name for the key whose last characters these are

    [[rules]]
    key = "first"
    first = 2                     # the first two calls with it
    then = "error"
    status = 429
    retry_after = 1

TOML or JSON. `script.py` counts the calls and chooses, `acting.py` and `faults.py` do it.
"""

import re
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from llm_intercept.errors import ConfigError
from llm_intercept.sim.dialects import NAMES

type Then = Literal[
    "answer", "error", "overflow", "signature", "stream_error", "garble", "drop", "hang", "refuse", "reset"
]

_ERROR = frozenset(("status", "message", "retry_after", "retry_after_ms", "rate_limit_reset"))
_PLACE = frozenset(("after_events", "after_bytes"))
TAKES: dict[Then, frozenset[str]] = {
    "answer": frozenset(("text", "rate_limit_reset", "event_delay")),
    "error": _ERROR,
    "overflow": frozenset(("message",)),
    "signature": frozenset(("message",)),
    "stream_error": _ERROR | {"after_events", "event_delay"},
    "garble": frozenset(("after_events", "event_delay")),
    "drop": _PLACE | {"event_delay"},
    "hang": _PLACE | {"event_delay"},
    "refuse": frozenset(),
    "reset": frozenset(),
}
"""Which of the fields about the outcome belong to which `then`; `delay` and `headers` belong to all."""


class Rule(BaseModel):
    """Which calls, by conditions that must all hold, and what then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    path: str = Field("", description="glob over the path, without its query")
    method: str = Field("", description="GET, POST, ...")
    dialect: str = Field("", description="glob over the dialect of the path, as in `openai_*`")
    model: str = Field("", description="glob over the model that is asked for")
    key: str = Field("", description="a name of [keys], or the last characters of the key that came")

    nth: int | list[int] | None = Field(None, description="only this call, or these; the first is 1")
    first: int | None = Field(None, ge=1, description="only the first so many calls")
    start: int = Field(1, ge=1, alias="from", description="only from this call on")
    every: int = Field(1, ge=1, description="only every so many-th call, counted from `from`")

    then: Then
    delay: float = Field(0, ge=0, description="seconds before anything happens")
    headers: dict[str, str] = Field(default_factory=dict, description="further headers of the answer")
    status: int | None = Field(None, ge=300, le=599)
    message: str = ""
    retry_after: float | None = Field(None, ge=0, description="Retry-After in seconds")
    retry_after_ms: int | None = Field(None, ge=0, description="retry-after-ms, as OpenAI and Azure send it")
    rate_limit_reset: float | None = Field(
        None, ge=0, description="seconds; the provider's own rate-limit headers, with nothing remaining"
    )
    after_events: int | None = Field(None, ge=0)
    after_bytes: int | None = Field(None, ge=0)
    event_delay: float = Field(0, ge=0, description="seconds before each event of a stream")
    text: str | None = Field(None, description="what the model says")

    @field_validator("nth")
    @classmethod
    def _check_nth(cls, nth: int | list[int] | None) -> int | list[int] | None:
        numbers = nth if isinstance(nth, list) else [] if nth is None else [nth]
        if nth == [] or any(number < 1 for number in numbers):
            raise ValueError("calls are counted from 1")
        return nth

    @field_validator("dialect")
    @classmethod
    def _check_dialect(cls, dialect: str) -> str:
        """What no path speaks would never be met."""
        if dialect and not any(fnmatchcase(name, dialect) for name in NAMES):
            raise ValueError(f"there is no dialect {dialect!r}; there are {', '.join(NAMES)}")
        return dialect

    @model_validator(mode="after")
    def _check_fields(self) -> Self:
        outcome = frozenset().union(*TAKES.values())
        foreign = sorted(self.model_fields_set & outcome - TAKES[self.then])
        if foreign:
            fitting = ", ".join(sorted(TAKES[self.then] | {"delay", "headers"}))
            raise ValueError(f"`{foreign[0]}` does not go with `then = {self.then!r}`, which takes {fitting}")
        if self.after_events is not None and self.after_bytes is not None:
            raise ValueError("takes either `after_events` or `after_bytes`")
        return self

    def takes(self, number: int) -> bool:
        """Whether the call with this number, of those that meet the conditions, is one of the rule's."""
        if self.nth is not None and number not in (self.nth if isinstance(self.nth, list) else [self.nth]):
            return False
        if number < self.start or (self.first is not None and number >= self.start + self.first):
            return False
        return (number - self.start + 1) % self.every == 0


class Scenario(BaseModel):
    """A whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: dict[str, str] = Field(default_factory=dict)
    rules: list[Rule] = Field(default_factory=list)


def load(path: Path) -> Scenario:
    """The scenario in a file; ConfigError says where it is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the scenario {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"the scenario {path} cannot be read: it is not UTF-8") from None
    return parse(text, str(path))


def parse(text: str, source: str) -> Scenario:
    """The scenario of a text, JSON if it begins with a brace; `source` names it in errors."""
    try:
        values = orjson.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (orjson.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{source} is not a scenario: {error}") from None
    try:
        return Scenario.model_validate(values)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise ConfigError(_sentence(text, source, wrong["loc"], wrong["msg"], wrong["type"])) from None


def _sentence(text: str, source: str, place: tuple[Any, ...], message: str, kind: str) -> str:
    line = _line(text, place)
    where = f"{source}, line {line}" if line else source
    said = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        has = (
            f"a rule has {', '.join(sorted(_field_names()))}"
            if len(place) > 1
            else "there are keys and rules"
        )
        said = f"there is no such field; {has}"
    return f"{where}: {_dotted(place)}: {said}"


def _field_names() -> list[str]:
    return [field.alias or name for name, field in Rule.model_fields.items()]


def _dotted(place: tuple[Any, ...]) -> str:
    """`rules[2].status`: rules are counted from 1, as people do."""
    shown = ""
    for step in place:
        shown += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if shown else step
    return shown


def _line(text: str, place: tuple[Any, ...]) -> int | None:
    """The line of a field of a rule, or of its rule, in TOML written the usual way."""
    if len(place) < 2 or place[0] != "rules" or not isinstance(place[1], int):
        return None
    lines = text.splitlines()
    heads = [i for i, line in enumerate(lines) if re.match(r"\s*\[\[\s*rules\s*\]\]", line)]
    if place[1] >= len(heads):
        return None
    start, *rest = heads[place[1] :]
    field = re.compile(rf"\s*{re.escape(str(place[2]))}\s*=") if len(place) > 2 else None
    block = range(start, rest[0] if rest else len(lines))
    return 1 + next((i for i in block if field and field.match(lines[i])), start)
