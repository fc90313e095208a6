"""Which providers there are: this package's, those of installed plugins, and what settings add or change."""

import importlib
import pkgutil
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import entry_points

from llm_intercept.errors import ConfigError
from llm_intercept.providers import anthropic, endpoints, hosts, servings
from llm_intercept.providers.base import Endpoint, Provider, Serving
from llm_intercept.providers.credentials import bearer
from llm_intercept.settings import ProviderSettings

PACKAGE = "llm_intercept.providers"
ENTRY_POINTS = "llm_intercept.providers"
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_TAKEN = frozenset(
    {
        "api",
        "chat",
        "complete",
        "completions",
        "embeddings",
        "images",
        "audio",
        "files",
        "batches",
        "moderations",
    }
    | {"model", "models", "projects", "realtime", "responses", "ws", "v1", "v1beta", "v1beta1", "v2"}
    | {"health", "live", "metrics", "ready"}
)
"""First path segments that are not a provider's prefix: the providers' own paths and the port's pages."""

_ANY_PREFIX = r"(?:/[^/]+)*?"
_COMPATIBLE: dict[str, tuple[Endpoint, ...]] = {
    "openai": endpoints.openai(_ANY_PREFIX, inject=True),
    "anthropic": endpoints.anthropic(_ANY_PREFIX),
}
_DIALECTS = {"openai": "openai_chat", "anthropic": "anthropic"}
_SCHEMES = {"openai": bearer, "anthropic": anthropic.credential}


def built_in() -> dict[str, Provider]:
    """The providers of this package and of the entry-point group, by name."""
    found: dict[str, Provider] = {}
    package = importlib.import_module(PACKAGE)
    modules = [importlib.import_module(f"{PACKAGE}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    plugins = [entry.load() for entry in entry_points(group=ENTRY_POINTS)]
    for provider in _provided([*modules, *plugins]):
        if provider.name in found:
            raise ConfigError(f"two providers are named {provider.name!r}")
        found[provider.name] = provider
    return found


def _provided(sources: Iterable[object]) -> Iterable[Provider]:
    """A source is a module with `PROVIDER` or `PROVIDERS`, a provider, or several of them."""
    for source in sources:
        if isinstance(source, Provider):
            yield source
        elif isinstance(source, tuple | list):
            yield from (item for item in source if isinstance(item, Provider))
        else:
            yield from _provided([getattr(source, "PROVIDERS", ()), getattr(source, "PROVIDER", ())])


def merged(
    providers: Mapping[str, Provider], overrides: Mapping[str, ProviderSettings]
) -> dict[str, Provider]:
    """The providers with an operator's changes and additions; hosts of two providers must differ."""
    result = dict(providers)
    for name, given in overrides.items():
        result[name] = _changed(result[name], given) if name in result else _new(name, given)
    _check_hosts(result.values())
    return result


def _changed(provider: Provider, given: ProviderSettings) -> Provider:
    if given.dialect is not None:
        raise ConfigError(
            f"providers.{provider.name}.dialect: the API of a built-in provider cannot be changed"
        )
    # Not the host of `base_url`: one relay may stand in for several providers.
    added = [hosts.checked(host, provider.name) for host in given.hosts]
    more = tuple(host for host in added if host not in provider.hosts)
    # without names of its own, a provider's names follow from its hosts
    names = (*provider.ca_names, *_constraints(more)) if provider.ca_names else ()
    return replace(
        provider,
        hosts=(*provider.hosts, *more),
        ca_names=names,
        title=given.title or provider.title,
        env=given.key_env or provider.env,
        price_provider=given.price_provider or provider.price_provider,
        key_optional=given.key_optional or provider.key_optional,
        serves=_versioned(provider, given.api_version) if given.api_version else provider.serves,
    )


def _versioned(provider: Provider, version: str) -> tuple[Serving, ...]:
    if provider.serves_version is None:
        raise ConfigError(f"providers.{provider.name}.api_version: {provider.title} has no such versions")
    return provider.serves_version(version)


def _new(name: str, given: ProviderSettings) -> Provider:
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise ConfigError(
            f"providers.{name}: the name must be lower-case letters, digits and hyphens, and no API path"
        )
    missing = [field for field in ("dialect", "base_url") if getattr(given, field) is None]
    if missing or given.dialect is None or given.base_url is None:
        raise ConfigError(
            f"providers.{name} is no built-in provider, so it needs {' and '.join(missing)}"
            ' (dialect = "openai" or "anthropic", base_url = "https://...")'
        )
    path = hosts.split(given.base_url, name)[3]
    return Provider(
        name=name,
        title=given.title or name,
        dialect=_DIALECTS[given.dialect],
        hosts=_hosts(name, given),
        base_url=given.base_url,
        endpoints=_COMPATIBLE[given.dialect],
        credential=_SCHEMES[given.dialect],
        price_provider=given.price_provider,
        env=given.key_env,
        key_optional=given.key_optional,
        # with a base URL like https://host/v2 the operator has said what stands before the paths
        bare="" if path else "/v1",
        serves=_serves(given.dialect, path),
        # relays and local servers name models as they like
        vendor_models=given.dialect == "openai",
    )


def _serves(dialect: str, base_path: str) -> tuple[Serving, ...]:
    """Base URLs of Anthropic's API stop before `/v1` by custom; a `/v1` in both counts once."""
    if dialect == "anthropic":
        return (servings.messages("/v1"), servings.count_tokens("/v1"))
    bare = "" if base_path else "/v1"
    return (servings.chat(bare), servings.embeddings(bare))


def _hosts(name: str, given: ProviderSettings) -> tuple[str, ...]:
    """The further hosts, and that of the base URL: with its port where it is no TLS host of its own."""
    listed = [hosts.checked(host, name) for host in given.hosts]
    if given.base_url is not None:
        scheme, host, port, _ = hosts.split(given.base_url, name)
        listed.append(host if (scheme, port) == ("https", 443) else f"{host}:{port}")
    return tuple(dict.fromkeys(listed))


def _constraints(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(hosts.constraint(name) for name in names if hosts.can_be_constrained(name)))


def ca_names(provider: Provider) -> tuple[str, ...]:
    """The DNS names our root may sign for on behalf of a provider."""
    return provider.ca_names or _constraints(provider.hosts)


def _check_hosts(providers: Iterable[Provider]) -> None:
    owner: dict[str, str] = {}
    everyone = list(providers)
    for provider in everyone:
        for host in provider.hosts:
            if owner.setdefault(host, provider.name) != provider.name:
                raise ConfigError(
                    f"host {host!r} belongs to the providers {owner[host]} and {provider.name}; leave one"
                )
    for provider in everyone:
        for pattern in (hosts.compiled(host) for host in provider.hosts if "*" in host):
            taken = next(
                (h for h, name in owner.items() if name != provider.name and pattern.fullmatch(h)), None
            )
            if taken is not None:
                raise ConfigError(
                    f"host {taken!r} of {owner[taken]} also matches a host pattern of {provider.name}"
                )
