"""Answers that the client is not shown as they come: a part of `upstream.py`, whose streams are made of this.

An answer that a gate refuses by its headers (`flow.metadata["answered"]`) is replaced without its body. The
beginning of a stream with `flow.metadata["hold"]` (seconds at most) waits until `judge` of its pipe has seen
content in it.
"""

from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import ResponseData

from addons.stopping import Stopped


class Held(Stopped):
    hold: commands.RequestWakeup | None = None  # until it is shown, whatever has come of it
    held: list[events.Event]  # what has come of a stream in `state_hold_back`

    def state_wait_for_response_headers(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().state_wait_for_response_headers(event)
        if "answered" in self.flow.metadata and self.server_state == self.state_consume_response_body:
            yield from self._answer_instead()

    def _answer_instead(self) -> layer.CommandGenerator[None]:
        yield from self.cancel("the answer was refused")
        yield from self.send_response()
        self.server_state = self.state_left

    def state_left(self, event: events.Event) -> layer.CommandGenerator[None]:
        """What had come already of an answer that is not wanted."""
        yield from ()

    def start_response_stream(self) -> layer.CommandGenerator[None]:
        seconds = self.flow.metadata.pop("hold", None)
        if seconds is None:
            yield from super().start_response_stream()
            return
        self.held = []
        self.server_state = self.state_hold_back
        self.hold = commands.RequestWakeup(float(seconds))
        yield self.hold

    def state_hold_back(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Nothing of the answer has been shown to the client: what has come of it may still be dropped."""
        self.held.append(event)
        if not isinstance(event, ResponseData):
            yield from self.release()
            return
        assert self.flow.response is not None
        verdict = self.flow.response.stream.judge(event.data)  # type: ignore[union-attr]
        failed_over = verdict == "error" and (yield from self.try_again(cancel=True))
        if verdict and not failed_over:
            yield from self.release()

    def release(self) -> layer.CommandGenerator[None]:
        held, self.held = self.held, []
        if "answered" in self.flow.metadata:
            yield from self._answer_instead()
            return
        yield from super().start_response_stream()
        for event in held:
            yield from self.server_state(event)

    def try_again(self, *, cancel: bool = False) -> layer.CommandGenerator[bool]:
        """Whether another try takes this one's place, so that its end is none of the client's business.

        Not here: `retrying` is what knows of tries. `cancel`: the answer is still coming.
        """
        yield from ()
        return False
