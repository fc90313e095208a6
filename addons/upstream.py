"""mitmproxy's HTTP layer, changed where hooks do not reach: with its parts, all that touches its internals.

The parts are classes between mitmproxy's `HttpStream` and ours, each in a file that says what it adds:
pacing (slow tokens), stopping (limits), holding (beginnings of streams), hangup (clients that go away),
retrying (further tries). What is changed here:

1. A request in absolute form is marked as such before mitmproxy rewrites it to origin form
   (`flow.metadata["form"]`): that is how a forward-proxy call is told from a base-URL call.
2. Who ended an exchange early is noted (`flow.metadata["ended_by"]`: client or upstream).
3. When the upstream fails before the client was sent anything, an `error` hook may set `flow.response`;
   it is sent in place of mitmproxy's own HTML page, so that clients get their provider's error format.
4. A request body that nobody will read (it was answered in `requestheaders`) is dropped as it arrives.
5. What an HTTP/2 client streams without a length goes to an HTTP/1 provider in chunks, not without framing.
6. One call can be ended from outside (`expire`), which leaves others on a shared connection alone.
"""

import asyncio
import time
from itertools import pairwise
from typing import Any
from weakref import ref

import mitmproxy
from mitmproxy import flow as mitm_flow
from mitmproxy.exceptions import OptionsError
from mitmproxy.flow import Flow
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers import http as http_layer
from mitmproxy.proxy.layers.http import (
    DropStream,
    ErrorCode,
    HttpErrorHook,
    HttpLayer,
    HttpStream,
    RequestData,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    SendHttp,
)
from mitmproxy.version import VERSION

from addons import lasting, retrying

SUPPORTED = "12.2.3 or a later 12.x"
STOPPED = "llm-intercept was stopped before this answer was complete"
_TOO_LONG = {
    "first_byte": "the provider was silent for too long",
    "idle": "the provider was silent for too long",
    "total": "the call took longer than it may",
}
_NEEDED = (
    *("check_invalid", "handle_protocol_error", "make_server_connection", "send_response"),
    *("start_request_stream", "start_response_stream", "state_consume_request_body"),
    *("state_consume_response_body", "state_done", "state_errored", "state_stream_request_body"),
    *("state_stream_response_body", "state_wait_for_response_headers"),
)


class Stream(retrying.Retried):
    heard = 0.0  # when something came of an answer that is held whole (perf_counter)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        # Not a generator of its own: this is called for every chunk.
        return self._woken(event) if isinstance(event, events.Wakeup) else super()._handle_event(event)

    def _woken(self, event: events.Wakeup) -> layer.CommandGenerator[None]:
        if event.command is self.pause:
            if self.server_state == self.state_between_tries:
                yield from self.send_again()
        elif event.command is self.hold:
            if self.server_state == self.state_hold_back and self.client_state != self.state_errored:
                yield from self.release()
        elif event.command is self.pace:
            yield from self.next_due()
        elif event.command is self.expiry:  # and not one of a try that is over
            yield from self._expire()

    def _expire(self) -> layer.CommandGenerator[None]:
        """The provider has been silent for too long, or we are: this call ends, others beside it go on."""
        waiting = (self.state_wait_for_response_headers, self.state_hold_back)
        ending = (self.state_consume_response_body, self.state_stream_response_body)
        stopped = self.flow.metadata.get("ended_by") == "interrupted"
        why = STOPPED if stopped else _TOO_LONG.get(self.flow.metadata.get("overdue"), "it was cut off")
        if self.hung_up:
            yield from self.stop_reading(why if stopped else "it took too long")
            return
        if self.server_state in (*waiting, *ending) or (stopped and self.is_slow()):
            yield from self.cancel(why)
        elif self.server_state != self.state_between_tries:
            return
        yield from self.handle_protocol_error(
            ResponseProtocolError(self.stream_id, why, ErrorCode.GENERIC_SERVER_ERROR)
        )

    def check_invalid(self, request: bool) -> layer.CommandGenerator[bool]:
        # The first thing that mitmproxy does with a new flow, before it drops the authority.
        if request:
            self.flow.our_stream = ref(self)  # type: ignore[attr-defined]
        if request and self.flow.request.authority and not self.flow.request.is_http2:
            self.flow.metadata["form"] = "absolute"
        self.flow.metadata["ended_by"] = "client" if request else "upstream"
        invalid = yield from super().check_invalid(request)
        self.flow.metadata.pop("ended_by")
        return invalid

    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestData) and (self.flow.response is not None or self._is_too_large(event)):
            return
        yield from super().state_consume_request_body(event)

    def _is_too_large(self, event: RequestData) -> bool:
        """A body that did not say its length has outgrown `flow.metadata["body_limit"]`: it is let go."""
        limit = self.flow.metadata.get("body_limit")
        if limit is not None and len(self.request_body_buf) + len(event.data) > int(limit):
            self.request_body_buf.clear()
            self.flow.metadata |= {"body_limit": "0", "too_large": "yes"}
            return True
        return False

    def state_consume_response_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        self.heard = time.perf_counter()
        yield from super().state_consume_response_body(event)

    def start_request_stream(self) -> layer.CommandGenerator[None]:
        if not (yield from self.make_server_connection()):
            self.client_state = self.state_errored
            return
        request = self.flow.request
        if request.is_http2 and "content-length" not in request.headers and self.context.server.alpn != b"h2":
            request.headers["transfer-encoding"] = "chunked"
        yield SendHttp(RequestHeaders(self.stream_id, request, end_stream=False), self.context.server)
        self.client_state = self.state_stream_request_body

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        by_client = isinstance(event, RequestProtocolError)
        if not hasattr(self, "flow"):
            yield from super().handle_protocol_error(event)
            return
        if self.hung_up or (by_client and self.is_worth_reading()):
            yield from self.without_client(event)
            return
        self.flow.metadata.setdefault("ended_by", "client" if by_client else "upstream")
        abort = getattr(self.flow.response and self.flow.response.stream, "abort", None)
        is_streaming = self.server_state in (self.state_stream_response_body, self.state_stream_slowly)
        if not by_client and abort and is_streaming:
            late = "overdue" in self.flow.metadata
            ours = late or self.flow.metadata["ended_by"] == "interrupted"
            rest = abort(event.message if ours else f"the provider's answer broke off: {event.message}", late)
            if rest is not None:
                yield from self._end_stream(event, [*self.undelivered(), *rest])
                return
        if by_client and self.server_state in (self.state_between_tries, self.state_owing):
            yield from self._gone_meanwhile(event)
            return
        if by_client or self._is_answered():
            yield from super().handle_protocol_error(event)
            return
        self.flow.response = None  # what has come of one that was to be sent whole
        self.flow.error = mitm_flow.Error(event.message)
        if (yield from self.try_again()):
            return
        yield HttpErrorHook(self.flow)
        yield from self._answer_for_upstream(event)

    def _gone_meanwhile(self, event: RequestProtocolError) -> layer.CommandGenerator[None]:
        self.flow.error = mitm_flow.Error(event.message)
        yield HttpErrorHook(self.flow)
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False
        yield DropStream(self.stream_id)

    def _is_answered(self) -> bool:
        """The client has been sent something, or cannot be sent anything any more."""
        answered = (self.state_stream_response_body, self.state_done, self.state_errored, self.state_left)
        return self.client_state == self.state_errored or self.server_state in answered or self.is_slow()

    def _end_stream(self, event: ResponseProtocolError, rest: list[bytes]) -> layer.CommandGenerator[None]:
        """A stream whose upstream went away ends with an error of the client's dialect.

        The message itself ends as it should: many SDKs would not show the error of one that is cut.
        """
        for chunk in rest:
            yield SendHttp(ResponseData(self.stream_id, chunk), self.context.client)
        self.flow.error = mitm_flow.Error(event.message)
        yield HttpErrorHook(self.flow)
        self.server_state = self.state_errored
        self.flow.live = False
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
        yield DropStream(self.stream_id)

    def _answer_for_upstream(self, event: ResponseProtocolError) -> layer.CommandGenerator[None]:
        """Sends the response that the error hook has set, or mitmproxy's own page where it set none."""
        self.server_state = self.state_errored
        self.flow.live = False
        response = self.flow.response
        if response is None:
            yield SendHttp(event, self.context.client)
        else:
            yield SendHttp(ResponseHeaders(self.stream_id, response, False), self.context.client)
            yield SendHttp(ResponseData(self.stream_id, response.raw_content or b""), self.context.client)
            yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
        yield DropStream(self.stream_id)


def _make_stream(self: HttpLayer, stream_id: int) -> layer.CommandGenerator[None]:
    context = self.context.fork()
    self.streams[stream_id] = Stream(context, stream_id)
    yield from self.event_to_child(self.streams[stream_id], events.Start())


def install() -> None:
    """Puts `Stream` in place. An OptionsError names the supported versions if this mitmproxy does not fit."""
    missing = [name for name in _NEEDED if not hasattr(HttpStream, name)]
    if missing or not hasattr(HttpLayer, "make_stream") or not hasattr(http_layer, "SendHttp"):
        where = f"{VERSION} ({mitmproxy.__name__})"
        raise OptionsError(f"llm-intercept needs mitmproxy {SUPPORTED}; this is {where}.")
    HttpLayer.make_stream = _make_stream  # type: ignore[method-assign]
    lasting.install()


async def expire(proxyserver: Any, flow: Flow) -> None:
    """Ends one call whose provider is silent, by an event that finds its way through mitmproxy's layers."""
    stream = getattr(flow, "our_stream", lambda: None)()
    handler = next((h for h in proxyserver.connections.values() if h.client is flow.client_conn), None)
    if stream is None or handler is None:
        return
    wakeup = stream.expiry = commands.RequestWakeup(0)
    for around, inner in pairwise(stream.context.layers):
        if isinstance(around, HttpLayer):
            around.command_sources[wakeup] = inner
    await handler.server_event(events.Wakeup(wakeup))


def cut(proxyserver: Any, client: Any, server: Any) -> None:
    """Ends one upstream connection, established or being established; its calls see it as lost."""
    for handler in list(proxyserver.connections.values()):
        if handler.client is client and (transport := handler.transports.get(server)) and transport.handler:
            transport.handler.cancel("timeout")


def unsent(proxyserver: Any) -> bool:
    """Whether clients have yet to take what was written for them."""
    ends = [handler.transports.get(handler.client) for handler in proxyserver.connections.values()]
    writers = [end.writer for end in ends if end is not None and isinstance(end.writer, asyncio.StreamWriter)]
    return any(writer.transport.get_write_buffer_size() for writer in writers)
