"""Step 1 as a value: what arrived, which provider and operation that is, and what else its headers tell."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange
from llm_intercept.providers import Registry
from llm_intercept.providers.base import Endpoint, Provider
from llm_intercept.settings import LimitsSettings

type NewId = Callable[[], tuple[int, str]]
"""Gives the next (epoch microseconds, UUIDv7)."""

OWN_PAGES = frozenset({"/", "/health", "/live", "/ready", "/metrics", "/ca.pem"})
"""What the port answers itself (addons/portal.py), whatever a listener's provider would make of it."""

_PRODUCT = re.compile(r"[^\s(;,]+")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request's head. `headers` are by lower-case name; `path` is the request target with its query."""

    entry: str
    method: str
    host: str
    port: int
    path: str
    headers: Mapping[str, str]
    client_ip: str
    provider: str = ""  # of the named listener: for base-URL calls that name none


class Entry:
    """Turns arrivals into exchanges."""

    def __init__(self, registry: Registry, limits: LimitsSettings, new_id: NewId) -> None:
        self._registry = registry
        self._limits = limits
        self._new_id = new_id
        self._by_prefix = {p.model_prefix: p for p in registry.providers.values() if p.model_prefix}

    def identify(self, arrival: Arrival, received: float) -> Exchange | None:
        """The exchange, or None for what does not go to a provider."""
        found = self._destination(arrival)
        if found is None:
            return None
        provider, path, explicit = found
        bare = path.partition("?")[0]
        endpoint = self._registry.endpoint(provider, arrival.method, path)
        number, request_id = self._new_id()
        exchange = Exchange(
            id=number,
            request_id=request_id,
            entry=arrival.entry,
            provider=provider,
            endpoint=endpoint,
            method=arrival.method,
            host=arrival.host,
            path=path,
            client_ip=arrival.client_ip,
            dialect=endpoint.dialect,
            operation=endpoint.operation,
            model=_model_in_path(endpoint, path),
            stream=endpoint.stream == "path",
            explicit=explicit,
            recorded=not self._registry.not_inference(provider, bare),
        )
        _read_headers(exchange, arrival.headers)
        exchange.phases.received = received
        return exchange

    def _destination(self, arrival: Arrival) -> tuple[Provider, str, bool] | None:
        """(provider, its own path, whether the client or its listener named it)."""
        if arrival.entry != "base_url":
            provider = self._registry.by_host(arrival.host, arrival.port)
            return None if provider is None else (provider, arrival.path, True)
        path, mark, query = arrival.path.partition("?")
        named = self._registry.by_prefix(path, arrival.headers, query)
        if named is None and arrival.provider:
            named = self._registry.at(arrival.provider, path)
        found = named or self._registry.by_path(path, arrival.headers, arrival.method, query)
        if found is None and arrival.provider in self._registry.providers and path not in OWN_PAGES:
            found = named = self._registry.providers[arrival.provider], path
        return None if found is None else (found[0], found[1] + mark + query, named is not None)

    def reassign(self, exchange: Exchange) -> None:
        """A model name can say that the call is another provider's (`sim/...`), once the body was read."""
        prefix, mark, _ = exchange.model.partition("/")
        provider = self._by_prefix.get(prefix + mark)
        if provider is None or provider is exchange.provider:
            return
        exchange.provider = provider
        exchange.endpoint = self._registry.endpoint(provider, exchange.method, exchange.path)
        exchange.dialect, exchange.operation = exchange.endpoint.dialect, exchange.endpoint.operation
        exchange.changes.append("provider: named by the model")
        # What the client showed to the provider it called is not for this one.
        exchange.presented += exchange.foreign

    def check_size(self, exchange: Exchange, length: int | None) -> Refusal | None:
        """Decides whether the body is read or streams through; a body too large to be read is refused."""
        if exchange.endpoint.upload and (length is None or length > self._limits.stream_over_bytes):
            exchange.upload = True
            return None
        return self.too_large() if length is not None and length > self.body_limit else None

    @property
    def body_limit(self) -> int:
        return self._limits.max_body_bytes

    def too_large(self) -> Refusal:
        limit = f"{self.body_limit:,} bytes (limits.max_body_bytes)"
        return Refusal("too_large", "request_too_large", f"The request body exceeds {limit}.")


def _model_in_path(endpoint: Endpoint, path: str) -> str:
    """In the path itself, or beside it where nothing is sent that could name it (Realtime's WebSockets)."""
    bare, _, query = path.partition("?")
    match = endpoint.path.search(bare)
    model = match.groupdict().get("model") if match else None
    if model is None and query and endpoint.stream == "path":
        named = parse_qs(query)
        model = next((named[name][0] for name in ("model", "deployment") if name in named), None)
        return model or ""
    return unquote(model) if model else ""


def _read_headers(exchange: Exchange, headers: Mapping[str, str]) -> None:
    exchange.request_headers = headers
    product = _PRODUCT.match(headers.get("user-agent", ""))
    exchange.client = product.group() if product else ""
    exchange.session_id = headers.get("x-claude-code-session-id", "") or headers.get("session-id", "")
    exchange.websocket = headers.get("upgrade", "").lower() == "websocket"
    exchange.request_type = headers.get("content-type", "")
    exchange.request_encoding = headers.get("content-encoding", "")
