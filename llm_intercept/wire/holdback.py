"""The beginning of a stream, looked at before the client sees any of it.

Some providers answer 200 and then send an error as the first event. While another target could still
answer, that is a try that failed, not the answer.
"""

from typing import Literal

from llm_intercept.wire.reading import Reading
from llm_intercept.wire.tap import Tap

type Verdict = Literal["", "content", "error"]


class HoldBack:
    """Is shown the first chunks, each once; "" means: not known yet. Total, as its tap is."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    @property
    def reading(self) -> Reading:
        return self._tap.reading

    def __call__(self, chunk: bytes) -> Verdict:
        try:
            self._tap.feed(chunk, 1.0)
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
            return "content"  # unreadable: it passes as it is
        reading = self.reading
        if reading.error_type:
            return "error"
        return "content" if reading.first_token or reading.complete or reading.finish_reason else ""
