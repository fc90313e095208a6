"""Google's own SDK as the judge of what we write: its client reads our bytes, its types our requests."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from google import genai
from google.genai import types

from llm_intercept.wire.codec import Frame
from tests.google_http import httpx

MODEL = "gemini-2.5-flash"


@dataclass
class Canned:
    """What the next call is answered with."""

    body: bytes = b""
    content_type: str = ""
    status: int = 200

    def __call__(self, request: Any) -> Any:
        return httpx.Response(self.status, headers={"content-type": self.content_type}, content=self.body)


@cache
def _client() -> tuple[genai.Client, Canned]:
    """One for all: making a client reads every root certificate."""
    canned = Canned()
    http = httpx.Client(transport=httpx.MockTransport(canned))
    options = types.HttpOptions(httpx_client=http)
    return genai.Client(api_key="x", vertexai=False, http_options=options), canned


def client(body: bytes, content_type: str, status: int = 200) -> genai.Client:
    """A client whose next call is answered with this."""
    google, canned = _client()
    canned.body, canned.content_type, canned.status = body, content_type, status
    return google


def sse(frames: Iterable[Frame]) -> bytes:
    return b"".join(b"data: " + data + b"\r\n\r\n" for _, data in frames)


def streamed(frames: Iterable[Frame]) -> list[types.GenerateContentResponse]:
    google = client(sse(frames), "text/event-stream")
    return list(google.models.generate_content_stream(model=MODEL, contents="hi"))


def whole(body: Any) -> types.GenerateContentResponse:
    google = client(orjson.dumps(body), "application/json")
    return google.models.generate_content(model=MODEL, contents="hi")


def seen(responses: Iterable[types.GenerateContentResponse]) -> dict[str, Any]:
    """What an application gets out of an answer, whole or streamed."""
    total: dict[str, Any] = {"text": "", "thoughts": "", "calls": [], "finish": None, "usage": None}
    for response in responses:
        candidate = response.candidates[0] if response.candidates else None
        for part in candidate.content.parts or [] if candidate and candidate.content else []:
            if part.text:
                total["thoughts" if part.thought else "text"] += part.text
            if part.function_call:
                total["calls"].append((part.function_call.name, part.function_call.args))
        if candidate and candidate.finish_reason:
            total["finish"] = candidate.finish_reason.value
        if response.usage_metadata:
            total["usage"] = response.usage_metadata.model_dump(exclude_none=True, exclude={"traffic_type"})
    return total


def valid_request(body: Any) -> None:
    """Every member is one that the SDK's types know; unknown ones raise."""
    for content in body["contents"]:
        types.Content.model_validate_json(orjson.dumps(content))
    for tool in body.get("tools", ()):
        types.Tool.model_validate_json(orjson.dumps(tool))
    if "systemInstruction" in body:
        types.Content.model_validate_json(orjson.dumps(body["systemInstruction"]))
    if "toolConfig" in body:
        types.ToolConfig.model_validate_json(orjson.dumps(body["toolConfig"]))
    types.GenerationConfig.model_validate_json(orjson.dumps(body.get("generationConfig", {})))


def valid_schema(schema: Any) -> types.Schema:
    return types.Schema.model_validate_json(orjson.dumps(schema))


def decoded(codec: Any, frames: Iterable[Frame]) -> list[Any]:
    decoder = codec.decoder()
    events = [event for frame in frames for event in decoder.feed(*frame)]
    return [*events, *decoder.close()]


def encoded(encoder: Any, events: Iterable[Any]) -> list[Frame]:
    frames = [frame for event in events for frame in encoder.feed(event)]
    return [*frames, *encoder.close()]
