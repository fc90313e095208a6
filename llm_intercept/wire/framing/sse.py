"""Server-sent events, read as the WHATWG standard says: LF, CR or CRLF, comments, several data lines."""

from llm_intercept.wire.framing import Frame

LIMIT = 8 * 1024 * 1024  # of one line, and of one event; an image inside an event fits


class SSE:
    """Events of a byte stream that may be cut anywhere. An event without its blank line is not an event."""

    def __init__(self) -> None:
        self.complete = False
        self._pieces: list[bytes] = []  # the line that has not ended yet
        self._held = 0
        self._after_cr = False
        self._event = b""
        self._data: list[bytes] = []
        self._size = 0
        self._begun = False

    def feed(self, chunk: bytes) -> list[Frame]:
        if (event := self._one_event(chunk)) is not None:
            self._begun = True
            return [event]
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\n" not in chunk and b"\r" not in chunk:
            self._hold(chunk)
            return []
        self._after_cr = chunk.endswith(b"\r")
        lines = (b"".join(self._pieces) + chunk).splitlines() if self._pieces else chunk.splitlines()
        self._pieces.clear()
        self._held = 0
        if not chunk.endswith((b"\n", b"\r")):
            self._hold(lines.pop())
        return self._events(lines)

    @property
    def between(self) -> bool:
        return not (self._pieces or self._data or self._event)

    def close(self) -> list[Frame]:
        return []

    def _one_event(self, chunk: bytes) -> Frame | None:
        """What nearly every chunk of a live stream is: one whole event, with one line of data."""
        if not chunk.endswith(b"\n\n") or b"\r" in chunk:
            return None
        if self._pieces or self._data or self._event or self._after_cr:
            return None
        name = b""
        if chunk.startswith(b"event: "):
            name, _, chunk = chunk.partition(b"\n")
        if not chunk.startswith(b"data: ") or chunk.find(b"\n") != len(chunk) - 2 or len(chunk) == 8:
            return None
        return (name[7:].decode("utf-8", "replace") if name else "", chunk[6:-2])

    def _hold(self, rest: bytes) -> None:
        if rest and self._held <= LIMIT:
            self._pieces.append(rest)
            self._held += len(rest)

    def _events(self, lines: list[bytes]) -> list[Frame]:
        frames: list[Frame] = []
        for line in lines:
            if not line:
                self._dispatch(frames)
            elif line.startswith(b"data:"):
                self._add(line[6:] if line[5:6] == b" " else line[5:])
            else:
                self._field(line)
            self._begun = True
        return frames

    def _dispatch(self, frames: list[Frame]) -> None:
        if self._data:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            if data:
                frames.append((self._event.decode("utf-8", "replace") if self._event else "", data))
            self._data = []
        self._event = b""
        self._size = 0

    def _add(self, value: bytes) -> None:
        self._size += len(value)
        if self._size <= LIMIT:
            self._data.append(value)

    def _field(self, line: bytes) -> None:
        if not self._begun and line.startswith(b"\xef\xbb\xbf"):
            self._begun = True
            self._events([line[3:]])
            return
        name, _, value = line.partition(b":")
        if name == b"event":
            self._event = value.removeprefix(b" ")
        elif name == b"data":
            self._add(b"")
