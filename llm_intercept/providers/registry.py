"""Finding the provider, the endpoint and the address of a request: dict lookups on the hot path."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from pydantic import SecretStr

from llm_intercept.providers import catalogue, endpoints, hosts, paths
from llm_intercept.providers.base import Endpoint, Provider
from llm_intercept.settings import ProviderSettings

_REMEMBERED = 4096
_LONGEST = 512  # paths that are longer are not worth remembering
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class _Memory[K, V](dict[K, V]):
    """Answers by key, forgotten together when there are too many: keys come from clients."""

    def remember(self, key: K, value: V) -> V:
        if len(self) >= _REMEMBERED:
            self.clear()
        self[key] = value
        return value


class Registry:
    """All providers, and every question about where a request belongs. Immutable after construction."""

    def __init__(self, overrides: Mapping[str, ProviderSettings] | None = None) -> None:
        overrides = overrides or {}
        self.providers: Mapping[str, Provider] = MappingProxyType(
            catalogue.merged(catalogue.built_in(), overrides)
        )
        self._bases = {
            name: hosts.split(given.base_url, name)
            for name, given in overrides.items()
            if given.base_url is not None
        }
        self._base_urls = {name: given.base_url for name, given in overrides.items() if given.base_url}
        self._own_bases = {
            name: hosts.split(provider.base_url, name)
            for name, provider in self.providers.items()
            if provider.base_url is not None
        }
        self._exact = {host: p for p in self.providers.values() for host in p.hosts if "*" not in host}
        self._patterns = [
            (hosts.compiled(host), p) for p in self.providers.values() for host in p.hosts if "*" in host
        ]
        self._names = tuple(sorted({name for p in self.providers.values() for name in catalogue.ca_names(p)}))
        self._permitted = frozenset(self._names)
        self._hosts: _Memory[str, Provider | None] = _Memory()
        self._endpoints: _Memory[tuple[str, str, str], Endpoint] = _Memory()

    def by_host(self, host: str, port: int | None = None) -> Provider | None:
        """The provider whose host this is; local servers are known by host and port."""
        if port is not None and (local := self._exact.get(f"{host}:{port}")) is not None:
            return local
        if host in self._hosts:
            return self._hosts[host]
        return self._hosts.remember(host, self._find_host(hosts.normal(host)))

    def _find_host(self, host: str) -> Provider | None:
        if host in self._exact:
            return self._exact[host]
        return next((provider for pattern, provider in self._patterns if pattern.fullmatch(host)), None)

    def by_path(
        self, path: str, headers: Mapping[str, str], method: str = "POST", query: str = ""
    ) -> tuple[Provider, str] | None:
        """For base-URL clients without a prefix: the provider and its own path.

        `headers` are by lower-case name. The query may stand in `path` or beside it, and stays there.
        """
        bare, mark, inline = path.partition("?")
        found = paths.provider_of(bare, headers, inline or query)
        return None if found is None else (self.providers[found[0]], found[1] + mark + inline)

    def by_prefix(
        self, path: str, headers: Mapping[str, str] = _NO_HEADERS, query: str = ""
    ) -> tuple[Provider, str] | None:
        """For `/{provider}/...`: the provider and the rest, completed where a client left out `/v1`.

        Azure's own paths begin with `/openai/`, too: `paths.is_azure_v1` says which is meant.
        """
        bare, mark, inline = path.partition("?")
        name, _, rest = bare[1:].partition("/")
        provider = self.providers.get(name)
        if provider is None or not bare.startswith("/"):
            return None
        if paths.is_azure_v1(bare, headers, inline or query):
            return self.providers["azure"], path
        return provider, self._completed(provider, f"/{rest}") + mark + inline

    def at(self, name: str, path: str) -> tuple[Provider, str] | None:
        """The provider of this name and its own path, if it knows the path (with or without its prefix)."""
        provider = self.providers.get(name)
        if provider is None:
            return None
        completed = self._completed(provider, path)
        return (provider, completed) if self._known(provider, completed) else None

    def _completed(self, provider: Provider, path: str) -> str:
        """Base URLs are written with and without the API's prefix; the first reading that means something."""
        if not provider.bare or self._known(provider, path):
            return path
        shorter = path.removeprefix("/v1") if path.startswith("/v1/") else path
        return next(
            (p for p in (provider.bare + path, provider.bare + shorter) if self._known(provider, p)), path
        )

    @staticmethod
    def _known(provider: Provider, path: str) -> bool:
        return any(endpoint.path.fullmatch(path) for endpoint in provider.endpoints)

    def endpoint(self, provider: Provider, method: str, path: str) -> Endpoint:
        """What a path means; never None. Give the query with the path: Azure's versions stand there."""
        key = (provider.name, method, path)
        known = self._endpoints.get(key)
        if known is not None:
            return known
        found = self._find_endpoint(*key)
        return self._endpoints.remember(key, found) if len(path) <= _LONGEST else found

    def _find_endpoint(self, name: str, method: str, path: str) -> Endpoint:
        bare, _, query = path.partition("?")
        found = self._match(name, method, bare)
        if found.inject_query is not None and not found.inject_query.search(query):
            return replace(found, inject_usage=False)
        return found

    def _match(self, name: str, method: str, path: str) -> Endpoint:
        base = self._bases.get(name)
        for candidate in (path, path.removeprefix(base[3])) if base and base[3] else (path,):
            for endpoint in self.providers[name].endpoints:
                if method in endpoint.methods and endpoint.path.fullmatch(candidate):
                    return endpoint
        return endpoints.OTHER

    def not_inference(self, provider: Provider, path: str) -> bool:
        """Settings, telemetry, login: relayed untouched and not recorded."""
        bare = path.partition("?")[0]
        return any(pattern.fullmatch(bare) for pattern in provider.not_inference)

    def ca_names(self) -> tuple[str, ...]:
        """DNS names for the name constraints of our root; each permits itself and what lies below it."""
        return self._names

    def covered(self, host: str) -> bool:
        """Whether our root may sign for a host; a provider's host that it may not stays a blind tunnel."""
        return hosts.permits(self._permitted, hosts.normal(host))

    def base_url(self, provider: Provider) -> str | None:
        """Where its traffic goes, if settings say so."""
        return self._base_urls.get(provider.name)

    def base_for(self, provider: Provider, base_url: str | None, secret: SecretStr | None) -> str | None:
        """The `credential_base_url` of `upstream` for a path of `Provider.serving`: what is stored or set,
        completed by what the provider reads from the secret. ConfigError says what is missing.
        """
        known = base_url or self._base_urls.get(provider.name)
        return known if provider.base_for is None else provider.base_for(known, secret)

    def upstream(
        self,
        provider: Provider,
        host: str | None,
        path: str,
        headers: Mapping[str, str],
        credential_base_url: str | None = None,
        *,
        scheme: str = "https",
        port: int | None = None,
    ) -> tuple[str, str, int, str] | None:
        """(scheme, host, port, path prefix) to connect to, or None where only a credential could say.

        The credential's base URL counts first, then that of settings, then the intercepted `host` (with its
        `scheme` and `port`), then the provider's own. A base URL's path is kept, less what `path` repeats.
        """
        given = (
            hosts.split(credential_base_url, provider.name)
            if credential_base_url
            else self._bases.get(provider.name)
        )
        if given is None and host is not None:
            return scheme, host, port or (443 if scheme == "https" else 80), ""
        if given is None:
            given = self._default(provider, path, headers)
        return None if given is None else (*given[:3], hosts.remaining_prefix(given[3], path))

    def _default(
        self, provider: Provider, path: str, headers: Mapping[str, str]
    ) -> tuple[str, str, int, str] | None:
        host = provider.host_for(path, headers) if provider.host_for is not None else None
        return ("https", host, 443, "") if host is not None else self._own_bases.get(provider.name)
