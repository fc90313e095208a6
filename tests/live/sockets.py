"""The server's side of a WebSocket, scripted like everything else of `loopback`."""

import json
from typing import Any

import wsproto
import wsproto.events
import wsproto.utilities

from tests.live.loopback import Answer, Request


class Socket:
    """`Socket.accept` answers the upgrade; then messages go to and fro as JSON or text."""

    def __init__(self, request: Request, answer: Answer) -> None:
        self._request, self._answer = request, answer
        self._protocol = wsproto.Connection(wsproto.ConnectionType.SERVER)
        self._messages: list[str | bytes] = []
        self._partial: list[Any] = []
        self.closed = False

    @classmethod
    async def accept(cls, request: Request, answer: Answer, *fields: tuple[str, str]) -> "Socket":
        answer.reusable = False
        key = wsproto.utilities.generate_accept_token(request.header("sec-websocket-key").encode())
        lines = ["HTTP/1.1 101 Switching Protocols", "upgrade: websocket", "connection: Upgrade"]
        lines += [f"sec-websocket-accept: {key.decode()}", *(f"{name}: {value}" for name, value in fields)]
        answer.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await answer.writer.drain()
        return cls(request, answer)

    async def send(self, *messages: object) -> None:
        """Each as a text message; what is no text yet, as JSON."""
        for message in messages:
            text = message if isinstance(message, str) else json.dumps(message)
            await self._write(wsproto.events.TextMessage(text))

    async def send_bytes(self, data: bytes) -> None:
        await self._write(wsproto.events.BytesMessage(data))

    async def _write(self, event: wsproto.events.Event) -> None:
        self._answer.writer.write(self._protocol.send(event))
        await self._answer.writer.drain()

    async def receive(self) -> str | bytes | None:
        """The next message; None once the other side is gone."""
        while not self._messages and not self.closed:
            data = await self._request.reader.read(65536)
            self._protocol.receive_data(data or None)
            for event in self._protocol.events():
                await self._take(event)
        return self._messages.pop(0) if self._messages else None

    async def _take(self, event: wsproto.events.Event) -> None:
        match event:
            case wsproto.events.Message():
                self._partial.append(event.data)
                if event.message_finished:
                    whole = self._partial
                    self._messages.append("".join(whole) if isinstance(whole[0], str) else b"".join(whole))
                    self._partial = []
            case wsproto.events.Ping():
                await self._write(event.response())
            case wsproto.events.CloseConnection():
                self.closed = True

    async def close(self, code: int = 1000) -> None:
        await self._write(wsproto.events.CloseConnection(code))

    def cut(self) -> None:
        self._answer.cut()
