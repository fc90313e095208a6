"""Request bodies that stream to the provider unseen: counted and hashed as they pass."""

import hashlib
from collections.abc import Callable

from mitmproxy import http

from addons.exchanges import Exchanges
from llm_intercept.exchange import Exchange


def due(exchanges: Exchanges, flow: http.HTTPFlow, *, on_head: bool) -> Exchange | None:
    """The call that a gate has to decide on now, if there is one: with its body, an upload on its head."""
    exchange = exchanges.get(flow)
    return None if exchange is None or flow.response or exchange.upload is not on_head else exchange


class Hashing:
    """The request's stream callable: counts and hashes what passes."""

    def __init__(self, exchange: Exchange, clock: Callable[[], float]) -> None:
        self._exchange = exchange
        self._clock = clock
        self._digest = hashlib.sha256()

    def __call__(self, chunk: bytes) -> list[bytes]:
        if chunk:
            self._digest.update(chunk)
            self._exchange.request_bytes += len(chunk)
            return [chunk]
        self._exchange.waiting_since = self._clock()
        self._exchange.request_sha256 = self._exchange.upstream_sha256 = self._digest.hexdigest()
        return []
