"""Steps 2 and 3: whether the policies of a call's token and project allow it (`policy/allow.py`)."""

from collections.abc import Iterator, Mapping, Sequence

from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange, Principal
from llm_intercept.policy.allow import Allowance, Call, Head, Verdict, judge_call, judge_head
from llm_intercept.policy.members import Leaf, read
from llm_intercept.providers.base import GENERATION
from llm_intercept.wire import encoding

_OVERRIDES = ("x-http-method-override", "x-http-method", "x-method-override")
_JSON = "application/json"
_STREAM = Leaf(("stream",), ("stream",), "stream", True)  # where the path asks for a stream


def refused_head(exchange: Exchange, headers: Mapping[str, str]) -> Refusal | None:
    """Before the body is read. Paths that are no inference never have a key of ours: any is allowed."""
    allowed = exchange.principal.allow if exchange.principal else None
    if allowed is None:
        return None
    head = Head(
        exchange.method,
        exchange.path.partition("?")[0] if exchange.recorded else "",
        exchange.operation,
        exchange.client_ip,
        headers.get("origin"),
        any(name in headers for name in _OVERRIDES),
    )
    return _refusal(judge_head(allowed, head))


def refused_address(principal: Principal, client_ip: str) -> Refusal | None:
    """For tunnels: nothing but the address is known of what goes through them."""
    if principal.allow is None:
        return None
    return _refusal(judge_head(principal.allow.only_addresses(), Head("", "", "", client_ip, None)))


def refused_call(exchange: Exchange) -> Refusal | None:
    """Once it is decided where this try goes, and how it is written there."""
    allowed = exchange.principal.allow if exchange.principal else None
    if allowed is None:
        return None
    if exchange.websocket and _is_unseen(exchange, allowed):
        return Refusal(
            "permission",
            "policy_needs_http",
            "What is said inside a WebSocket cannot be held to the policy of this token: use HTTP.",
        )
    call = Call(
        exchange.method,
        exchange.operation,
        exchange.model,
        exchange.upstream_model or exchange.model,
        exchange.provider.name,
        tuple(_bodies(exchange)) if allowed.reads_bodies else (),
        exchange.operation in GENERATION,
    )
    return _refusal(judge_call(allowed, call))


def _is_unseen(exchange: Exchange, allowed: Allowance) -> bool:
    """The model of a Realtime session stands in its address; all else is said in messages."""
    return allowed.has_parameters or (allowed.names_models and exchange.operation != "realtime")


def _bodies(exchange: Exchange) -> Iterator[Sequence[Leaf] | None]:
    """The client's, and what is sent instead of it: a name or a route may add what a rule is about."""
    if exchange.websocket:
        return
    if exchange.upload:
        yield None
        return
    said = read(encoding.inflate(exchange.request_body, exchange.request_encoding), exchange.request_type)
    yield said if said is None or exchange.endpoint.stream != "path" else (*said, _STREAM)
    for written in (exchange.resent, exchange.upstream_body):
        if written is not None:
            yield read(written, _JSON)


def _refusal(verdict: Verdict | None) -> Refusal | None:
    return Refusal("permission", verdict.code, verdict.sentence) if verdict is not None else None
