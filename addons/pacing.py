"""Slow tokens: a part of `upstream.py`, whose streams are made of this.

A stream with `flow.metadata["pace"]` (seconds) goes to the client piece by piece, with that pause after each.
Of any other nothing is different: the state that does it is entered at the stream's beginning or never.
"""

from collections import deque

from mitmproxy.flow import Error
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import (
    ErrorCode,
    HttpStream,
    RequestProtocolError,
    ResponseData,
    ResponseProtocolError,
    ResponseTrailers,
    SendHttp,
)


class Paced(HttpStream):
    due: deque[bytes]  # what the client has not been given yet
    pace: commands.RequestWakeup | None = None  # until the next of it

    def start_response_stream(self) -> layer.CommandGenerator[None]:
        yield from super().start_response_stream()
        if "pace" in self.flow.metadata:
            self.due, self.server_state = deque(), self.state_stream_slowly

    def state_stream_slowly(self, event: events.Event) -> layer.CommandGenerator[None]:
        response = self.flow.response
        assert response is not None
        assert callable(response.stream)
        if isinstance(event, ResponseTrailers):
            response.trailers = event.trailers
            return
        is_end = not isinstance(event, ResponseData)
        self.due.extend(response.stream(b"" if is_end else event.data))
        if is_end:
            self.server_state = self.state_owing
        if self.pace is None:
            yield from self.next_due()

    def state_owing(self, event: events.Event) -> layer.CommandGenerator[None]:
        """The provider has said all it had to say; the client has not been given all of it."""
        yield from ()

    def is_slow(self) -> bool:
        return self.server_state in (self.state_stream_slowly, self.state_owing)

    def undelivered(self) -> list[bytes]:
        return [*self.due] if self.is_slow() else []

    def next_due(self) -> layer.CommandGenerator[None]:
        """A piece, and a pause if it is not the last; then the end."""
        self.pace = None
        if self.client_state == self.state_errored or not self.is_slow():
            return
        if self.due:
            yield SendHttp(ResponseData(self.stream_id, self.due.popleft()), self.context.client)
            if self.due or (self.server_state == self.state_stream_slowly and not self._is_cut()):
                self.pace = commands.RequestWakeup(float(self.flow.metadata["pace"]))
                yield self.pace
                return
        if self._is_cut():
            yield from self._break_off()
        elif self.server_state == self.state_owing:
            yield from self.send_response(already_streamed=True)

    def _is_cut(self) -> bool:
        return self.flow.error is not None and self.flow.error.msg == Error.KILLED_MESSAGE

    def _break_off(self) -> layer.CommandGenerator[None]:
        """It was to be cut off here."""
        why = "cut off on purpose"
        if self.server_state == self.state_stream_slowly:
            error = RequestProtocolError(self.stream_id, why, ErrorCode.CANCEL)
            yield SendHttp(error, self.context.server)
        yield from self.handle_protocol_error(
            ResponseProtocolError(self.stream_id, why, ErrorCode.GENERIC_SERVER_ERROR)
        )
