"""Streams that end at a limit: a part of `upstream.py`, whose streams are made of this.

A stream with `flow.metadata["metered"]` has a `Metered` as its value, which says after each piece whether it
has written the stream's end. Of any other nothing is different.
"""

from mitmproxy.proxy import events, layer
from mitmproxy.proxy.layers.http import ErrorCode, RequestProtocolError, ResponseProtocolError, SendHttp

from addons.pacing import Paced
from llm_intercept.wire.metered import STOPPED


class Stopped(Paced):
    def start_response_stream(self) -> layer.CommandGenerator[None]:
        yield from super().start_response_stream()
        if "metered" in self.flow.metadata and self.server_state == self.state_stream_response_body:
            # To all others it is that state.
            self.server_state = self.state_stream_response_body = self._metered  # type: ignore[method-assign]

    def _metered(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().state_stream_response_body(event)
        if self.server_state == self.state_done:
            return
        if self.is_stopped():
            self._handle_event = self._deaf  # type: ignore[method-assign]
            yield from self.send_response(already_streamed=True)
            yield from self.cancel(STOPPED)
        elif self.is_cut():
            self.flow.metadata["ended_by"] = "limit"
            yield from self.cancel(STOPPED)
            yield from self.handle_protocol_error(
                ResponseProtocolError(self.stream_id, STOPPED, ErrorCode.GENERIC_SERVER_ERROR)
            )

    def is_stopped(self) -> bool:
        return bool(getattr(self.flow.response and self.flow.response.stream, "stopped", False))

    def is_cut(self) -> bool:
        return bool(getattr(self.flow.response and self.flow.response.stream, "cut", False))

    def _deaf(self, event: events.Event) -> layer.CommandGenerator[None]:
        """What the provider had sent before it was told."""
        yield from ()

    def cancel(self, why: str) -> layer.CommandGenerator[None]:
        yield SendHttp(RequestProtocolError(self.stream_id, why, ErrorCode.CANCEL), self.context.server)
