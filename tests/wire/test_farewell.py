"""Streams that their provider leaves unfinished: what we add is an error of the stream's own dialect.

Judged by the grammars and by the readers of the official SDKs, after every frame of recorded streams.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import anthropic
import botocore.session
import httpx2
import openai
import pytest
from botocore.exceptions import EventStreamError
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from google.genai import errors as google

from llm_intercept.wire import grammar
from llm_intercept.wire.codec import Frame
from llm_intercept.wire.farewell import farewell
from llm_intercept.wire.framing import eventstream
from llm_intercept.wire.framing.choose import choose
from llm_intercept.wire.framing.write import CONTENT_TYPES, FrameWriter
from llm_intercept.wire.pipe import Pipe
from llm_intercept.wire.tap import Tap
from tests.live import wire
from tests.wire.codecs import gemini_sdk
from tests.wire.grammar.checked import violations
from tests.wire.recordings import Recording, successes

MESSAGE = "the provider's answer broke off: connection lost"
MOST = 25  # cuts of one recording
FRAMINGS = {"jsonarray": "application/json; charset=UTF-8"}


def framed(content_type: str, body: bytes) -> list[Frame]:
    framing = choose(content_type, body)
    assert framing is not None
    return [*framing.feed(body), *framing.close()]


def written(kind: str, frames: list[Frame]) -> list[bytes]:
    """Each frame as a chunk of its own."""
    writer = FrameWriter(kind)
    return [writer.write([frame]) for frame in frames]


def finished(dialect: str, operation: str, content_type: str, chunks: list[bytes]) -> tuple[bytes, bool]:
    """What a client has got after all, and whether that has an error in it."""
    pipe = Pipe(Tap(dialect, operation, content_type), lambda: 1.0, framed_as=(dialect, content_type))
    for chunk in chunks:
        assert pipe(chunk) == [chunk]
    rest = pipe.abort(MESSAGE)
    assert rest is not None
    assert pipe.size == len(b"".join([*chunks, *rest]))
    return b"".join([*chunks, *rest]), MESSAGE.encode() in b"".join(rest)


def read(dialect: str, operation: str, content_type: str, body: bytes) -> tuple[str, str]:
    tap = Tap(dialect, operation, content_type)
    tap.feed(body, 1.0)
    reading = tap.close()
    return reading.error_type, reading.error_message


WIRED = {
    "anthropic": "sse",
    "openai_chat": "sse",
    "openai_responses": "sse",
    "gemini": "sse-crlf",
    "bedrock_converse": "eventstream",
    "ollama": "lines",
}
ENOUGH = {"the stream ended without metadata"}  # Bedrock's last word is about money
RECORDED = [
    r for r in successes() if r.stream and r.dialect in grammar.names() and r.surface not in ("completions",)
]


@pytest.mark.parametrize("recording", RECORDED, ids=lambda r: r.name)
def test_a_recorded_stream_that_is_cut_after_a_frame(recording: Recording) -> None:
    dialect, kind = recording.dialect, WIRED[recording.dialect]
    frames = framed(recording.content_type, recording.body)
    if frames and frames[-1][1] == b"[DONE]":
        frames.pop()
    known = {said for _, said in violations(dialect, frames)}
    content_type = CONTENT_TYPES[kind]
    for size in {round(len(frames) * n / MOST) for n in range(MOST + 1)}:
        chunks = written(kind, frames[:size])
        body, failed = finished(dialect, recording.surface, content_type, chunks)
        again = framed(content_type, body)
        assert again[:size] == frames[:size]
        said = {said for _, said in violations(dialect, again)}
        assert said <= known | ENOUGH, (size, said - known)
        if not failed:  # all content had been there
            assert size
            continue
        error_type, message = read(dialect, recording.surface, content_type, body)
        assert error_type
        assert MESSAGE in message


def chat() -> list[bytes]:
    return wire.chat_stream()[:-1]


def responses() -> list[bytes]:
    answer = {"id": "resp_1", "object": "response", "status": "in_progress", "model": "m", "output": []}
    begun = {"type": "response.created", "response": answer, "sequence_number": 0}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    added = {"type": "response.output_item.added", "output_index": 0, "item": item, "sequence_number": 1}
    return [wire.event(begun, "response.created"), wire.event(added, "response.output_item.added")]


def canned(content_type: str, body: bytes) -> httpx2.Client:
    answer = httpx2.Response(200, headers={"content-type": content_type}, content=body)
    return httpx2.Client(transport=httpx2.MockTransport(lambda request: answer))


def openai_reader(path: str, body: bytes) -> None:
    with canned("text/event-stream", body) as http:
        client = openai.OpenAI(api_key="none", max_retries=0, http_client=http)
        asked: dict[str, Any] = {
            "chat": partial(client.chat.completions.create, model="m", messages=[]),
            "responses": partial(client.responses.create, model="m", input="any"),
            "completions": partial(client.completions.create, model="m", prompt="any"),
            "images": partial(client.images.generate, model="m", prompt="any"),
        }
        events = list(asked[path](stream=True))
        if events and getattr(events[-1], "type", "") == "error":
            raise openai.APIError(events[-1].message, httpx2.Request("POST", "http://a"), body=None)


def anthropic_reader(body: bytes) -> None:
    with canned("text/event-stream", body) as http:
        client = anthropic.Anthropic(api_key="none", max_retries=0, http_client=http)
        list(client.messages.create(model="m", max_tokens=1, messages=[], stream=True))


def gemini_reader(content_type: str, body: bytes) -> None:
    client = gemini_sdk.client(body, content_type)
    list(client.models.generate_content_stream(model="m", contents="any"))


def gemini_array_reader(body: bytes) -> None:
    """A document; the SDK asks for events, others read it whole."""
    last = json.loads(body)[-1]
    if "error" in last:
        raise google.APIError(last["error"]["code"], last)


def botocore_reader(operation: str, body: bytes) -> None:
    loaded = (
        botocore.session.get_session()
        .get_component("data_loader")
        .load_service_model("bedrock-runtime", "service-2")
    )
    model = ServiceModel(loaded, "bedrock-runtime").operation_model(operation)
    assert model.output_shape is not None
    shape = model.output_shape.members[{"ConverseStream": "stream"}.get(operation, "body")]
    raw = _Raw(body)
    stream = botocore.eventstream.EventStream(
        raw, shape, create_parser("rest-json")._event_stream_parser, operation
    )
    list(stream)


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Any:
        yield self._body

    def close(self) -> None:
        return


INVOKED = [wire.aws_event("chunk", {"bytes": "e30="})] * 3
COHERE = [
    wire.event({"type": "message-start", "id": "1"}, "message-start"),
    wire.event({"type": "content-delta", "delta": {"message": {"content": {"text": "a"}}}}, "content-delta"),
]
SSE = "text/event-stream"
AWS = "application/vnd.amazon.eventstream"
type Reader = Callable[[bytes], None]
READERS: dict[str, tuple[str, str, list[bytes], Reader, type[Exception]]] = {
    "chat": ("openai_chat", SSE, chat(), partial(openai_reader, "chat"), openai.APIError),
    "completions": (
        "openai_completions",
        SSE,
        chat(),
        partial(openai_reader, "completions"),
        openai.APIError,
    ),
    "images": ("openai_images", SSE, [], partial(openai_reader, "images"), openai.APIError),
    "responses": (
        "openai_responses",
        SSE,
        responses(),
        partial(openai_reader, "responses"),
        openai.APIError,
    ),
    "anthropic": ("anthropic", SSE, wire.message_stream()[:-1], anthropic_reader, anthropic.APIError),
    "gemini": (
        "gemini",
        SSE,
        [b"data: " + chunk + b"\r\n\r\n" for chunk in wire.gemini_chunks()],
        partial(gemini_reader, SSE),
        google.APIError,
    ),
    "gemini array": (
        "gemini",
        "application/json; charset=UTF-8",
        wire.gemini_array()[:-1],
        gemini_array_reader,
        google.APIError,
    ),
    "converse": (
        "bedrock_converse",
        AWS,
        wire.converse_stream(),
        partial(botocore_reader, "ConverseStream"),
        EventStreamError,
    ),
    "invoke": (
        "bedrock_invoke",
        AWS,
        INVOKED,
        partial(botocore_reader, "InvokeModelWithResponseStream"),
        EventStreamError,
    ),
}
CUTS = [
    pytest.param(name, size, id=f"{name} after {size}")
    for name, (_, _, chunks, _, _) in READERS.items()
    for size in range(len(chunks) + 1)
]


@pytest.mark.parametrize(("name", "size"), CUTS)
def test_official_readers_raise_their_own_error(name: str, size: int) -> None:
    dialect, content_type, chunks, reader, error = READERS[name]
    body, failed = finished(dialect, "chat", content_type, chunks[:size])
    if failed:
        with pytest.raises(error, match="broke off"):
            reader(body)
    else:
        assert size > len(chunks) - 3, "it was taken for complete"
        reader(body)


@pytest.mark.parametrize("size", range(len(COHERE) + 1))
def test_cohere(size: int) -> None:
    body, _ = finished("cohere", "chat", SSE, COHERE[:size])
    assert read("cohere", "chat", SSE, body) == ("ERROR", MESSAGE)


@pytest.mark.parametrize("name", [name for name, (_, _, chunks, _, _) in READERS.items() if chunks])
def test_in_the_middle_of_a_frame_nothing_is_added(name: str) -> None:
    dialect, content_type, chunks, _, _ = READERS[name]
    first, second, *_ = chunks
    for end in range(1, len(second.rstrip(b"\r\n")), 3):
        pipe = Pipe(Tap(dialect, "chat", content_type), lambda: 1.0, framed_as=(dialect, content_type))
        pipe(first)
        pipe(second[:end])
        added = pipe.abort(MESSAGE)
        # Before an array's next element there are blanks and a comma, which belong to no element.
        assert added is None or not second[:end].strip(b"\r\n,"), second[:end]


def test_frames_need_not_come_one_by_one() -> None:
    body = b"".join(wire.converse_stream()[:4])
    pipe = Pipe(Tap("bedrock_converse", "converse", AWS), lambda: 1.0, framed_as=("bedrock_converse", AWS))
    for at in range(0, len(body), 7):
        pipe(body[at : at + 7])
    assert pipe.abort(MESSAGE)


@pytest.mark.parametrize(
    ("dialect", "content_type"),
    [
        ("observe", SSE),
        ("openai_chat", "application/json"),
        ("openai_chat", "audio/mpeg"),
        ("openai_chat", AWS),
        ("openai_embeddings", "application/json"),
        ("anthropic", ""),
        ("cohere", "application/stream+json"),
    ],
)
def test_where_nothing_well_formed_can_be(dialect: str, content_type: str) -> None:
    assert farewell(dialect, content_type, b"", MESSAGE) is None


def test_a_number_goes_on() -> None:
    last = farewell("openai_responses", SSE, b'data: {"sequence_number": 7, "a": 1}\n\n', MESSAGE)
    assert last is not None
    assert b'"sequence_number":8' in last


def aws_error(message: str) -> bytes:
    return eventstream.encode("modelStreamErrorException", json.dumps({"message": message}).encode())


LATE = [
    ("openai_chat", "text/event-stream", b'"type":"timeout_error"', b'"type":"server_error"'),
    ("openai_responses", "text/event-stream", b'"code":"upstream_timeout"', b'"code":"server_error"'),
    ("anthropic", "text/event-stream", b'"type":"timeout_error"', b'"type":"api_error"'),
    ("gemini", "text/event-stream", b'"status":"DEADLINE_EXCEEDED"', b'"status":"UNAVAILABLE"'),
    ("gemini", "application/json", b'"status":"DEADLINE_EXCEEDED"', b'"status":"UNAVAILABLE"'),
    (
        "bedrock_invoke",
        "application/vnd.amazon.eventstream",
        b"modelTimeoutException",
        b"modelStreamErrorException",
    ),
]


@pytest.mark.parametrize(("dialect", "content_type", "late", "lost"), LATE)
def test_what_took_too_long_has_its_dialects_word_for_that(
    dialect: str, content_type: str, late: bytes, lost: bytes
) -> None:
    for is_late, expected in ((True, late), (False, lost)):
        found = farewell(dialect, content_type, b"", MESSAGE, late=is_late)
        assert found is not None
        assert expected in found
