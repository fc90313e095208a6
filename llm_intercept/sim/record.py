"""What reached the simulator, byte for byte: the last requests, readable at `GET /__sim/requests`.

Header names keep their case and order, bodies are hashed whole and kept up to a cap. Credentials are
not hidden: the simulator is where tests look which key arrived.
"""

import base64
import hashlib
import tempfile
from collections import deque
from dataclasses import dataclass, field
from typing import IO

from aiohttp import web

from llm_intercept.sim.prompt import Json

_SPOOL = 4_000_000  # larger bodies go to a temporary file


@dataclass(slots=True)
class Received:
    """One request as it arrived; `status` is what it was answered with (0 = not yet, or never)."""

    number: int
    method: str
    target: str  # path and query (or absolute form) as sent
    headers: list[tuple[str, str]]
    size: int = 0
    sha256: str = ""
    body: bytes = b""  # the first bytes, as sent (still content-encoded)
    status: int = 0
    messages: list[str] = field(default_factory=list)  # of a WebSocket, from the client
    rule: str | None = None  # what the scenario did to it

    def as_json(self) -> Json:
        return {
            "number": self.number,
            "method": self.method,
            "path": self.target,
            "headers": self.headers,
            "body_size": self.size,
            "body_sha256": self.sha256,
            "body_base64": base64.b64encode(self.body).decode(),
            "body_truncated": self.size > len(self.body),
            "status": self.status,
            "messages": self.messages,
            "rule": self.rule,
        }


class Recorder:
    """Keeps the last `size` requests with at most `cap` bytes of each body."""

    def __init__(self, size: int, cap: int) -> None:
        self._cap = cap
        self._kept: deque[Received] = deque(maxlen=size)
        self._number = 0

    @property
    def requests(self) -> list[Received]:
        """Oldest first."""
        return list(self._kept)

    def clear(self) -> None:
        self._kept.clear()

    async def receive(self, request: web.Request) -> tuple[Received, IO[bytes]]:
        """Reads the body to its end and returns it as a file at its beginning, with its record."""
        self._number += 1
        headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in request.raw_headers]
        received = Received(self._number, request.method, request.raw_path, headers)
        self._kept.append(received)
        digest, kept = hashlib.sha256(), bytearray()
        body = tempfile.SpooledTemporaryFile(max_size=_SPOOL)  # noqa: SIM115 - the caller closes it
        async for chunk in request.content.iter_any():
            digest.update(chunk)
            body.write(chunk)
            kept += chunk[: max(0, self._cap - len(kept))]
            received.size += len(chunk)
        body.seek(0)
        received.sha256, received.body = digest.hexdigest(), bytes(kept)
        return received, body
