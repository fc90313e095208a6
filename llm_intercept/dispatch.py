"""Steps 3 and 7: where a call goes, and what exactly is sent there.

Same provider, same dialect: the body is passed through untouched, or one value is spliced into it
(`stream_options.include_usage`); everything that had to change is named on the row.
"""

import hashlib
from collections.abc import Callable, Mapping

from pydantic import SecretStr

from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange, Target
from llm_intercept.providers import Registry
from llm_intercept.providers.base import Outgoing
from llm_intercept.providers.presented import remove
from llm_intercept.store.control import Control, StoredCredential
from llm_intercept.wire import dialects, encoding, splice

CLIENT = "client"
_HOP_BY_HOP = ("proxy-authorization", "proxy-connection")


class Dispatch:
    """Decides the target and prepares the outgoing request."""

    def __init__(
        self,
        registry: Registry,
        control: Control,
        local_address: Callable[[str], str | None],
        inject_usage: bool,
        now: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._control = control
        self._local_address = local_address
        self._inject_usage = inject_usage
        self._now = now
        self._configured: set[tuple[str, int]] = set()

    def is_target(self, host: str, port: int) -> bool:
        """Whether an operator has configured this address: those may lie in a private network."""
        return (host, port) in self._configured

    def resolve(self, exchange: Exchange, headers: Mapping[str, str]) -> Refusal | None:
        """Sets `target`: the stored credential for a token's call, the client's own otherwise."""
        principal = exchange.principal
        # Telemetry and the like get no key of ours: they pass as sent, less a project token.
        own = principal is None or principal.own_key or not exchange.recorded
        stored = None if own else self._control.credential(exchange.provider.name)
        if stored is None and not own and not exchange.provider.key_optional:
            return _no_credential(exchange)
        base_url = stored.base_url if stored else None
        called = self._registry.by_host(exchange.host) if exchange.entry != "base_url" else None
        host = exchange.host if called is exchange.provider else None
        upstream = self._registry.upstream(
            exchange.provider,
            host,
            exchange.path,
            headers,
            base_url or self._local_address(exchange.provider.name),
        )
        if upstream is None:
            return _no_address(exchange)
        if upstream[1] != exchange.host:
            self._configured.add((upstream[1], upstream[2]))
        exchange.target = Target(*upstream, *_key(stored, own))
        return None

    def read_body(self, exchange: Exchange, body: bytes) -> None:
        """What is read of a request that is held in memory."""
        exchange.request_bytes = len(body)
        exchange.request_sha256 = exchange.upstream_sha256 = hashlib.sha256(body).hexdigest()
        exchange.request_body = body
        facts = dialects.get(exchange.dialect).read_request(self._plain(exchange, body))
        exchange.model = exchange.model or facts.model
        exchange.stream = exchange.stream or (exchange.endpoint.stream == "body" and facts.stream)
        exchange.session_id = exchange.session_id or facts.session_id
        exchange.asks_usage = facts.include_usage

    def _plain(self, exchange: Exchange, body: bytes) -> bytes:
        if not exchange.request_encoding or exchange.request_encoding == "identity":
            return body
        return encoding.inflate(body, exchange.request_encoding) or b""

    def prepare(self, exchange: Exchange, outgoing: Outgoing) -> None:
        """Rewrites `outgoing` for the target: address, hop-by-hop fields, usage injection, credential."""
        target = exchange.target
        assert target is not None
        outgoing.drop_header(*_HOP_BY_HOP)
        self._readdress(exchange, target, outgoing)
        if self._wants_injection(exchange, outgoing):
            self._inject(exchange, outgoing)
        if target.secret is not None:
            exchange.provider.credential(outgoing, target.secret, self._now())
        remove(outgoing, *exchange.presented)
        if outgoing.body is not None and exchange.changed_body:
            exchange.upstream_sha256 = hashlib.sha256(outgoing.body).hexdigest()
        exchange.changes += outgoing.changes

    @staticmethod
    def _readdress(exchange: Exchange, target: Target, outgoing: Outgoing) -> None:
        if target.host != exchange.host or exchange.entry == "base_url":
            outgoing.set_header("Host", authority(target))
        outgoing.scheme, outgoing.host, outgoing.port = target.scheme, target.host, target.port
        outgoing.path = target.prefix + exchange.path

    def _wants_injection(self, exchange: Exchange, outgoing: Outgoing) -> bool:
        return (
            self._inject_usage
            and exchange.recorded
            and exchange.stream
            and exchange.endpoint.inject_usage
            and not exchange.asks_usage
            and not exchange.request_encoding
            and outgoing.body is not None
        )

    @staticmethod
    def _inject(exchange: Exchange, outgoing: Outgoing) -> None:
        assert outgoing.body is not None
        body = splice.ask_for_usage(outgoing.body)
        if body is outgoing.body or body == outgoing.body:
            return
        outgoing.body = body
        exchange.hide_usage = exchange.changed_body = True
        outgoing.changes.append("body: stream_options.include_usage")
        if (outgoing.header("accept-encoding") or "identity") != "identity":
            # The chunk that we asked for must be found in the stream and taken out again.
            outgoing.set_header("accept-encoding", "identity")
            outgoing.changes.append("header: accept-encoding")


def authority(target: Target) -> str:
    usual = 443 if target.scheme == "https" else 80
    return target.host if target.port == usual else f"{target.host}:{target.port}"


def _key(stored: StoredCredential | None, own: bool) -> tuple[str, SecretStr | None]:
    if stored is not None:
        return stored.name, stored.secret
    return (CLIENT if own else ""), None


def _no_credential(exchange: Exchange) -> Refusal:
    name = exchange.provider.name
    return Refusal(
        "permission",
        "no_credential",
        f"No key for {exchange.provider.title} is stored here: run `llm-intercept key add {name} --key-env "
        f"{exchange.provider.env or 'NAME'}`.",
    )


def _no_address(exchange: Exchange) -> Refusal:
    name = exchange.provider.name
    return Refusal(
        "invalid_request",
        "no_base_url",
        f"It is not known where {exchange.provider.title} is reached: add its key with --base-url URL, "
        f"or set providers.{name}.base_url.",
    )
