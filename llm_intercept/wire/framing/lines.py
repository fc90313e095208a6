"""One JSON document per line (`application/x-ndjson`): Ollama, batch results."""

from llm_intercept.wire.framing import Frame

LIMIT = 8 * 1024 * 1024


class Lines:
    """The last line counts even without its line end."""

    def __init__(self) -> None:
        self.complete = False
        self._pieces: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> list[Frame]:
        head, end, rest = chunk.rpartition(b"\n")
        if not end:
            self._hold(chunk)
            return []
        whole = b"".join([*self._pieces, head])
        self._pieces = []
        self._held = 0
        self._hold(rest)
        return [("", line) for line in whole.split(b"\n") if line.strip()]

    @property
    def between(self) -> bool:
        return not self._pieces

    def close(self) -> list[Frame]:
        line = b"".join(self._pieces)
        self._pieces = []
        return [("", line)] if line.strip() else []

    def _hold(self, rest: bytes) -> None:
        if rest and self._held <= LIMIT:
            self._pieces.append(rest)
            self._held += len(rest)
