"""Meters the frames of a WebSocket: OpenAI's Responses (Codex's default) and Realtime.

The client asks with `response.create`, or the server begins by itself (Realtime with voice
detection); either way one response is one `Reading`, given out with its final event.
"""

from collections import deque

from llm_intercept.wire import dialects
from llm_intercept.wire.fields import mapping, parse_object, text
from llm_intercept.wire.reading import Payload, Reading

# A connection may carry many responses, but only so many at once.
OPEN_LIMIT = 64
ENDS = ("completed", "incomplete", "failed", "done", "cancelled", "canceled")
FINAL = frozenset(f"response.{end}" for end in ENDS)


class FrameMeter:
    def __init__(self, dialect: str) -> None:
        self._dialect = dialects.get(dialect if dialect in dialects.names() else "openai_responses")
        self._asked: deque[Reading] = deque(maxlen=OPEN_LIMIT)  # requests that no response has begun for
        self._open: dict[str, Reading] = {}

    @property
    def busy(self) -> bool:
        """A response has been asked for or has begun, and has not ended."""
        return bool(self._asked or self._open)

    def feed(self, from_client: bool, frame: bytes | str, now: float) -> list[Reading]:
        """Takes one text frame; gives the responses that it ended, usually none."""
        data = frame.encode("utf-8", "replace") if isinstance(frame, str) else frame
        if from_client:
            self._ask(data, now)
            return []
        payload = parse_object(data)
        kind = payload.get("type")
        if not isinstance(kind, str):
            return []
        if kind == "response.created":
            self._begin(payload, now)
        if kind == "error":
            return self._fail(payload, now)
        return self._continue(kind, payload, now)

    def close(self) -> list[Reading]:
        """The responses that the end of the connection cut off; each has what was streamed of it."""
        left = list(self._open.values())
        self._open.clear()
        self._asked.clear()
        for reading in left:
            reading.settle()
        return left

    def _ask(self, data: bytes, now: float) -> None:
        if b"response.create" not in data:  # most frames are audio: not worth parsing
            return
        payload = parse_object(data)
        if payload.get("type") == "response.create":
            nested = mapping(payload.get("response"))
            model = text(payload.get("model") or nested.get("model"), 200)
            self._asked.append(Reading(started=now, model_requested=model))

    def _begin(self, payload: Payload, now: float) -> None:
        reading = self._asked.popleft() if self._asked else Reading(started=now)
        response = mapping(payload.get("response"))
        if len(self._open) >= OPEN_LIMIT:
            self._open.pop(next(iter(self._open)))
        self._open[text(response.get("id"), 200)] = reading

    def _continue(self, kind: str, payload: Payload, now: float) -> list[Reading]:
        key = text(payload.get("response_id") or mapping(payload.get("response")).get("id"), 200)
        key = key if key in self._open else next(reversed(self._open), "")
        reading = self._open.get(key)
        if reading is None:
            return []
        try:
            self._dialect.read_event(reading, "", payload)
        except dialects.MALFORMED:
            pass
        if reading.content and not reading.first_token:
            reading.first_token = now
        return [_finished(self._open.pop(key), now)] if kind in FINAL else []

    def _fail(self, payload: Payload, now: float) -> list[Reading]:
        """An error ends the response under way, or answers the request that was to begin one."""
        if self._open:
            reading = self._open.popitem()[1]
        elif self._asked:
            reading = self._asked.popleft()
        else:
            return []
        self._dialect.read_event(reading, "", payload)
        return [_finished(reading, now)]


def _finished(reading: Reading, now: float) -> Reading:
    reading.ended = now
    reading.settle()
    return reading
