"""Azure OpenAI: chat completions with content filter results, and a first chunk of only those."""

from collections.abc import Iterator

import orjson

from llm_intercept.sim import openai_chat
from llm_intercept.sim.answer import Answer
from llm_intercept.sim.errors import azure_error
from llm_intercept.sim.frames import Frame, sse
from llm_intercept.sim.prompt import Json, Prompt
from llm_intercept.sim.serve import Call, Headers, Stamp, Surface

_KINDS = ("hate", "self_harm", "sexual", "violence")
_SAFE: Json = {kind: {"filtered": False, "severity": "safe"} for kind in _KINDS}
_PROMPT_FILTER = [{"prompt_index": 0, "content_filter_results": _SAFE}]


def speaks_azure(call: Call) -> bool:
    """Whether the client talks to Azure: others (Groq) use the same path."""
    request = call.request
    named = request.host.split(":")[0].endswith(".azure.com")
    return named or "api-key" in request.headers or "api-version" in request.query


def _whole(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    payload = openai_chat.whole(prompt, answer, stamp)
    for choice in payload["choices"]:
        choice["content_filter_results"] = _SAFE
    return {**payload, "prompt_filter_results": _PROMPT_FILTER}


def _stream(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    first = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
    yield sse({**first, "prompt_filter_results": _PROMPT_FILTER})
    for frame in openai_chat.stream(prompt, answer, stamp):
        yield _filtered(frame)


def _filtered(frame: Frame) -> Frame:
    text = frame.data.removeprefix(b"data: ")
    if not text.startswith(b"{"):
        return frame
    chunk = orjson.loads(text)
    for choice in chunk["choices"]:
        choice["content_filter_results"] = _SAFE if choice["delta"].get("content") else {}
    return sse(chunk, tokens=frame.tokens)


def _headers(prompt: Prompt, answer: Answer, stamp: Stamp) -> Headers:
    return (
        ("apim-request-id", stamp.id),
        ("x-ms-deployment-name", prompt.model.replace("/", "-")),
        ("x-ms-region", "Simulated"),
    )


CHAT = Surface(openai_chat.read, _whole, _stream, azure_error, headers=_headers)
