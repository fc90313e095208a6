"""What the tests of the chat, completions and Ollama codecs share: streams run through, SDK accumulators."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context, Frame
from llm_intercept.wire.fold import fold
from llm_intercept.wire.framing.lines import Lines
from llm_intercept.wire.framing.sse import SSE
from llm_intercept.wire.ir import Answer, Event, Failed, Failure


def frames_of(pieces: Iterable[bytes], framing: Callable[[], Any] = SSE) -> list[Frame]:
    cutter = framing()
    found = [frame for piece in pieces for frame in cutter.feed(piece)]
    return found + cutter.close()


def lines_of(pieces: Iterable[bytes]) -> list[Frame]:
    return frames_of(pieces, Lines)


def decoded(name: str, frames: Iterable[Frame]) -> list[Event]:
    decoder = codecs.get(name).decoder()
    found = [event for frame in frames for event in decoder.feed(*frame)]
    return [*found, *decoder.close()]


def encoded(name: str, events: Iterable[Event], context: Context | None = None) -> list[Frame]:
    encoder = codecs.get(name).encoder(context or Context(include_usage=True))
    found = [frame for event in events for frame in encoder.feed(event)]
    return [*found, *encoder.close()]


def chunks(*payloads: Any, done: bool = True) -> list[Frame]:
    """Frames of a chat stream; a dict without `choices` is the delta of one."""
    frames = [("", orjson.dumps(p if "choices" in p or "error" in p else chunk(p))) for p in payloads]
    return [*frames, ("", b"[DONE]")] if done else frames


def chunk(delta: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def folded(name: str, frames: Iterable[Frame]) -> Answer:
    answer = fold(decoded(name, frames))
    assert isinstance(answer, Answer), answer
    return answer


def failed(events: list[Event]) -> Failure:
    assert isinstance(events[-1], Failed)
    return events[-1].failure


def accumulated(frames: Iterable[Frame]) -> ChatCompletion:
    """What the official SDK makes of our chunks; each has to be one by its own types."""
    state = ChatCompletionStreamState()
    payloads = [data for _, data in frames]
    assert payloads[-1] == b"[DONE]"
    for data in payloads[:-1]:
        payload = json.loads(data)
        if payload.get("service_tier") == "on_demand":
            del payload["service_tier"]  # Groq's own word, kept for its clients
        state.handle_chunk(ChatCompletionChunk.model_validate(payload))
    return state.current_completion_snapshot


def plain(value: Any) -> Any:
    """Without nulls and empty texts, which say nothing."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if item is not None and item != ""}
    return [plain(item) for item in value] if isinstance(value, list) else value
