"""Takes the usage out of an OpenAI-style event stream that the client did not ask usage of.

With `include_usage` a provider adds two things: `"usage":null` to every chunk, and one more chunk
with usage and without choices before `[DONE]`. Both go; every other byte stays. An event is given
on when its blank line has come, which is when a client would act on it.
"""

import re

from llm_intercept.wire.fields import parse_object
from llm_intercept.wire.splice import drop_members

LIMIT = 1024 * 1024  # an event beyond this is not a usage chunk: let it pass as it comes

END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
# What nearly every chunk of a live stream is: one event, the member at its end.
_NULL = b',"usage":null}\n\n'
# The usual places of the member; everything else goes through the scanner.
USUAL = re.compile(rb',"usage":null((?:,"obfuscation":"[^"\\]*")?\}(?:\r\n\r\n|\n\n))\Z')


class UsageFilter:
    def __init__(self) -> None:
        self._rest = b""  # an event that has not ended yet
        self._held: list[bytes] = []  # a usage chunk, hidden if it is the last, and comments after it
        self._passing = False  # in the middle of an over-long event

    def feed(self, chunk: bytes) -> list[bytes]:
        clear = not (self._rest or self._held or self._passing)
        if clear and chunk.endswith(_NULL) and chunk.find(b"\n") == len(chunk) - 2 and b"\r" not in chunk:
            return [chunk[: -len(_NULL)] + b"}\n\n"]
        out: list[bytes] = []
        whole = not self._rest and chunk.endswith(b"\n\n") and chunk.find(b"\n\n") == len(chunk) - 2
        self._rest += chunk  # whatever goes wrong below, nothing is lost
        if whole:  # one event: nearly every chunk
            self._one(chunk, out)
            self._rest = b""
        else:
            self._several(self._rest, out)
        given = b"".join(out)
        return [given] if given else []

    def close(self) -> list[bytes]:
        """The end of the stream: a usage chunk before it was the last one."""
        rest = b"".join([*self._held[1:], self._rest])
        self._held, self._rest = [], b""
        return [rest] if rest else []

    def release(self) -> bytes:
        """Everything held back, as it came."""
        everything = b"".join([*self._held, self._rest])
        self._held, self._rest = [], b""
        return everything

    def _several(self, data: bytes, out: list[bytes]) -> None:
        at = 0
        for end in END.finditer(data):
            self._one(data[at : end.end()], out)
            at = end.end()
        self._rest = data[at:]
        if len(self._rest) > LIMIT:
            self._passing = True
            out.append(self.release())

    def _one(self, event: bytes, out: list[bytes]) -> None:
        if self._passing:
            self._passing = False
            out.append(event)
        else:
            self._event(event, out)

    def _event(self, event: bytes, out: list[bytes]) -> None:
        if self._held:
            if b"data:" not in event:
                self._held.append(event)
                return
            out += self._held[1:] if b"[DONE]" in event else self._held
            self._held = []
        if b'"usage"' not in event:
            out.append(event)
        elif usual := USUAL.search(event):
            out.append(event[: usual.start()] + usual.group(1))
        else:
            self._other(event, out)

    def _other(self, event: bytes, out: list[bytes]) -> None:
        start = event.find(b"{")
        end = event.rfind(b"}") + 1
        if not event.startswith(b"data:") or b"\n" in event[:end]:
            out.append(event)
            return
        payload = parse_object(event[start:end])
        if payload.get("usage") and payload.get("choices") == []:
            self._held = [event]
        elif "usage" in payload and payload["usage"] is None:
            out.append(event[:start] + drop_members(event[start:end], ("usage",)) + event[end:])
        else:
            out.append(event)
