"""The official SDK as an oracle for streams, and the recordings that have Anthropic's messages in them."""

import json
from collections.abc import Iterable
from typing import Any, cast

from anthropic._models import construct_type
from anthropic.lib.streaming._beta_messages import accumulate_event
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from pydantic import TypeAdapter

from llm_intercept.wire.codec import Context, Frame
from llm_intercept.wire.codecs import anthropic
from llm_intercept.wire.framing.choose import choose
from llm_intercept.wire.ir import Event
from tests.wire.recordings import Recording, recordings

EVENTS: TypeAdapter[Any] = TypeAdapter(BetaRawMessageStreamEvent)
MESSAGES: TypeAdapter[BetaMessage] = TypeAdapter(BetaMessage)


def messages() -> list[Recording]:
    """Every recording of this dialect, whatever host it came from."""
    return [r for r in recordings() if _speaks(r) and b'"prompt": ' not in r.request]


def _speaks(recording: Recording) -> bool:
    if recording.surface in ("invoke", "invoke-stream"):
        return "anthropic" in recording.path
    return recording.surface in ("messages", "rawPredict", "streamRawPredict")


def decoded(content_type: str, pieces: list[bytes]) -> list[Event]:
    framing = choose(content_type, pieces[0] if pieces else b"")
    decoder = anthropic.decoder()
    events: list[Event] = []
    for piece in pieces:
        for name, data in framing.feed(piece) if framing else []:
            events += decoder.feed(name, data)
    return [*events, *decoder.close()]


def encoded(events: Iterable[Event], context: Context | None = None) -> list[Frame]:
    encoder = anthropic.encoder(context or Context())
    frames = [frame for event in events for frame in encoder.feed(event)]
    return [*frames, *encoder.close()]


def payloads(frames: Iterable[Frame]) -> list[dict[str, Any]]:
    return [json.loads(data) for _, data in frames]


def grammatical(frames: list[Frame]) -> None:
    """The grammar of the documentation: blocks one after the other, counted from 0, then the end."""
    opened = -1
    inside = False
    kinds = [name for name, _ in frames]
    for (name, _), payload in zip(frames, payloads(frames), strict=True):
        assert payload["type"] == name
        if name == "content_block_start":
            assert not inside
            inside, opened = True, opened + 1
        if name.startswith("content_block"):
            assert inside
            assert payload["index"] == opened
        inside = inside and name != "content_block_stop"
    if kinds[-1] == "error":
        return
    assert not inside
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("message_start") == kinds.count("message_delta") == kinds.count("message_stop") == 1


def accumulated(frames: list[Frame]) -> BetaMessage:
    """What the SDK makes of the stream; every frame has to satisfy its types."""
    grammatical(frames)
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for payload in payloads(frames):
        event = _typed(payload)
        snapshot = accumulate_event(
            event=event,
            current_snapshot=snapshot,
            json_bufs=buffers,
            request_headers=cast(Any, {}),
        )
    return cast(BetaMessage, snapshot)


def _typed(payload: dict[str, Any]) -> Any:
    searched = payload.get("usage", {}).get("server_tool_use")
    if searched and "web_fetch_requests" not in searched:  # older models count less than the types want
        return construct_type(type_=cast(Any, BetaRawMessageStreamEvent), value=payload)
    return EVENTS.validate_python(payload)
