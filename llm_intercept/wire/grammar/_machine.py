"""What all grammars share: reading a frame, saying each sentence once, giving up before anything grows."""

from typing import Any

import orjson

from llm_intercept.wire.dialects import MALFORMED

type Raw = dict[str, Any]

MOST = 20  # sentences; a stream that is wrong in more ways is not looked at any further
LARGEST = 1_000_000  # bytes of an event, and of text that is kept for comparison
SHOWN = 60  # characters of what somebody else wrote, in a sentence
DONE = b"[DONE]"


class Machine:
    """`_read` is the dialect's; it may trip over a member of a wrong type, which is a sentence too."""

    __slots__ = ("_asks_usage", "_deaf", "_new", "_room", "_said")

    def __init__(self, asks_usage: bool = False) -> None:
        self._asks_usage = asks_usage
        self._deaf = False
        self._new: list[str] = []
        self._said: set[str] = set()
        self._room = LARGEST

    def feed(self, event: str, data: bytes) -> list[str]:
        if self._deaf:
            return []
        if len(data) > LARGEST:
            self._deaf = True  # what it said is not known, so nothing that follows can be judged
            return []
        if data == DONE:
            self._done()
        else:
            self._parse(event, data)
        return self._take() if self._new else []

    def close(self) -> list[str]:
        if not self._deaf:
            self._end()
        self._deaf = True
        return self._take()

    def _parse(self, event: str, data: bytes) -> None:
        try:
            payload = orjson.loads(data)
        except ValueError:
            self._say("an event whose data is not JSON")
            return
        if type(payload) is not dict:
            self._say("an event whose data is not a JSON object")
            return
        try:
            self._read(event, payload)
        except MALFORMED:
            what = shown(payload.get("type") or event or "a chunk")
            self._say(f"{what} lacks a member or has one of a wrong type")

    def _take(self) -> list[str]:
        found, self._new = self._new, []
        return found

    def _say(self, sentence: str) -> None:
        if sentence in self._said or self._deaf:
            return
        self._said.add(sentence)
        self._new.append(sentence)
        self._deaf = len(self._said) >= MOST

    def _keep(self, pieces: list[str], piece: str) -> None:
        """Text that is compared later. Beyond the room for it the stream is not judged any more."""
        if type(piece) is not str:
            raise TypeError
        self._room -= len(piece)
        if self._room < 0:
            self._deaf = True
        else:
            pieces.append(piece)

    def _read(self, event: str, payload: Raw) -> None:
        raise NotImplementedError

    def _done(self) -> None:
        self._say("[DONE], which this dialect does not have")

    def _end(self) -> None:
        raise NotImplementedError


def shown(value: object) -> str:
    """A value of the wire in a sentence."""
    return str(value)[:SHOWN]


def is_object(text: str) -> bool:
    """Whether this is JSON, and an object."""
    try:
        return type(orjson.loads(text)) is dict
    except ValueError:
        return False


def is_text(value: object) -> bool:
    return type(value) is str and value != ""


def is_count(value: object) -> bool:
    return type(value) is int and value >= 0
