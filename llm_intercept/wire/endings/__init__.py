"""Streams that end before their model does, with an end of their own dialect: its length was used up.

An ending follows a stream from its first frame and knows what is open in it; `written` closes that and
says what the dialect says at its limit of tokens. One module for each dialect; none imports another.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from llm_intercept.wire.endings import (
    anthropic,
    bedrock_converse,
    cohere,
    gemini,
    ollama,
    openai_chat,
    openai_responses,
)
from llm_intercept.wire.families import chunks
from llm_intercept.wire.framing import Frame
from llm_intercept.wire.framing.choose import LINES
from llm_intercept.wire.framing.write import FrameWriter
from llm_intercept.wire.usage import Usage

_AMAZON = "application/vnd.amazon.eventstream"


class Ending(Protocol):
    """`asks_usage`: whether the client of this stream has asked for usage, where it has to."""

    def see(self, event: str, payload: Mapping[str, Any]) -> None: ...

    def frames(self, usage: Usage, asks_usage: bool) -> list[Frame]: ...


_KINDS: Mapping[str, Callable[[], Ending]] = {
    "openai_chat": openai_chat.Ending,
    "openai_completions": lambda: openai_chat.Ending("text"),
    "openai_responses": openai_responses.Ending,
    "anthropic": anthropic.Ending,
    "gemini": gemini.Ending,
    "bedrock_converse": bedrock_converse.Ending,
    "bedrock_invoke": anthropic.Ending,
    "ollama": ollama.Ending,
    "cohere": cohere.Ending,
}


class Finish:
    """One stream of a dialect, in its framing."""

    def __init__(self, ending: Ending, framing: str, asks_usage: bool) -> None:
        self._ending = ending
        self._framing = framing
        self._asks_usage = asks_usage

    def see(self, event: str, payload: Mapping[str, Any]) -> None:
        inside = chunks.opened(dict(payload)) if self._framing == "chunks" else payload
        self._ending.see(event, inside)

    def written(self, usage: Usage) -> bytes | None:
        """After a whole frame; None where nothing is known of the stream."""
        frames = self._ending.frames(usage, self._asks_usage)
        if not frames:
            return None
        if self._framing == "jsonarray":
            return b"".join(b",\r\n" + data for _, data in frames) + b"\r\n]"
        return FrameWriter(self._framing).write(frames)


def finish(dialect: str, content_type: str, *, asks_usage: bool = False) -> Finish | None:
    """None for what has no end that could be written."""
    make, framing = _KINDS.get(dialect), _framing(dialect, content_type)
    return Finish(make(), framing, asks_usage) if make is not None and framing else None


def _framing(dialect: str, content_type: str) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return "sse-crlf" if dialect == "gemini" else "sse"
    if kind == _AMAZON:
        return {"bedrock_converse": "eventstream", "bedrock_invoke": "chunks"}.get(dialect, "")
    if kind in LINES and dialect == "ollama":
        return "lines"
    return "jsonarray" if dialect == "gemini" and kind == "application/json" else ""
