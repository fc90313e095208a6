"""Clients that hang up: a part of `upstream.py`, whose streams are made of this.

A call with `flow.metadata["drain"]` ("seconds bytes", at most so much of either) whose client goes away once
its request is at the provider is read on to its end without a client: the provider will charge for all of
it, and says at the end how much that is. Other calls are cut, as mitmproxy does it.
"""

from mitmproxy.flow import Error, Flow
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import (
    DropStream,
    HttpErrorHook,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseProtocolError,
)

from addons import lasting
from addons.holding import Held
from llm_intercept.wire.metered import STOPPED

READ = "the answer was read to its end"
TOO_MUCH = "there was too much more of it"


class Drained(Held):
    hung_up = ""  # how the client went away; what is still to come is for nobody
    expiry: commands.RequestWakeup | None = None  # when `_expire` is due
    _is_sent = False
    _room = 0  # bytes that may still be read

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        made = yield from super().make_server_connection()
        gone = any(isinstance(event, RequestProtocolError) for event in self._paused_event_queue)
        if made and not gone and "drain" in self.flow.metadata:
            self._is_sent = True
            lasting.keep(self.context.client, self.flow)
        return made

    def is_worth_reading(self) -> bool:
        """Whether what the provider has yet to say is wanted without its client."""
        reading = (
            *(self.state_wait_for_response_headers, self.state_consume_response_body),
            *(self.state_stream_response_body, self.state_stream_slowly, self.state_hold_back),
        )
        asked = self._is_sent and self.client_state == self.state_done
        return asked and not self.hung_up and self.server_state in reading

    def without_client(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        """The client has gone; or, after that, the provider."""
        if isinstance(event, ResponseProtocolError):
            yield from self._end(f"its answer broke off: {event.message}")
        elif not self.hung_up:
            yield from self._hang_up(event)

    def _hang_up(self, event: RequestProtocolError) -> layer.CommandGenerator[None]:
        seconds, size = self.flow.metadata["drain"].split()
        self.hung_up, self._room = event.message, int(size)
        self.client_state = self.state_errored
        self.flow.metadata.pop("may_retry", None)
        held = self.held if self.server_state == self.state_hold_back else []
        if self.server_state not in (self.state_wait_for_response_headers, self.state_consume_response_body):
            self.server_state = self.state_drain
        self.expiry = commands.RequestWakeup(float(seconds))
        yield self.expiry
        for each in held:
            yield from self.server_state(each)

    def check_killed(self, emit_error_hook: bool) -> layer.CommandGenerator[bool]:
        # The client's end waits behind the hook that was called: it is no reason to stop here.
        if self.is_worth_reading() and self.flow.error is None:
            return False
        return (yield from super().check_killed(emit_error_hook))

    def start_response_stream(self) -> layer.CommandGenerator[None]:
        if self.hung_up:
            self.server_state = self.state_drain
        else:
            yield from super().start_response_stream()

    def state_consume_response_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self.hung_up and isinstance(event, ResponseData) and self._is_too_much(event):
            yield from self.stop_reading(TOO_MUCH)
        else:
            yield from super().state_consume_response_body(event)

    def send_response(self, already_streamed: bool = False) -> layer.CommandGenerator[None]:
        if self.hung_up:
            yield from self._end(READ)
        else:
            yield from super().send_response(already_streamed)

    def state_drain(self, event: events.Event) -> layer.CommandGenerator[None]:
        """A stream that nobody takes: our own reading of it goes on."""
        assert self.flow.response is not None
        stream = self.flow.response.stream
        is_data = isinstance(event, ResponseData)
        if callable(stream) and (is_data or isinstance(event, ResponseEndOfMessage)):
            stream(event.data if isinstance(event, ResponseData) else b"")
        if isinstance(event, ResponseData) and self._is_too_much(event):
            yield from self.stop_reading(TOO_MUCH)
        elif self.is_stopped() or self.is_cut():
            yield from self.stop_reading(STOPPED)
        elif isinstance(event, ResponseEndOfMessage):
            yield from self._end(READ)

    def _is_too_much(self, event: ResponseData) -> bool:
        self._room -= len(event.data)
        return self._room < 0

    def stop_reading(self, why: str) -> layer.CommandGenerator[None]:
        """It takes too long, or is too long: the provider is hung up on after all."""
        yield from self.cancel(why)
        yield from self._end(f"its answer was not read to the end: {why}")

    def _end(self, how: str) -> layer.CommandGenerator[None]:
        if self.server_state == self.state_errored:
            return
        response = self.flow.response
        if response is not None and not response.stream and response.raw_content is None:
            response.data.content = bytes(self.response_body_buf)
        self.server_state = self.state_errored
        self.flow.error = Error(f"{self.hung_up.rstrip('.')}; {how}")
        self.flow.metadata["ended_by"] = "client"
        yield HttpErrorHook(self.flow)
        self.flow.live = False
        yield DropStream(self.stream_id)


def has_hung_up(flow: Flow) -> bool:
    """Whether the client of a call that waits for a hook has gone away meanwhile."""
    stream = getattr(flow, "our_stream", lambda: None)()
    waiting = stream._paused_event_queue if stream is not None else ()
    return any(isinstance(event, RequestProtocolError) for event in waiting)
