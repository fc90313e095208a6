"""What happens when a hook raises.

mitmproxy logs a hook's exception and *forwards the request anyway, with the client's token*. So each
gate is wrapped in `fail_closed`: the client gets a provider-shaped 500 and nothing goes upstream.
Hooks that only observe are wrapped in `fail_open`: their fault is logged and the call goes on.
Both add the time spent to the exchange, which is how `overhead_ms` is measured rather than guessed.
"""

import functools
import inspect
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from mitmproxy import http

from addons.exchanges import Exchanges, to_response
from llm_intercept import secrecy
from llm_intercept.errors import Refusal, Reply
from llm_intercept.unkeyed import traced

logger = logging.getLogger("llm_intercept")

FAULT = Refusal(
    "internal",
    "internal_error",
    "llm-intercept failed to handle this call; nothing was sent to the provider.",
)
LAST_RESORT = Reply(
    500,
    (("content-type", "application/json"),),
    b'{"error":{"message":"llm-intercept failed","type":"api_error"}}',
)

type Hook = Callable[[Any, http.HTTPFlow], Any]


def answer(flow: http.HTTPFlow, reply: Reply) -> None:
    """mitmproxy cannot send an answer of ours while it streams the request: it would hang."""
    flow.request.stream = False
    flow.metadata["answered"] = "here"
    flow.response = to_response(reply)


def refuse(exchanges: Exchanges, flow: http.HTTPFlow, refusal: Refusal) -> None:
    """Answers the client in its provider's error format; the upstream sees nothing."""
    exchange = exchanges.get(flow)
    if exchange is None:
        answer(flow, LAST_RESORT)
        return
    exchange.refusal = refusal
    if exchange.tries and not exchange.tries[-1].outcome and "connected" not in flow.metadata:
        exchange.tries.pop()  # it was about to be sent
    exchanges.gateway.watch.call_refused(exchange, refusal)
    answer(flow, exchanges.gateway.refusal_reply(exchange, refusal))


def _close(exchanges: Exchanges, flow: http.HTTPFlow, hook: str) -> None:
    _log(exchanges, flow, f"gate {hook} failed; the call is refused")
    try:
        refuse(exchanges, flow, FAULT)
    except Exception:
        _log(exchanges, flow, "the refusal failed as well")
        answer(flow, LAST_RESORT)


def _log(exchanges: Exchanges, flow: http.HTTPFlow, what: str) -> None:
    """The exception under way, without this call's keys: what it says may repeat headers and bodies."""
    exchange, error = exchanges.get(flow), sys.exception()
    assert error is not None
    logger.error("%s\n%s", what, secrecy.traced(error) if exchange is None else traced(exchange, error))


def fail_closed(hook: Hook) -> Hook:
    """For gates. A hook may return an awaitable; then its fault closes the gate as well."""

    @functools.wraps(hook)
    def guarded(addon: Any, flow: http.HTTPFlow) -> Awaitable[None] | None:
        started = time.perf_counter()
        try:
            pending = hook(addon, flow)
        except Exception:
            _close(addon.exchanges, flow, hook.__qualname__)
            return None
        if (exchange := addon.exchanges.get(flow)) is not None:
            exchange.busy += time.perf_counter() - started
        if pending is None or not inspect.isawaitable(pending):
            return None
        return _awaited(addon.exchanges, flow, hook.__qualname__, pending)

    return guarded


async def _awaited(exchanges: Exchanges, flow: http.HTTPFlow, name: str, pending: Awaitable[None]) -> None:
    try:
        await pending
    except Exception:
        _close(exchanges, flow, name)


def fail_open(hook: Hook) -> Hook:
    """For hooks that only observe: a fault is logged, the call goes on."""

    @functools.wraps(hook)
    def guarded(addon: Any, flow: http.HTTPFlow) -> None:
        started = time.perf_counter()
        try:
            hook(addon, flow)
        except Exception:
            _log(addon.exchanges, flow, f"{hook.__qualname__} failed; the call goes on")
        if (exchange := addon.exchanges.get(flow)) is not None:
            exchange.busy += time.perf_counter() - started

    return guarded
