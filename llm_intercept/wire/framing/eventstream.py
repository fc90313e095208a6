"""AWS event stream (`application/vnd.amazon.eventstream`): length-prefixed frames of headers and payload.

A frame is: total length (4), headers length (4), prelude CRC (4), headers, payload, message CRC (4).
CRCs are trusted: TLS has already checked the bytes, and a tap refuses nothing. Lengths that
cannot be true end the reading. `encode` writes one frame, with both CRCs.
"""

from zlib import crc32

from llm_intercept.wire.framing import Frame

LIMIT = 24 * 1024 * 1024  # the protocol allows 16 MiB of payload
PRELUDE = 12
OVERHEAD = 16

# Sizes of the header value types that have a fixed one: two booleans, byte, short, int, long, time, UUID.
FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


class EventStream:
    def __init__(self) -> None:
        self.complete = False
        self._buffer = bytearray()
        self._broken = False

    def feed(self, chunk: bytes) -> list[Frame]:
        if self._broken:
            return []
        self._buffer += chunk
        frames: list[Frame] = []
        at = 0
        while (size := self._size(at)) and at + size <= len(self._buffer):
            frames.append(_frame(bytes(self._buffer[at : at + size])))
            at += size
        del self._buffer[:at]
        return frames

    @property
    def between(self) -> bool:
        return not self._buffer and not self._broken

    def close(self) -> list[Frame]:
        return []

    def _size(self, at: int) -> int:
        """Length of the frame at `at`; 0 when it is not known yet, or never will be."""
        if len(self._buffer) - at < PRELUDE:
            return 0
        size = int.from_bytes(self._buffer[at : at + 4])
        headers = int.from_bytes(self._buffer[at + 4 : at + 8])
        if size > LIMIT or size < OVERHEAD + headers:
            self._broken = True
            self._buffer.clear()
            return 0
        return size


def _frame(message: bytes) -> Frame:
    end = PRELUDE + int.from_bytes(message[4:8])
    headers = read_headers(message[PRELUDE:end])
    event = headers.get(":event-type") or headers.get(":exception-type") or headers.get(":error-code") or ""
    return event, message[end:-4]


def read_headers(block: bytes) -> dict[str, str]:
    """The string headers; the others are skipped. What is cut short ends the reading."""
    found: dict[str, str] = {}
    at = 0
    while at < len(block):
        name_end = at + 1 + block[at]
        name = block[at + 1 : name_end].decode("utf-8", "replace")
        kind = block[name_end] if name_end < len(block) else -1
        at = name_end + 1
        if kind in (6, 7):
            size = int.from_bytes(block[at : at + 2])
            if kind == 7:
                found[name] = block[at + 2 : at + 2 + size].decode("utf-8", "replace")
            at += 2 + size
        elif kind in FIXED:
            at += FIXED[kind]
        else:
            break
    return found


def encode(event: str, payload: bytes, exception: bool | None = None) -> bytes:
    """One frame with a JSON payload. Whether it is an exception its name says, unless the caller does."""
    failed = event.endswith("Exception") if exception is None else exception
    message = "exception" if failed else "event"
    headers = _string(f":{message}-type", event) + _JSON + _string(":message-type", message)
    prelude = (OVERHEAD + len(headers) + len(payload)).to_bytes(4) + len(headers).to_bytes(4)
    head = prelude + crc32(prelude).to_bytes(4) + headers + payload
    return head + crc32(head).to_bytes(4)


def _string(name: str, value: str) -> bytes:
    known, said = name.encode(), value.encode()
    return bytes((len(known),)) + known + b"\x07" + len(said).to_bytes(2) + said


_JSON = _string(":content-type", "application/json")
