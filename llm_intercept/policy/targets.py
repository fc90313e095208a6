"""One target of a route, and the words it is written in: `PROVIDER/MODEL@POOL*WEIGHT`.

openai/gpt-5-mini                         a model of a provider
anthropic/claude-sonnet-4-5@team*3        with the keys of one pool, and a weight
openai/                                   the model that was asked for, at this provider
/gpt-5-mini                               this model, at the provider that was called
openrouter/anthropic/claude-sonnet-4.5    the provider is what stands before the first slash
vertex/claude-sonnet-4-5@20250929         a pool begins with a letter, so this is a version
vertex/gemini-2.5-pro@default@            `@` at the end: no pool, `default` belongs to the name
"""

import re

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from llm_intercept.errors import ConfigError

_POOL = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_PROVIDER = re.compile(r"[A-Za-z0-9._-]*")
_WEIGHTED = re.compile(r"(?P<rest>.*?)(?:\*(?P<weight>\d{1,30}))?")
_NOT_IN_MODELS = re.compile(r"[\s\x00-\x1f*?\[\]]")
_HEAVIEST = 1_000_000
# What routes and translation decide themselves.
_NOT_OVERRIDDEN = ("model", "stream")


def _or_words(schema: dict[str, JsonValue]) -> None:
    """How it is described: in words, as `parse_target` reads them, or field by field."""
    fields = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string", "minLength": 1, "examples": ["openai/gpt-5"]}, fields]


class RouteTarget(BaseModel):
    """Where a call may go. `provider` "": the one that was called; `model` "": the one that was asked for;
    `pool` "": all keys. A weight of 0 is tried only after all others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_or_words)

    provider: str = ""
    model: str = ""
    pool: str = ""
    weight: int = Field(1, ge=0, le=_HEAVIEST)
    overrides: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        """Documents may write a target in words as well."""
        return _parts(value) if isinstance(value, str) else value

    @field_validator("provider")
    @classmethod
    def _check_provider(cls, provider: str) -> str:
        if not _PROVIDER.fullmatch(provider):
            raise ValueError(
                f"cannot be {provider!r}: a target names one provider, or none for the one called"
            )
        return provider

    @field_validator("model")
    @classmethod
    def _check_model(cls, model: str) -> str:
        if _NOT_IN_MODELS.search(model):
            raise ValueError(f"cannot be {model!r}: a target names one model, not a pattern")
        return model

    @field_validator("pool")
    @classmethod
    def _check_pool(cls, pool: str) -> str:
        return checked_pool(pool) if pool else pool

    @field_validator("overrides")
    @classmethod
    def _check_overrides(cls, overrides: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name in _NOT_OVERRIDDEN:
            if name in overrides:
                raise ValueError(f"cannot set `{name}`; a target's model stands after its provider's slash")
        return overrides

    def __str__(self) -> str:
        return target_text(self)


def checked_pool(pool: str) -> str:
    """The name, if it may be a pool's; ValueError if not."""
    if not _POOL.fullmatch(pool):
        raise ValueError(
            f"{pool!r} cannot be the name of a pool; use a letter, then up to 63 of A-Z a-z 0-9 . _ -"
        )
    return pool


def parse_target(text: str) -> RouteTarget:
    """ConfigError says what is wrong with it."""
    try:
        return RouteTarget.model_validate(_parts(text))
    except ValueError as error:
        raise ConfigError(f"{text!r} is no target: {_first_problem(error)}") from None


def target_text(target: RouteTarget) -> str:
    """The words that `parse_target` reads; overrides have none."""
    name = f"{target.provider}/{target.model}"
    if target.pool:
        name += f"@{target.pool}"
    elif target.model and _parts(name) != {"provider": target.provider, "model": target.model}:
        name += "@"
    return name if target.weight == 1 else f"{name}*{target.weight}"


def _parts(text: str) -> dict[str, object]:
    found = _WEIGHTED.fullmatch(text.strip())
    if found is None:
        raise ValueError("it has more than one line")
    rest, weight = found["rest"], found["weight"]
    name, at, pool = rest.rpartition("@")
    if not at or (pool and not _POOL.fullmatch(pool)):
        name, pool = rest, ""
    provider, slash, model = name.partition("/")
    if not slash:
        raise ValueError(
            f"write it as PROVIDER/MODEL, `{name or 'openai'}/` for the model that was asked for, "
            f"or `/{name or 'gpt-5'}` for the provider that was called"
        )
    parts: dict[str, object] = {"provider": provider, "model": model}
    return parts | ({"pool": pool} if pool else {}) | ({"weight": int(weight)} if weight is not None else {})


def _first_problem(error: ValueError) -> str:
    errors = getattr(error, "errors", None)
    if errors is None:
        return str(error)
    first = errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    said = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"its {name} {said}" if name else said
