"""Recording: what clients send to providers and what they are given, into a cassette. Only for `record`.

`Arrivals` stands before all who decide, so that it sees requests as they came; `Answers` behind all who
change answers. Both fail open: a recording that goes wrong is no reason for a call to.
"""

from weakref import WeakKeyDictionary

from mitmproxy import ctx, http

from addons.exchanges import Exchanges, fields
from addons.guard import fail_closed, fail_open, refuse
from llm_intercept.cassette.cleaning import Clean
from llm_intercept.cassette.format import Ended
from llm_intercept.cassette.hearing import Heard
from llm_intercept.cassette.recorder import Arrived, Draft, Recorder
from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange
from llm_intercept.policy.tokens import brought_by
from llm_intercept.store.redaction import Redaction
from llm_intercept.unkeyed import unkeyed, unspread
from llm_intercept.wire import spread

SOCKET = (
    "a WebSocket, of which cassettes have no messages (`record --no-websockets` makes clients do without)"
)
UPLOAD = "an upload that streams through, of which cassettes have no bytes"
UNANSWERED = "it ended without an answer"
NO_SOCKETS = Refusal(
    "upgrade_required", "websockets_off", "WebSockets are switched off while this is recorded."
)

type Drafts = WeakKeyDictionary[http.HTTPFlow, Draft]


def arrived(flow: http.HTTPFlow, exchange: Exchange, body: bytes) -> Arrived:
    host = exchange.provider.name if exchange.entry == "base_url" else exchange.host
    return Arrived(exchange.method, host, exchange.path, fields(flow.request.headers), body)


def cleaner(exchange: Exchange, redact: Redaction) -> Clean:
    """Takes out whatever looks like a key, and this call's own, which may look like anything."""

    def clean(text: bytes) -> bytes:
        return spread.without(unspread(exchange, redact(unkeyed(exchange, text))), redact.find)

    return clean


class Quiet:
    """On the terminal only what goes wrong: it is the recorded program's."""

    def running(self) -> None:
        ctx.options.update(termlog_verbosity="warn")


class Arrivals:
    """Begins a draft for each call. `mark`: what the rows of calls with tokens of their own are found by."""

    def __init__(
        self, exchanges: Exchanges, recorder: Recorder, drafts: Drafts, *, sockets: bool, mark: str = ""
    ) -> None:
        self.exchanges = exchanges
        self._recorder = recorder
        self._drafts = drafts
        self._sockets = sockets
        self._mark = mark

    @fail_closed
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is not None and exchange.websocket and not self._sockets and not flow.response:
            refuse(self.exchanges, flow, NO_SOCKETS)

    @fail_open
    def request(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        if exchange is None or (exchange.websocket and not self._sockets):
            return
        who = exchange.principal
        if self._mark not in ("", *exchange.changes, who and brought_by(who.project, who.token)):
            exchange.changes.append(self._mark)
        body = self.exchanges.gateway.dispatch.plain(exchange, flow.request.raw_content or b"")
        self._drafts[flow] = self._recorder.begin(
            exchange.provider.name, arrived(flow, exchange, body), inference=exchange.recorded
        )


class Answers:
    """Listens to what the client is given, and writes the call when it is over."""

    def __init__(self, exchanges: Exchanges, recorder: Recorder, drafts: Drafts) -> None:
        self.exchanges = exchanges
        self._recorder = recorder
        self._drafts = drafts
        self._redact: Redaction | None = None

    def done(self) -> None:
        self._recorder.close()

    @fail_open
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        draft, response = self._drafts.get(flow), flow.response
        if draft is None or response is None or not response.stream:
            return
        draft.answered(response.status_code, fields(response.headers))
        response.stream = Heard(response.stream, draft, lambda: self._recorder.now)

    @fail_open
    def response(self, flow: http.HTTPFlow) -> None:
        self._write(flow)

    @fail_open
    def error(self, flow: http.HTTPFlow) -> None:
        self._write(flow)

    @fail_open
    def websocket_start(self, flow: http.HTTPFlow) -> None:
        self._write(flow)

    def _write(self, flow: http.HTTPFlow) -> None:
        exchange, draft, response = self.exchanges.get(flow), self._drafts.pop(flow, None), flow.response
        if exchange is None or draft is None:
            return
        heard = response.stream if response is not None else None
        if response is not None and not isinstance(heard, Heard):
            draft.answered(response.status_code, fields(response.headers))
            draft.add(self._recorder.now, response.raw_content or b"")
        whole = flow.error is None or not isinstance(heard, Heard) or heard.ended
        ended: Ended = "whole" if whole else "client" if exchange.ended_by == "client" else "upstream"
        self._recorder.finish(draft, ended, self._clean(exchange), _note(flow, exchange))

    def _clean(self, exchange: Exchange) -> Clean:
        if self._redact is None:
            self._redact = Redaction(self.exchanges.gateway.settings.capture.redact)
        return cleaner(exchange, self._redact)


def _note(flow: http.HTTPFlow, exchange: Exchange) -> str:
    if flow.websocket is not None or exchange.websocket:
        return SOCKET
    if exchange.upload:
        return UPLOAD
    return UNANSWERED if flow.response is None else ""
