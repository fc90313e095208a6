"""Steps 3 and 7: where a call goes, and what exactly is sent there.

Same provider, same dialect: the body is passed through untouched, or one value is spliced into it
(`stream_options.include_usage`); everything that had to change is named on the row.
"""

import hashlib
from collections.abc import Callable, Mapping

from pydantic import SecretStr

from llm_intercept.errors import ConfigError, Refusal
from llm_intercept.exchange import Exchange, Target
from llm_intercept.policy.tokens import PREFIX, has_token
from llm_intercept.providers import Registry
from llm_intercept.providers.base import Outgoing, Provider
from llm_intercept.providers.presented import remove, remove_strays, strays
from llm_intercept.secrecy import shown_name
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
        if (PREFIX in exchange.path or PREFIX in exchange.model) and _has_token(exchange):
            return _MISPLACED
        if (refusal := _in_a_header(exchange, headers)) is not None:
            return refusal
        own = uses_own_key(exchange, moved=exchange.moved)
        stored = None if own else self._stored(exchange)
        if stored is None and not exchange.provider.key_optional and (exchange.moved or not own):
            return _no_credential(exchange) if not own else _needs_token(exchange)
        base_url = stored.base_url if stored else None
        called = self._registry.by_host(exchange.host) if exchange.entry != "base_url" else None
        host = exchange.host if called is exchange.provider else None
        try:
            base_url = self._base_url(exchange, base_url, stored, called)
            upstream = self._registry.upstream(
                exchange.provider,
                host,
                exchange.path,
                headers,
                base_url or self._local_address(exchange.provider.name),
            )
        except ConfigError as error:
            return Refusal("permission", "no_base_url", str(error))
        if upstream is None:
            return _no_address(exchange)
        if exchange.entry == "base_url" or upstream[1] != exchange.host:
            self._configured.add((upstream[1], upstream[2]))
        exchange.target = Target(*upstream, *_key(stored, own and not exchange.moved))
        return None

    def _stored(self, exchange: Exchange) -> StoredCredential | None:
        """The key of the try under way; for what has no course, the first that is stored."""
        name = exchange.course.current.candidate.credential if exchange.course is not None else None
        if name is None:
            return self._control.credential(exchange.provider.name)
        return next((k for k in self._control.keys(exchange.provider.name) if k.name == name), None)

    def _base_url(
        self,
        exchange: Exchange,
        stored_url: str | None,
        stored: StoredCredential | None,
        called: Provider | None,
    ) -> str | None:
        """For paths that we wrote: some need a project and a location before them (ConfigError)."""
        provider = exchange.provider
        if not exchange.rerouted or provider.base_for is None:
            return stored_url
        if called is provider:  # the client's own are in its path
            root = stored_url or self._registry.base_url(provider) or f"https://{exchange.host}"
            stored_url = root.rstrip("/") + exchange.client_path
        return self._registry.base_for(provider, stored_url, stored.secret if stored else None)

    def read_body(self, exchange: Exchange, body: bytes) -> None:
        """What is read of a request that is held in memory."""
        exchange.request_bytes = len(body)
        exchange.request_sha256 = exchange.upstream_sha256 = hashlib.sha256(body).hexdigest()
        exchange.request_body = body
        facts = dialects.get(exchange.dialect).read_request(self.plain(exchange, body))
        exchange.model = exchange.model or facts.model
        exchange.stream = exchange.stream or (exchange.endpoint.stream == "body" and facts.stream)
        exchange.session_id = exchange.session_id or facts.session_id
        exchange.asks_usage = facts.include_usage

    @staticmethod
    def plain(exchange: Exchange, body: bytes) -> bytes:
        if not exchange.request_encoding or exchange.request_encoding == "identity":
            return body
        return encoding.inflate(body, exchange.request_encoding) or b""

    def prepare(self, exchange: Exchange, outgoing: Outgoing) -> None:
        """Rewrites `outgoing` for the target: address, hop-by-hop fields, usage injection, credential."""
        target = exchange.target
        assert target is not None
        outgoing.drop_header(*_HOP_BY_HOP)
        for name in remove_strays(outgoing, exchange.presented):
            outgoing.changes.append(f"token taken out: {shown_name(name[:60])}")
        if exchange.resent is not None:
            self._replace(exchange, exchange.resent, outgoing)
        self._rewrite(exchange, outgoing)
        self._readdress(exchange, target, outgoing)
        if self._wants_injection(exchange, outgoing):
            self._inject(exchange, outgoing)
        if target.secret is not None:
            exchange.provider.credential(outgoing, target.secret, self._now())
            exchange.minted = outgoing.minted
        remove(outgoing, *exchange.presented)
        if outgoing.body is not None and exchange.changed_body:
            exchange.upstream_sha256 = hashlib.sha256(outgoing.body).hexdigest()
        exchange.changes += outgoing.changes

    @staticmethod
    def _replace(exchange: Exchange, body: bytes, outgoing: Outgoing) -> None:
        """What a route overrides, or a history without its thinking."""
        outgoing.body = body
        outgoing.drop_header("content-encoding")
        exchange.request_encoding, exchange.changed_body = "", True

    def _rewrite(self, exchange: Exchange, outgoing: Outgoing) -> None:
        """What the plan says of the body and the headers; nothing for a call that goes where it was sent."""
        if exchange.upstream_body is not None:
            outgoing.method, outgoing.body = "POST", exchange.upstream_body
            outgoing.drop_header("content-encoding")
            if exchange.translation is not None:
                outgoing.headers[:] = _written_headers(exchange, outgoing)
            exchange.changed_body = True
        elif exchange.splices and outgoing.body is not None:
            outgoing.body = splice.set_top_level(self.plain(exchange, outgoing.body), exchange.splices)
            outgoing.drop_header("content-encoding")
            exchange.request_encoding, exchange.changed_body = "", True
        for name, value in exchange.extra_headers.items():
            outgoing.set_header(name, value)
            outgoing.changes.append(f"header: {name.lower()}")

    @staticmethod
    def _readdress(exchange: Exchange, target: Target, outgoing: Outgoing) -> None:
        if target.host != exchange.host or exchange.entry == "base_url" or exchange.rerouted:
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


_MISPLACED = Refusal(
    "invalid_request",
    "token_misplaced",
    "A project token stands where a model or a path belongs; send it as `Authorization: Bearer`. "
    "Nothing was sent to the provider.",
)


def _has_token(exchange: Exchange) -> bool:
    """Whether one would go upstream with the path or as a model: where it may stand it is taken out again."""
    path = exchange.path
    for credential in exchange.presented:
        path = path.replace(f"key={credential.value}", "")
    return has_token(path) or has_token(exchange.model)


def _in_a_header(exchange: Exchange, headers: Mapping[str, str]) -> Refusal | None:
    """For a call without a token in its place: with one, another that strays is taken out in silence."""
    if exchange.principal is not None and exchange.principal.token_id:
        return None
    fields = [field for field in headers.items() if field[0] not in _HOP_BY_HOP]
    found = strays(fields, exchange.presented)
    if not found:
        return None
    name = "a cookie" if found[0][0] == "cookie" else f"the header {shown_name(found[0][0][:60])}"
    return Refusal(
        "invalid_request",
        "token_misplaced",
        f"A project token stands in {name}, where none is looked for; send it as `Authorization: Bearer`. "
        "Nothing was sent to the provider.",
    )


def uses_own_key(exchange: Exchange, *, moved: bool) -> bool:
    """Whether the client's own credential goes upstream, and none of ours.

    Telemetry and the like get no key of ours: they pass as sent, less a project token. A call that was led to
    another provider cannot take the client's key there; a project's token opens the stored one.
    """
    principal = exchange.principal
    if moved and exchange.recorded:
        return principal is None or not principal.token_id
    return principal is None or principal.own_key or not exchange.recorded


# What of the client's headers still means something in another dialect.
_KEPT = ("user-agent", "accept-language", "x-request-id", "traceparent", "tracestate")
# What a dialect asks for beside the body.
_REQUIRED = {"anthropic": {"anthropic-version": "2023-06-01"}}


def _written_headers(exchange: Exchange, outgoing: Outgoing) -> list[tuple[str, str]]:
    kept = [(name, value) for name, value in outgoing.headers if name.lower() in _KEPT]
    accept = "text/event-stream" if exchange.stream else "application/json"
    ours = {"content-type": "application/json", "accept": accept, "accept-encoding": "identity"}
    return [*kept, *(ours | _REQUIRED.get(exchange.answer_dialect, {})).items()]


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


def _needs_token(exchange: Exchange) -> Refusal:
    return Refusal(
        "authentication",
        "token_required",
        f"{exchange.provider.title} serves this model with a key that is stored here; only a project token "
        "opens it (llm-intercept token create --project NAME --name NAME).",
    )


def _no_address(exchange: Exchange) -> Refusal:
    name = exchange.provider.name
    return Refusal(
        "invalid_request",
        "no_base_url",
        f"It is not known where {exchange.provider.title} is reached: add its key with --base-url URL, "
        f"or set providers.{name}.base_url.",
    )
