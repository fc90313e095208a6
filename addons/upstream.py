"""mitmproxy's HTTP layer, changed where hooks do not reach: the only file that touches mitmproxy's internals.

All changes are in a subclass of `HttpStream` (slow tokens in pacing.py, hanging up in hangup.py):

1. A request in absolute form is marked as such before mitmproxy rewrites it to origin form
   (`flow.metadata["form"]`): that is how a forward-proxy call is told from a base-URL call.
2. Who ended an exchange early is noted (`flow.metadata["ended_by"]`: client or upstream).
3. When the upstream fails before the client was sent anything, an `error` hook may set `flow.response`;
   it is sent in place of mitmproxy's own HTML page, so that clients get their provider's error format.
4. A request body that nobody will read (it was answered in `requestheaders`) is dropped as it arrives.
5. What an HTTP/2 client streams without a length goes to an HTTP/1 provider in chunks, not without framing.
6. One call can be ended from outside (`expire`), which leaves others on a shared connection alone.
7. An answer that a gate refuses by its headers (`flow.metadata["answered"]`) is replaced without its body.
8. A try that failed (`flow.metadata["may_retry"]`) is shown to the hook `try_failed`; if it sets
   `flow.metadata["again"]` (seconds), the client is told nothing, and after that time the hook `try_again`
   writes the request anew, to wherever it likes.
9. The beginning of a stream (`flow.metadata["hold"]`, seconds at most) waits until `judge` of its pipe has
   seen content in it; an error in its place is a try that failed.
"""

import asyncio
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from weakref import ref

import mitmproxy
from mitmproxy import flow as mitm_flow
from mitmproxy.exceptions import OptionsError
from mitmproxy.flow import Flow
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers import http as http_layer
from mitmproxy.proxy.layers.http import (
    DropStream,
    ErrorCode,
    HttpErrorHook,
    HttpLayer,
    HttpResponseHeadersHook,
    HttpStream,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
    SendHttp,
)
from mitmproxy.proxy.layers.http._http1 import Http1Client
from mitmproxy.proxy.layers.http._http2 import Http2Client
from mitmproxy.version import VERSION

from addons import hangup, lasting

_ANSWERS = (ResponseHeaders, ResponseData, ResponseTrailers, ResponseEndOfMessage, ResponseProtocolError)
SUPPORTED = "12.2.3 or a later 12.x"
_NEEDED = (
    *("check_invalid", "handle_protocol_error", "make_server_connection", "send_response"),
    *("start_request_stream", "start_response_stream", "state_consume_request_body"),
    *("state_consume_response_body", "state_done", "state_errored", "state_stream_request_body"),
    *("state_stream_response_body", "state_wait_for_response_headers"),
)


@dataclass
class TryFailedHook(commands.StartHook):
    """`flow.error` or `flow.response` says how; `flow.metadata["again"]` asks for another try."""

    flow: HTTPFlow


@dataclass
class TryAgainHook(commands.StartHook):
    """The next try is about to be sent: `flow.request` is still the last one's."""

    flow: HTTPFlow


class Stream(hangup.Drained):
    heard = 0.0  # when something came of an answer that is held whole (perf_counter)
    _pause: commands.RequestWakeup | None = None  # before the next try
    _hold: commands.RequestWakeup | None = None

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        # Not a generator of its own: this is called for every chunk.
        return self._woken(event) if isinstance(event, events.Wakeup) else super()._handle_event(event)

    def _woken(self, event: events.Wakeup) -> layer.CommandGenerator[None]:
        if event.command is self._pause:
            if self.server_state == self.state_between_tries:
                yield from self._send_again()
        elif event.command is self._hold:
            if self.server_state == self.state_hold_back and self.client_state != self.state_errored:
                yield from self._release()
        elif event.command is self.pace:
            yield from self.next_due()
        elif event.command is self.expiry:  # and not one of a try that is over
            yield from self._expire()

    def _expire(self) -> layer.CommandGenerator[None]:
        """The provider has been silent for too long, or we are: this call ends, others beside it go on."""
        waiting = (self.state_wait_for_response_headers, self.state_hold_back)
        ending = (self.state_consume_response_body, self.state_stream_response_body)
        stopped = self.flow.metadata.get("ended_by") == "interrupted"
        why = "llm-intercept was stopped" if stopped else "the provider was silent for too long"
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

    def state_wait_for_response_headers(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().state_wait_for_response_headers(event)
        if "answered" in self.flow.metadata and self.server_state == self.state_consume_response_body:
            yield from self._answer_instead()

    def _answer_instead(self) -> layer.CommandGenerator[None]:
        yield from self.cancel("the answer was refused")
        yield from super().send_response()
        self.server_state = self.state_left

    def state_left(self, event: events.Event) -> layer.CommandGenerator[None]:
        """What had come already of an answer that is not wanted."""
        yield from ()

    def state_consume_response_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        self.heard = time.perf_counter()
        yield from super().state_consume_response_body(event)

    def start_response_stream(self) -> layer.CommandGenerator[None]:
        seconds = self.flow.metadata.pop("hold", None)
        if seconds is None:
            yield from super().start_response_stream()
            return
        self._held = []
        self.server_state = self.state_hold_back
        self._hold = commands.RequestWakeup(float(seconds))
        yield self._hold

    def state_hold_back(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Nothing of the answer has been shown to the client: what has come of it may still be dropped."""
        self._held.append(event)
        if not isinstance(event, ResponseData):
            yield from self._release()
            return
        assert self.flow.response is not None
        verdict = self.flow.response.stream.judge(event.data)  # type: ignore[union-attr]
        failed_over = verdict == "error" and (yield from self._try_again(cancel=True))
        if verdict and not failed_over:
            yield from self._release()

    def _release(self) -> layer.CommandGenerator[None]:
        held, self._held = self._held, []
        if "answered" in self.flow.metadata:
            yield from self._answer_instead()
            return
        yield from super().start_response_stream()
        for event in held:
            yield from self.server_state(event)

    def send_response(self, already_streamed: bool = False) -> layer.CommandGenerator[None]:
        assert self.flow.response is not None
        if not already_streamed and self.flow.response.status_code >= 400 and (yield from self._try_again()):
            return
        yield from super().send_response(already_streamed)

    def _try_again(self, *, cancel: bool = False) -> layer.CommandGenerator[bool]:
        """Whether there is another try, so that this one's end is none of the client's business."""
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
        self.server_state = self.state_between_tries
        if float(wait) > 0:
            self._pause = commands.RequestWakeup(float(wait))
            yield self._pause
        else:
            yield from self._send_again()
        return True

    def state_between_tries(self, event: events.Event) -> layer.CommandGenerator[None]:
        """What the last one still had to say."""
        yield from ()

    def _send_again(self) -> layer.CommandGenerator[None]:
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
            rest = abort(f"the provider's answer broke off: {event.message}")
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
        if (yield from self._try_again()):
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


def has_hung_up(flow: Flow) -> bool:
    """Whether the client of a call that waits for a hook has gone away meanwhile."""
    stream = getattr(flow, "our_stream", lambda: None)()
    waiting = stream._paused_event_queue if stream is not None else ()
    return any(isinstance(event, RequestProtocolError) for event in waiting)


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
