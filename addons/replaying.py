"""Calls to providers are led to the recorded answers, or refused if there is none. Only for `replay`."""

from collections.abc import Awaitable

from mitmproxy import http

from addons.cassette import SOCKET, UPLOAD, arrived, cleaner
from addons.exchanges import Exchanges
from addons.guard import fail_closed, refuse
from llm_intercept.cassette.format import Request
from llm_intercept.cassette.matching import Mismatch
from llm_intercept.cassette.player import Player
from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange, Target
from llm_intercept.providers.presented import presented
from llm_intercept.store.redaction import Redaction


class Replay:
    """Stands where a call's target is decided. It looks at no credential, and none goes anywhere."""

    def __init__(self, exchanges: Exchanges, player: Player) -> None:
        self.exchanges = exchanges
        self._player = player
        self._redact: Redaction | None = None

    async def done(self) -> None:
        await self._player.close()

    @fail_closed
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is None or flow.response or not (exchange.websocket or exchange.upload):
            return
        request = self._request(flow, exchange, b"")
        what = SOCKET if exchange.websocket else UPLOAD
        self._miss(flow, Mismatch(request, f"The call {request.title} cannot be replayed: it is {what}."))

    @fail_closed
    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        exchange = self.exchanges.get(flow)
        if exchange is None or flow.response:
            return None
        gateway = self.exchanges.gateway
        body = flow.request.raw_content or b""
        if exchange.recorded:
            gateway.dispatch.read_body(exchange, body)
        request = self._request(flow, exchange, gateway.dispatch.plain(exchange, body))
        found = self._player.find(request, inference=exchange.recorded)
        if isinstance(found, Mismatch):
            refuse(self.exchanges, flow, _refusal(found))
            return None
        return self._lead(flow, exchange, found.number)

    def _request(self, flow: http.HTTPFlow, exchange: Exchange, body: bytes) -> Request:
        """As it would stand in a cassette."""
        exchange.foreign = tuple(presented(exchange.request_headers, exchange.path.partition("?")[2]))
        if self._redact is None:
            self._redact = Redaction(self.exchanges.gateway.settings.capture.redact)
        return arrived(flow, exchange, body).cleaned(cleaner(exchange, self._redact))

    def _miss(self, flow: http.HTTPFlow, mismatch: Mismatch) -> None:
        self._player.miss(mismatch)
        refuse(self.exchanges, flow, _refusal(mismatch))

    async def _lead(self, flow: http.HTTPFlow, exchange: Exchange, number: int) -> None:
        port = await self._player.port()
        exchange.target = Target("http", "127.0.0.1", port, "", "", None)
        request = flow.request
        request.headers.clear()
        request.scheme, request.host, request.port, request.path = "http", "127.0.0.1", port, f"/{number}"
        request.headers["host"] = f"127.0.0.1:{port}"
        request.content = b""
        exchange.phases.sent = self.exchanges.gateway.clock()


def _refusal(mismatch: Mismatch) -> Refusal:
    """The first paragraph says which call; the command prints the difference."""
    return Refusal("not_found", "not_in_cassette", str(mismatch).partition("\n")[0])
