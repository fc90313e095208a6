"""Which models a caller can ask for by name, and whether the list of them is answered here.

Here, if aliases or tiers are set for the caller's project: no provider knows those. And for a project's token
where no key of the called provider is stored: there is nobody to ask. Any other list is the provider's own.

What is listed can be called: aliases and tiers, the called provider's models by their own ids, those of other
providers as `provider/model`. A provider counts if a key for it is stored; one that needs none (a local
server) only behind an alias, because no catalogue knows what it has. A client with a key of its own sees
the called provider's models and what else needs no key of ours. Where a policy names models or providers,
the list is answered here as well, and has what it allows.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

import orjson

from llm_intercept.errors import Refusal, Reply
from llm_intercept.exchange import Exchange, Principal
from llm_intercept.policy.allow import Allowance, allows_model
from llm_intercept.policy.facts import Row
from llm_intercept.policy.models import ModelMap, Resolution
from llm_intercept.providers.base import Provider
from llm_intercept.wire import codec, modellist
from llm_intercept.wire.modellist import Entry

_PATH = re.compile(r"(?:/api|/openai|/v\d\w*)*/models(?:/(?P<id>.+))?")
_SHAPES = {"openai_chat": "openai", "anthropic": "anthropic", "gemini": "gemini"}
_TIERS = {"big": "opus", "middle": "sonnet", "small": "haiku"}
_JSON = (("content-type", "application/json"), ("cache-control", "no-store"))
_REMEMBERED = 256


class Facts(Protocol):
    def models(self, provider: str) -> Mapping[str, Row]: ...

    def target(self, provider: str, model: str) -> codec.Target: ...


class Keys(Protocol):
    def keyed(self) -> Collection[str]:
        """The providers with a key in use."""


@dataclass(frozen=True, slots=True)
class _Caller:
    """All that a list depends on."""

    project: str
    provider: str
    explicit: bool
    own_key: bool
    shape: str
    keyed: frozenset[str]
    allow: Allowance | None = None  # where it is about models or providers


class Listing:
    """Answers `GET .../models` and `GET .../models/ID`, or leaves them to the provider."""

    def __init__(self, providers: Mapping[str, Provider], models: ModelMap, facts: Facts, keys: Keys) -> None:
        self._providers = providers
        self._models = models
        self._facts = facts
        self._keys = keys
        self._memory: dict[_Caller, tuple[Entry, ...]] = {}

    def answer(self, exchange: Exchange) -> Reply | Refusal | None:
        """None: the provider's own list is asked for."""
        found = self._asked(exchange)
        if found is None:
            return None
        caller, name = found
        entries = self._entries(caller)
        if name is None:
            document = modellist.page(caller.shape, entries, exchange.path.partition("?")[2])
            return document if isinstance(document, Refusal) else _reply(document)
        if not self._may_use(name, caller):
            return _no_such_model(name)
        entry = next((e for e in entries if e.id == name), None) or self._entry(name, name, caller)
        if entry is not None:
            return _reply(modellist.single(caller.shape, entry))
        if caller.provider in caller.keyed or caller.own_key:
            return None  # who serves it may know more than we do
        return _no_such_model(name)

    def _asked(self, exchange: Exchange) -> tuple[_Caller, str | None] | None:
        """(who asks, the one model that is asked for), if it is ours to answer."""
        if exchange.operation != "models" or exchange.method not in ("GET", "HEAD"):
            return None
        path = exchange.path.partition("?")[0]
        found, who, provider = _PATH.fullmatch(path), exchange.principal, exchange.provider
        if found is None or who is None or provider.key_optional or provider.dialect not in _SHAPES:
            return None
        keyed = frozenset(self._keys.keyed())
        by_token = bool(who.token_id) and not who.own_key
        mapped = bool(self._models.names(who.project) or self._models.tiers(who.project))
        allow = _about_models(who)
        if not mapped and allow is None and not (by_token and provider.name not in keyed):
            return None
        shape = "openai" if "/openai/" in path else _SHAPES[provider.dialect]
        caller = _Caller(who.project, provider.name, exchange.explicit, not by_token, shape, keyed, allow)
        return caller, unquote(found["id"]).removeprefix("models/") if found["id"] else None

    def _entries(self, caller: _Caller) -> tuple[Entry, ...]:
        known = self._memory.get(caller)
        if known is None:
            unique: dict[str, Entry] = {}
            for entry in self._found(caller):
                # Google's SDKs take no id with a slash.
                if (caller.shape != "gemini" or "/" not in entry.id) and self._may_use(entry.id, caller):
                    unique.setdefault(entry.id, entry)
            known = tuple(unique.values())
            if len(self._memory) >= _REMEMBERED:
                self._memory.clear()
            self._memory[caller] = known
        return known

    def _may_use(self, name: str, caller: _Caller) -> bool:
        if caller.allow is None:
            return True
        found = self._resolved(name, caller)
        return allows_model(caller.allow, name, found.model, found.provider or caller.provider)

    def _found(self, caller: _Caller) -> Iterator[Entry]:
        for name, target in self._models.names(caller.project).items():
            if (entry := self._entry(name, f"{name} ({target})", caller)) is not None:
                yield entry
        yield from self._tiers(caller)
        if self._usable(caller.provider, caller):
            yield from self._own(caller)
        if not (caller.explicit and self._providers[caller.provider].vendor_models):
            yield from self._others(caller)

    def _tiers(self, caller: _Caller) -> Iterator[Entry]:
        """In Anthropic's shape the real names of Claude's models, elsewhere those of their families."""
        rules = self._models.tiers(caller.project)
        leading = [tier for tier, rule in rules.items() if rule.model or rule.provider]
        known = self._facts.models(caller.provider) if caller.shape == "anthropic" else ()
        names = [name for name in known if self._resolved(name, caller).tier in leading]
        for name in names or [_TIERS[tier] for tier in leading]:
            if (entry := self._entry(name, name, caller)) is not None:
                yield entry

    def _own(self, caller: _Caller) -> Iterator[Entry]:
        for model, row in self._facts.models(caller.provider).items():
            yield _of_row(model, caller.provider, row)

    def _others(self, caller: _Caller) -> Iterator[Entry]:
        for provider in sorted(caller.keyed - {caller.provider}) if not caller.own_key else ():
            for model, row in self._facts.models(provider).items():
                yield _of_row(f"{provider}/{model}", provider, row)

    def _entry(self, name: str, title: str, caller: _Caller) -> Entry | None:
        """A name as it is resolved for a call; None if such a call would fail, or means nothing here."""
        found = self._resolved(name, caller)
        provider = found.provider or caller.provider
        if found.refusal is not None or not self._usable(provider, caller):
            return None
        if not (found.alias or found.tier) and found.model not in self._facts.models(provider):
            return None
        facts = self._facts.target(provider, found.model)
        return Entry(name, provider, title, facts.context, facts.max_output, "embed" in found.model)

    def _resolved(self, name: str, caller: _Caller) -> Resolution:
        return self._models.resolve(name, caller.project, caller.provider, caller.explicit)

    def _usable(self, provider: str, caller: _Caller) -> bool:
        known = self._providers.get(provider)
        if known is None:
            return False
        own = caller.own_key and provider == caller.provider
        return own or known.key_optional or (not caller.own_key and provider in caller.keyed)


def _about_models(who: Principal) -> Allowance | None:
    """Policies by which some models may be used and others not."""
    allow = who.allow
    return allow if allow is not None and (allow.names_models or allow.names_providers) else None


def _no_such_model(name: str) -> Refusal:
    return Refusal("not_found", "model_not_found", f"There is no model {name[:200]!r} here.")


def _of_row(name: str, provider: str, row: Row) -> Entry:
    return Entry(name, provider, "", row.context, row.max_output, "embed" in name)


def _reply(document: modellist.Document) -> Reply:
    return Reply(200, _JSON, orjson.dumps(document))
