"""What a token or a project may be used for: models, providers, endpoints, parameters, addresses, origins.

A policy names what is allowed; a part that names nothing allows everything. A call has to be allowed by the
policy of its token and by that of its project. What cannot be read is not allowed by a rule about it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, field_validator

from llm_intercept.errors import ConfigError
from llm_intercept.policy import parameters, places, suffix
from llm_intercept.policy.members import Leaf, normal
from llm_intercept.policy.parameters import ParameterRule, Rule

_LOOKING_UP = frozenset(("GET", "HEAD", "OPTIONS", "DELETE"))
_WITHOUT_MODEL = frozenset(("models", "files"))  # operations that ask no model for anything
_MODEL = "model"
_SHOWN = 120
_SAID = re.compile(
    r"(?!(?:Range|tuple|int|float|str|bool)$)[\w.-]+"
)  # of where an error is; not our own types


class Verdict(NamedTuple):
    """Why not: a code for programs, a sentence for people."""

    code: str
    sentence: str


type _Word = Annotated[str, WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 300})]


class Policy(BaseModel):
    """As it is stored. Globs are compared without regard to case; `*` also stands for slashes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[_Word, ...] = ()
    providers: tuple[_Word, ...] = ()
    endpoints: tuple[_Word, ...] = ()  # an operation ("chat"), or a path with or without a method
    parameters: dict[str, Rule] = Field(default_factory=dict)
    ips: tuple[_Word, ...] = ()
    origins: tuple[_Word, ...] = ()

    @field_validator("models", "providers", "endpoints", "ips", "origins")
    @classmethod
    def _check_words(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if any(not word.strip() or len(word) > 300 for word in given):
            raise ValueError("an empty word allows nothing; leave it out")
        return tuple(dict.fromkeys(word.strip() for word in given))

    @field_validator("endpoints")
    @classmethod
    def _check_endpoints(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(places.endpoint(text)) for text in given)

    @field_validator("ips")
    @classmethod
    def _check_ips(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(places.network(text)) for text in given)

    @field_validator("origins")
    @classmethod
    def _check_origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for text in given:
            places.origin_pattern(text)
        return given

    @field_validator("parameters")
    @classmethod
    def _check_parameters(cls, given: dict[str, Rule]) -> dict[str, Rule]:
        for name, rule in given.items():
            parameters.check(name, rule)
        return given

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in type(self).model_fields)

    def text(self) -> str:
        """As it is stored."""
        return self.model_dump_json(exclude_defaults=True)


def parsed(values: object) -> Policy:
    """A policy from somebody's words, or a sentence about what is wrong with them."""
    try:
        return Policy.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if _SAID.fullmatch(str(part)))
        raise ConfigError(f"policy, {where}: {first['msg'].removeprefix('Value error, ')}") from None


@lru_cache(maxsize=4096)
def stored(text: str) -> Policy:
    """A policy from its `text()`; many tokens have the same."""
    return Policy.model_validate_json(text)


@dataclass(frozen=True)
class _Compiled:
    """A policy, ready to be asked."""

    policy: Policy

    @cached_property
    def networks(self) -> tuple[places.Network, ...]:
        return tuple(places.network(text) for text in self.policy.ips)

    @cached_property
    def origins(self) -> tuple[places.OriginPattern, ...]:
        return tuple(places.origin_pattern(text) for text in self.policy.origins)

    @cached_property
    def endpoints(self) -> tuple[places.EndpointRule, ...]:
        return tuple(places.endpoint(text) for text in self.policy.endpoints)

    @cached_property
    def models(self) -> tuple[tuple[str, ...], ...]:
        """Lists of globs, each of which a model has to match: a parameter rule may be about it as well."""
        named = next((r for n, r in self.policy.parameters.items() if normal(n) == _MODEL), ())
        lists = (self.policy.models, tuple(str(glob) for glob in named if isinstance(named, tuple)))
        return tuple(tuple(glob.lower() for glob in globs) for globs in lists if globs)

    @cached_property
    def providers(self) -> tuple[str, ...]:
        return tuple(glob.lower() for glob in self.policy.providers)

    @cached_property
    def parameters(self) -> tuple[ParameterRule, ...]:
        rules = self.policy.parameters.items()
        return tuple(parameters.compiled(n, r) for n, r in rules if normal(n) != _MODEL)


@lru_cache(maxsize=4096)
def _compiled(text: str) -> _Compiled:
    return _Compiled(stored(text))


@dataclass(frozen=True, slots=True)
class Part:
    """One of the policies that a call is under; `who` it belongs to, in words: `token demo/laptop`."""

    who: str
    rules: _Compiled


@dataclass(frozen=True, slots=True, eq=False)
class Allowance:
    """Policies that all have to allow a call. `reads_bodies`: whether any is about what bodies say."""

    parts: tuple[Part, ...]
    reads_bodies: bool = False
    names_models: bool = False
    has_parameters: bool = False
    names_providers: bool = False

    def only_addresses(self) -> "Allowance":
        """What of it holds where nothing but an address is known."""
        named = ((part.who, part.rules.policy.ips) for part in self.parts)
        return Allowance(tuple(Part(who, _Compiled(Policy(ips=ips))) for who, ips in named))


def allowance(*policies: tuple[str, str]) -> Allowance | None:
    """From (who, stored text) of each policy; None if everything is allowed."""
    parts = tuple(Part(who, _compiled(text)) for who, text in policies if text and text != "{}")
    parts = tuple(part for part in parts if part.rules.policy)
    if not parts:
        return None
    names_models = any(part.rules.models for part in parts)
    has_parameters = any(part.rules.parameters for part in parts)
    names_providers = any(part.rules.providers for part in parts)
    reads_bodies = names_models or has_parameters
    return Allowance(parts, reads_bodies, names_models, has_parameters, names_providers)


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a call before its body. `path` is the provider's own, without query; "" for any.

    `overridden`: a header asks for another method than the one that it came with.
    """

    method: str
    path: str
    operation: str
    client_ip: str
    origin: str | None
    overridden: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """What is known once it is decided where a call goes.

    `asked` is the client's name of the model, `model` and `provider` are what is sent. `bodies` are those
    that a rule has to look at, the client's own first; None for one that cannot be read.
    """

    method: str
    operation: str
    asked: str
    model: str
    provider: str
    bodies: Sequence[Sequence[Leaf] | None] = ()
    generates: bool = False


def judge_head(allowed: Allowance, head: Head) -> Verdict | None:
    """Where it comes from, and what it calls."""
    for part in allowed.parts:
        found = _judge_ip(part, head) or _judge_origin(part, head) or _judge_endpoint(part, head)
        if found is not None:
            return found
    return None


def judge_call(allowed: Allowance, call: Call) -> Verdict | None:
    """What it asks for, of whom."""
    for part in allowed.parts:
        found = _judge_provider(part, call) or _judge_models(part, call)
        found = found or parameters_verdict(part, call)
        if found is not None:
            return found
    return None


def allows_model(allowed: Allowance, asked: str, model: str, provider: str) -> bool:
    """Whether a list of models may show it."""
    call = Call("GET", "models", asked, model, provider)
    return not any(
        _judge_provider(part, call) or _named_wrong(part, (asked, model), call) for part in allowed.parts
    )


def _judge_ip(part: Part, head: Head) -> Verdict | None:
    networks = part.rules.networks
    if not networks or places.is_inside(head.client_ip, networks):
        return None
    words = _list(part.rules.policy.ips)
    return Verdict("ip_not_allowed", f"{_whose(part)} only from {words}, not from {_cut(head.client_ip)}.")


def _judge_origin(part: Part, head: Head) -> Verdict | None:
    patterns = part.rules.origins
    if not patterns:
        return None
    words = _list(part.rules.policy.origins)
    if not head.origin:
        sentence = f"{_whose(part)} only by web pages of {words}, and this call has no Origin header."
        return Verdict("origin_required", sentence)
    if places.is_origin_of(head.origin, patterns):
        return None
    return Verdict(
        "origin_not_allowed", f"{_whose(part)} only by web pages of {words}, not {_cut(head.origin)}."
    )


def _judge_endpoint(part: Part, head: Head) -> Verdict | None:
    rules = part.rules.endpoints
    if not rules or not head.path:
        return None
    what = f"{_cut(head.method)} {_cut(head.path)}"
    path = places.plain_path(head.path)
    words = _list(part.rules.policy.endpoints)
    if path is None or head.overridden:
        odd = "its path can be read in several ways" if path is None else "a header asks for another method"
        return Verdict("endpoint_not_allowed", f"{_whose(part)} only for {words}; {what} is not: {odd}.")
    if any(rule.fits(head.method, path, head.operation) for rule in rules):
        return None
    return Verdict("endpoint_not_allowed", f"{_whose(part)} only for {words}, not for {what}.")


def _judge_provider(part: Part, call: Call) -> Verdict | None:
    globs = part.rules.providers
    if not globs or _fits(call.provider, globs):
        return None
    words = _list(part.rules.policy.providers)
    return Verdict("provider_not_allowed", f"{_whose(part)} only for providers {words}, not {call.provider}.")


def _judge_models(part: Part, call: Call) -> Verdict | None:
    if not part.rules.models or call.operation in _WITHOUT_MODEL:
        return None
    named: list[object] = [name for name in (call.asked, call.model) if name]
    for body in call.bodies:
        if body is None:
            return _unreadable(part, "model_not_allowed")
        named += parameters.models_in(body)
    if not named and _needs_model(call):
        words = _list(part.rules.models[0])
        return Verdict(
            "model_not_allowed", f"{_whose(part)} only for models {words}, and this call names none."
        )
    return _named_wrong(part, named, call)


def _needs_model(call: Call) -> bool:
    """Lookups and cancellations have no body and use no model."""
    return bool(call.bodies and call.bodies[0]) or (call.generates and call.method not in _LOOKING_UP)


def _named_wrong(part: Part, named: Iterable[object], call: Call) -> Verdict | None:
    for globs in part.rules.models:
        for name in named:
            if not isinstance(name, str) or not any(_fits(s, globs) for s in _spellings(name, call)):
                return _wrong_model(part, globs, name, call)
    return None


def _wrong_model(part: Part, globs: Sequence[str], name: object, call: Call) -> Verdict:
    shown = repr(_cut(str(name)))
    if name == call.model and call.asked and name != call.asked:
        shown = f"{_cut(call.asked)!r} leads to {shown}, which is not"
    else:
        shown += " is not"
    return Verdict("model_not_allowed", f"{_whose(part)} only for models {_list(globs)}; {shown}.")


def _spellings(name: str, call: Call) -> Iterable[str]:
    """A name may have the provider before it and a reasoning suffix behind it, and mean the same model."""
    bare = name.removeprefix("models/")
    yield bare
    if name != call.asked or not call.model:
        return
    found = suffix.split(bare)
    stem = found[0] if found else bare
    if stem.removeprefix(f"{call.provider}/") == call.model:
        yield call.model


def parameters_verdict(part: Part, call: Call) -> Verdict | None:
    """What the rules about parameters say."""
    if not part.rules.parameters or call.operation in _WITHOUT_MODEL:
        return None
    for position, body in enumerate(call.bodies):
        if body is None or parameters.hides_calls(body):
            return _unreadable(part, "parameter_not_allowed")
        generates = call.generates or parameters.asks_for_text(body)
        first = position == 0 and call.method not in _LOOKING_UP
        for rule in part.rules.parameters:
            if (wrong := rule.judge(body, has_to_say=first and generates)) is not None:
                return Verdict("parameter_not_allowed", f"{_whose(part)} only with {rule.words}; {wrong}.")
    return None


def _unreadable(part: Part, code: str) -> Verdict:
    return Verdict(
        code,
        f"{_whose(part)} only within rules about what calls say, and the body of this one cannot be read: "
        "it has to be JSON (or a form), in UTF-8, whole, not in another file, and not larger than "
        "limits.stream_over_bytes where files are sent.",
    )


def _fits(text: str, globs: Iterable[str]) -> bool:
    lowered = text.lower()
    return any(fnmatchcase(lowered, glob) for glob in globs)


def _whose(part: Part) -> str:
    return f"The {part.who} may be used"


def _list(words: Sequence[str]) -> str:
    shown = ", ".join(words[:10])
    return shown if len(words) <= 10 else f"{shown} and {len(words) - 10} more"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
