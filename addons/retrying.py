"""Tries of one call: a part of `upstream.py`, whose streams are made of this.

A try that failed (`flow.metadata["may_retry"]`) is shown to the hook `try_failed`; if it sets
`flow.metadata["again"]` (seconds), the client is told nothing, and after that time the hook `try_again`
writes the request anew, to wherever it likes. An error in place of a held stream's content is a failed try.
"""

from dataclasses import dataclass

from mitmproxy.http import HTTPFlow
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import (
    HttpLayer,
    HttpResponseHeadersHook,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
    SendHttp,
)
from mitmproxy.proxy.layers.http._http1 import Http1Client
from mitmproxy.proxy.layers.http._http2 import Http2Client

from addons.hangup import Drained, has_hung_up

_ANSWERS = (ResponseHeaders, ResponseData, ResponseTrailers, ResponseEndOfMessage, ResponseProtocolError)


@dataclass
class TryFailedHook(commands.StartHook):
    """`flow.error` or `flow.response` says how; `flow.metadata["again"]` asks for another try."""

    flow: HTTPFlow


@dataclass
class TryAgainHook(commands.StartHook):
    """The next try is about to be sent: `flow.request` is still the last one's."""

    flow: HTTPFlow


class Retried(Drained):
    pause: commands.RequestWakeup | None = None  # before the next try

    def send_response(self, already_streamed: bool = False) -> layer.CommandGenerator[None]:
        assert self.flow.response is not None
        if not already_streamed and self.flow.response.status_code >= 400 and (yield from self.try_again()):
            return
        yield from super().send_response(already_streamed)

    def try_again(self, *, cancel: bool = False) -> layer.CommandGenerator[bool]:
        if "may_retry" not in self.flow.metadata or "answered" in self.flow.metadata:
            return False
        yield TryFailedHook(self.flow)
        wait = self.flow.metadata.pop("again", None)
        if wait is None:
            return False
        if cancel:
            yield from self.cancel("trying another target")
        self._forget()
        self.flow.response = self.flow.error = None
        self.flow.metadata.pop("ended_by", None)
        self.flow.metadata.pop("overdue", None)
        self.expiry = None  # one that has not arrived yet was about the last try
        self.server_state = self.state_between_tries
        if float(wait) > 0:
            self.pause = commands.RequestWakeup(float(wait))
            yield self.pause
        else:
            yield from self.send_again()
        return True

    def state_between_tries(self, event: events.Event) -> layer.CommandGenerator[None]:
        """What the last one still had to say."""
        yield from ()

    def send_again(self) -> layer.CommandGenerator[None]:
        if has_hung_up(self.flow):
            return
        yield TryAgainHook(self.flow)
        self.server_state = self.state_wait_for_response_headers
        if self.flow.response is not None:
            yield HttpResponseHeadersHook(self.flow)
            yield from super().send_response()
        elif (yield from self.make_server_connection()):
            content = self.flow.request.raw_content
            head = RequestHeaders(self.stream_id, self.flow.request, end_stream=not content)
            yield SendHttp(head, self.context.server)
            if content:
                yield SendHttp(RequestData(self.stream_id, content), self.context.server)
            yield SendHttp(RequestEndOfMessage(self.stream_id), self.context.server)

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        # mitmproxy would answer from a failed connection's memory for as long as the client's lives.
        known = self._http.connections
        for failed in [c for c in known if c.error and c is not self.context.client and not c.connected]:
            del known[failed]
        made = yield from super().make_server_connection()
        if made:
            self.flow.metadata["connected"] = "yes"
        return made

    @property
    def _http(self) -> HttpLayer:
        parent = self.context.layers[self.context.layers.index(self) - 1]
        assert isinstance(parent, HttpLayer)
        return parent

    def _forget(self) -> None:
        """Whatever the last try's connection still says is not for the next one, even if that uses it too."""
        self.response_body_buf.clear()
        waiting = [e for e in self._paused_event_queue if not isinstance(e, _ANSWERS)]
        self._paused_event_queue.clear()
        self._paused_event_queue.extend(waiting)
        handler = self._http.connections.get(self.context.server)
        client = handler.context.layers[-1] if handler is not None else None
        if isinstance(client, Http1Client) and client.stream_id == self.stream_id:
            client.stream_id, client.state = None, client.done
        elif isinstance(client, Http2Client):
            client.stream_queue.pop(self.stream_id, None)
            client.their_stream_id[client.our_stream_id.pop(self.stream_id, 0)] = -1
