"""The environment variables of Anthropic-to-OpenAI proxies that came before us, and what they are here.

Pure: `read` makes a `Plan` out of a mapping of variables; `cli/import_env.py` carries it out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

from llm_intercept.errors import ConfigError
from llm_intercept.policy import suffix
from llm_intercept.providers import Registry, hosts
from llm_intercept.providers.base import Provider
from llm_intercept.secrecy import said, suspicious
from llm_intercept.tools.predecessor_names import NO_COUNTERPART, PLAIN, TIERS, Plain

type Outcome = Literal["setting", "key", "nothing"]

_MARKERS = ("PROVIDER_API_KEY", "PROVIDER_BASE_URL", "PROXY_AUTH_KEY", *(f"{t}_MODEL" for t in TIERS))
"""Only where one of these is set do common names like PORT and HOST mean a predecessor."""

_DEFAULTS = {"BIG": "gpt-4o", "SMALL": "gpt-4o-mini"}
_PLACEHOLDER = re.compile(
    r"(?:sk-)?(?:your|dummy|placeholder|changeme|xxx).*|none|null|pass|passthrough|not-?needed", re.I
)
_CUSTOM_HEADER = "CUSTOM_HEADER_"
_SECRET_HEADER = re.compile(r"AUTHORIZATION|COOKIE|KEY|TOKEN|SECRET", re.I)
_CREDENTIAL = "looks like a credential, so it is not written into a file: `llm-intercept key add`"
_LOCAL_NAMES = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one variable: `name` is the setting or the provider, `note` a sentence about it."""

    variable: str
    outcome: Outcome
    name: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class NewKey:
    provider: str
    name: str
    secret: SecretStr
    base_url: str | None
    variable: str


@dataclass(slots=True)
class Plan:
    """`settings` by their path in config.toml."""

    settings: dict[tuple[str, ...], object] = field(default_factory=dict)
    keys: list[NewKey] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def read(variables: Mapping[str, str], registry: Registry) -> Plan:
    """Everything that can be said of these variables."""
    return _Reader({k: v.strip() for k, v in variables.items() if v.strip()}, registry).plan()


class _Reader:
    def __init__(self, given: Mapping[str, str], registry: Registry) -> None:
        self._given = given
        self._providers = registry.providers
        self._registry = registry
        self._plan = Plan()
        self._new: dict[tuple[str, int], str] = {}  # host and port -> the provider made for them
        self._ours = any(name in given for name in _MARKERS)

    def plan(self) -> Plan:
        main, base_url = self._main()
        self._main_key(main, base_url)
        self._proxy_key()
        for tier in TIERS:
            self._tier(tier, main)
        self._reasoning("REASONING_EFFORT", "REASONING_MAX_TOKENS", ("models",))
        for plain in PLAIN:
            self._plain(plain)
        for name in sorted(self._given):
            self._header(name)
            if name in NO_COUNTERPART and (self._ours or NO_COUNTERPART[name].own):
                self._say(name, "nothing", "", NO_COUNTERPART[name].note)
        return self._plan

    def _say(self, variable: str, outcome: Outcome, name: str, note: str = "") -> None:
        self._plan.lines.append(Line(variable, outcome, name, said(note)))

    def _set(self, variable: str, path: tuple[str, ...], value: object, note: str = "") -> None:
        if suspicious(value):
            self._say(variable, "nothing", "", _CREDENTIAL)
            return
        self._plan.settings[path] = value
        self._say(variable, "setting", ".".join(path), note)

    # providers and keys

    def _first(self, *names: str) -> str:
        """The name that is set, the new one before the old one; "" for none."""
        return next((name for name in names if name in self._given), "")

    def _main(self) -> tuple[str, str | None]:
        variable = self._first("PROVIDER_BASE_URL", "OPENAI_BASE_URL")
        return self._endpoint(variable, "main") if variable else ("openai", None)

    def _endpoint(self, variable: str, name: str) -> tuple[str, str | None]:
        """(provider, base URL for its key); makes a provider where none has this address."""
        url = self._given[variable]
        try:
            scheme, host, port, _ = hosts.split(url, name)
        except ConfigError as error:
            self._say(variable, "nothing", "", str(error))
            return "openai", None
        provider = self._registry.by_host(host, port)
        if provider is None:
            return self._made(variable, name, (host, port), url), None
        if _is_own((scheme, host, port), provider):
            self._say(variable, "nothing", provider.name, f"not needed: {provider.title} is built in")
            return provider.name, None
        base_url = url if provider.base_url is not None else f"{scheme}://{host}"
        self._say(variable, "key", provider.name, "goes with the key as its base URL")
        return provider.name, base_url

    def _made(self, variable: str, name: str, address: tuple[str, int], url: str) -> str:
        known = self._new.get(address)
        if known is not None:
            self._say(variable, "setting", f"providers.{known}", "the same address as before")
            return known
        self._new[address] = name
        self._plan.settings[("providers", name, "dialect")] = "openai"
        self._set(variable, ("providers", name, "base_url"), url)
        return name

    def _main_key(self, main: str, base_url: str | None) -> None:
        variable = self._first("PROVIDER_API_KEY", "OPENAI_API_KEY")
        if variable:
            self._key(variable, main, "default", base_url)
        elif base_url is not None:
            self._key("", main, "default", base_url)
        if variable == "PROVIDER_API_KEY" and "OPENAI_API_KEY" in self._given:
            self._say("OPENAI_API_KEY", "nothing", "", "PROVIDER_API_KEY goes before it")
        if main in self._new.values() and not variable:
            self._plan.settings[("providers", main, "key_optional")] = True

    def _key(self, variable: str, provider: str, name: str, base_url: str | None) -> None:
        secret = self._given.get(variable, "")
        if _PLACEHOLDER.fullmatch(secret):
            self._say(variable, "nothing", "", "a placeholder: clients bring keys of their own")
            secret = ""
        if not secret and base_url is None:
            return
        known = self._providers.get(provider)
        if not secret and known is not None and not known.key_optional:
            return
        taken = next((key for key in self._plan.keys if key.provider == provider), None)
        if taken is not None and taken.secret.get_secret_value() == secret:
            self._say(variable, "key", provider, "the same key as before")
            return
        self._plan.keys.append(NewKey(provider, name, SecretStr(secret), base_url, variable))
        if taken is not None:
            self._say(variable, "key", provider, f"second key of {provider}: stored, but the first is used")
        elif variable:
            self._say(variable, "key", provider)

    def _proxy_key(self) -> None:
        """ANTHROPIC_API_KEY was what clients had to show; a real key of Anthropic's is kept as that."""
        given = self._given.get("ANTHROPIC_API_KEY", "")
        if given.startswith("sk-ant-"):
            self._key("ANTHROPIC_API_KEY", "anthropic", "default", None)
        elif given:
            self._required("ANTHROPIC_API_KEY")
        if "PROXY_AUTH_KEY" in self._given:
            self._required("PROXY_AUTH_KEY")

    def _required(self, variable: str) -> None:
        note = "clients show a project token instead: `llm-intercept token create`"
        self._set(variable, ("auth",), "required", note)

    # tiers

    def _tier(self, tier: str, main: str) -> None:
        place = ("models", "tiers", tier.lower())
        provider = self._tier_endpoint(tier) or main
        model = self._given.get(f"{tier}_MODEL", "")
        note = ""
        if not model and self._ours and tier in _DEFAULTS:
            model, note = _DEFAULTS[tier], "was not set; this was its default"
        if model:
            self._set(f"{tier}_MODEL", (*place, "model"), model, note)
            if self._needs_provider(model, provider):
                self._plan.settings[(*place, "provider")] = provider
        self._reasoning(f"{tier}_MODEL_REASONING", "", place)
        self._prompt(tier, place)

    def _tier_endpoint(self, tier: str) -> str:
        switch, url, key = f"ENABLE_{tier}_ENDPOINT", f"{tier}_ENDPOINT", f"{tier}_API_KEY"
        version = f"{tier}_AZURE_API_VERSION"
        if self._given.get(switch, "").lower() not in ("true", "1", "yes", "on"):
            for name in (switch, url, key, version):
                if name in self._given:
                    self._say(name, "nothing", "", f"{switch} is not true")
            return ""
        self._say(switch, "nothing", "", f"not needed: `models.tiers.{tier.lower()}.provider` says it")
        if url not in self._given:
            return ""
        provider, base_url = self._endpoint(url, tier.lower())
        used = self._first(key, "PROVIDER_API_KEY", "OPENAI_API_KEY")
        if used:
            self._key(used, provider, tier.lower(), base_url)
        if version in self._given:
            self._version(version, provider)
        return provider

    def _version(self, variable: str, provider: str) -> None:
        known = self._providers.get(provider)
        if known is not None and known.serves_version is not None:
            self._set(variable, ("providers", provider, "api_version"), self._given[variable])
        else:
            self._say(variable, "nothing", "", "its endpoint is not Azure's")

    def _needs_provider(self, model: str, provider: str) -> bool:
        """Whether the tier must name its provider: not where `provider/model` says it already."""
        named = self._providers.get(model.partition("/")[0]) if "/" in model else None
        if named is None:
            return True
        known = self._providers.get(provider)
        local = named.key_optional and named.name != provider
        return not local and (known is None or known.vendor_models)

    def _reasoning(self, effort: str, budget: str, place: tuple[str, ...]) -> None:
        """A word or a number of tokens; of both the number counts."""
        if budget in self._given and effort in self._given:
            self._say(effort, "nothing", "", f"{budget} goes before it")
        variable = self._first(budget, effort)
        if not variable or not (self._ours or variable.startswith("REASONING_")):
            return
        found = suffix.split(f"model:{self._given[variable]}")
        if found is None:
            self._say(variable, "nothing", "", f"{self._given[variable]!r} is no reasoning level")
        elif found[1].budget is not None:
            self._set(variable, (*place, "budget"), found[1].budget)
        else:
            self._set(variable, (*place, "effort"), found[1].effort or "none")

    def _prompt(self, tier: str, place: tuple[str, ...]) -> None:
        switch, text = f"ENABLE_CUSTOM_{tier}_PROMPT", f"{tier}_SYSTEM_PROMPT"
        file = f"{text}_FILE"
        used = self._first(file, text)
        if not used and switch not in self._given:
            return
        if not used or self._given.get(switch, "").lower() != "true":
            for name in (switch, text, file):
                if name in self._given:
                    self._say(name, "nothing", "", "prompt and switch are not both there")
            return
        value = self._given[used].removeprefix("path:")
        is_file = used == file or self._given[used].startswith("path:")
        self._set(used, (*place, "system_file" if is_file else "system"), value)
        note = "in place of the client's, as before; `append` keeps both"
        self._set(switch, (*place, "system_mode"), "replace", note)

    # the rest

    def _plain(self, plain: Plain) -> None:
        value = self._given.get(plain.variable)
        if value is None or not (self._ours or plain.own):
            return
        try:
            read_value = plain.read(value)
        except ValueError:
            self._say(plain.variable, "nothing", "", f"{value[:60]!r} does not fit {'.'.join(plain.path)}")
            return
        if read_value is None:
            self._say(plain.variable, "nothing", "", "that is the default here")
        else:
            self._set(plain.variable, plain.path, read_value)

    def _header(self, variable: str) -> None:
        if not variable.startswith(_CUSTOM_HEADER):
            return
        name = variable.removeprefix(_CUSTOM_HEADER).replace("_", "-")
        if _SECRET_HEADER.search(name):
            self._say(variable, "nothing", "", _CREDENTIAL)
        else:
            self._set(variable, ("models", "headers", name), self._given[variable])


def _is_own(address: tuple[str, str, int], provider: Provider) -> bool:
    """Whether this is where the provider's calls go anyway."""
    if provider.base_url is None:
        return False
    own = hosts.split(provider.base_url, provider.name)[:3]
    return own == address or (own[1] in _LOCAL_NAMES and address[1] in _LOCAL_NAMES and own[2] == address[2])
