"""What of a request must be found again after its translation, and who judges the translation.

The official types of the target judge its form. What it says is compared in the IR: whatever differs must be
explained by a warning, or be one of the few normalisations that `same` knows.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, get_type_hints

import orjson
from anthropic.types.beta import message_create_params as messages
from openai.types import completion_create_params as completions
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses
from pydantic import TypeAdapter

from llm_intercept.wire.ir import Format, Media, Part, Reasoning, Request, Text, Tool, ToolCall, ToolResult
from tests.wire.codecs import amazon, gemini_sdk

_TYPES: dict[str, Any] = {
    "openai_chat": chat.CompletionCreateParams,
    "openai_responses": responses.ResponseCreateParams,
    "anthropic": messages.MessageCreateParams,
    "openai_completions": completions.CompletionCreateParams,
}
_FORMS: dict[str, Any] = {
    "openai_chat": chat.CompletionCreateParamsStreaming,
    "openai_responses": responses.ResponseCreateParamsStreaming,
    "anthropic": messages.MessageCreateParamsStreaming,
    "openai_completions": completions.CompletionCreateParamsStreaming,
}
OLLAMA = {"model", "messages", "tools", "stream", "options", "format", "think", "keep_alive"}
OPTIONS = {"num_predict", "temperature", "top_p", "top_k", "stop", "seed"}
# Anthropic's types do not list these any more, older models take them; OpenAI's followers take `top_k`.
SAMPLING = {"temperature", "top_p", "top_k"}
OPTIONS |= {"presence_penalty", "frequency_penalty"}


@cache
def _adapter(dialect: str) -> TypeAdapter[Any]:
    return TypeAdapter(_TYPES[dialect])


@cache
def _members(dialect: str) -> frozenset[str]:
    return frozenset(get_type_hints(_FORMS[dialect]))


def valid(dialect: str, body: Any) -> None:
    """Raises where the target's own types would."""
    raw = orjson.loads(orjson.dumps(body))
    if dialect == "gemini":
        gemini_sdk.valid_request(raw)
    elif dialect == "bedrock_converse":
        faults = amazon.faults(raw)
        assert not faults, faults
    elif dialect == "ollama":
        unknown = (set(raw) - OLLAMA) | (set(raw.get("options", {})) - OPTIONS)
        assert not unknown, unknown
    else:
        unknown = set(raw) - _members(dialect) - SAMPLING
        assert not unknown, unknown
        _adapter(dialect).validate_python(_detailed(raw) if dialect == "openai_responses" else raw)


def _detailed(value: Any) -> Any:
    """The types insist on what the documentation calls optional."""
    if isinstance(value, dict):
        said = {"detail": "auto"} if value.get("type") == "input_image" else {}
        if value.get("role") == "assistant":
            said = {"id": "msg_1", "status": "completed"}
        return said | {name: _detailed(item) for name, item in value.items()}
    return [_detailed(item) for item in value] if isinstance(value, list) else value


EXPLAINED = {
    "texts": r"tool call|text completions|document",
    "calls": r"tool call|tool_call",
    "media": r"image|document|audio|video|media",
    "tools": r"tools",
    "choice": r"tool_choice|tools",
    "parallel": r"parallel|tools",
    "max_tokens": r"max_tokens",
    "temperature": r"temperature|top_p",
    "top_p": r"temperature|top_p",
    "top_k": r"top_k",
    "stop": r"stop",
    "seed": r"seed",
    "presence_penalty": r"presence_penalty",
    "frequency_penalty": r"frequency_penalty",
    "format": r"format",
    "reasoning": r"reasoning|thinking",
    "logprobs": r"logprobs",
}
"""Aspect of a request -> the warnings that explain why it is not the same any more."""

ANSWERING = "lli_answer"  # the tool that stands for structured output where a target has no other way


def differences(one: Request, other: Request, target: str, warnings: list[str]) -> Iterator[str]:
    """What changed without a warning that says so."""
    for aspect, taken in ASPECTS.items():
        before, after = taken(one), taken(other)
        if same(aspect, before, after, target):
            continue
        if not any(re.search(EXPLAINED[aspect], warning) for warning in warnings):
            yield f"{aspect}: {str(before)[-160:]} -> {str(after)[-160:]}"


def same(aspect: str, before: Any, after: Any, target: str) -> bool:
    if aspect == "texts":
        return _in_order(before, "\n".join(after))
    if aspect == "max_tokens" and before is None and target == "anthropic":
        return True  # it must be said there
    if aspect == "choice" and before is None and target == "anthropic":
        return True  # the call that stands for structured output
    if aspect == "format" and (before, after) == ("schema", "text"):
        return target == "anthropic"  # asked for as a call
    if aspect == "reasoning" and (before is None or (before and after is None)):
        return True  # models that reason do so without being told; some targets are told all the same
    return bool(before == after)


def _in_order(texts: list[str], whole: str) -> bool:
    at = 0
    for text in texts:
        at = whole.find(text, at)
        if at < 0:
            return False
    return True


def _texts(request: Request) -> list[str]:
    """All that is said in the conversation, in order; what the system says may move to the front."""
    spoken = [m for m in request.messages if m.role not in ("system", "developer")]
    return [text for m in spoken for part in m.parts for text in _said(part)]


def _said(part: Part) -> list[str]:
    match part:
        case Text(text):
            return [text.strip()]
        case ToolResult():
            return [text for inner in part.parts for text in _said(inner)]
        case Media() if _is_text(part):
            return [_text(part).strip()]
    return []


def _is_text(part: Media) -> bool:
    return part.kind == "document" and bool(part.text or (part.data and part.media_type == "text/plain"))


def _text(part: Media) -> str:
    return part.text or base64.b64decode(part.data).decode("utf-8", "replace")


def _parts(request: Request) -> Iterator[Part]:
    for message in request.messages:
        for part in message.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.parts


def _calls(request: Request) -> list[Any]:
    """Calls, and which of them each result answers."""
    made = [p for p in _parts(request) if isinstance(p, ToolCall)]
    ids = [call.id for call in made]
    answered = [p.call_id for p in _parts(request) if isinstance(p, ToolResult)]
    places = sorted(ids.index(i) if i in ids else -1 for i in answered)
    return [[(c.name, c.arguments if c.custom else json.loads(c.arguments)) for c in made], places]


def _media(request: Request) -> list[Any]:
    found = [p for p in _parts(request) if isinstance(p, Media) and not _is_text(p)]
    return [(part.kind, part.data or part.url or part.file_id) for part in found]


def _tools(request: Request) -> list[Any]:
    own = [t for t in request.tools if isinstance(t, Tool) and not t.name.startswith(ANSWERING)]
    return [(t.name, t.description.strip(), sorted((t.schema or {}).get("properties", {}))) for t in own]


def _choice(request: Request) -> tuple[str, str] | None:
    choice = request.tool_choice
    return None if choice is None or choice.mode == "auto" else (choice.mode, choice.name)


def _format(request: Request) -> str:
    return (request.format or Format()).kind


def _reasons(request: Request) -> bool | None:
    wanted = request.reasoning or Reasoning()
    return bool(wanted.effort != "none") if wanted.effort else wanted.enabled


ASPECTS: dict[str, Callable[[Request], Any]] = {
    "texts": _texts,
    "calls": _calls,
    "media": _media,
    "tools": _tools,
    "choice": _choice,
    "parallel": lambda r: r.tool_choice is None or r.tool_choice.parallel is not False,
    "max_tokens": lambda r: r.sampling.max_tokens,
    "temperature": lambda r: r.sampling.temperature,
    "top_p": lambda r: None if r.sampling.top_p == 1 else r.sampling.top_p,
    "top_k": lambda r: r.sampling.top_k,
    "stop": lambda r: r.sampling.stop,
    "seed": lambda r: r.sampling.seed,
    "presence_penalty": lambda r: r.sampling.presence_penalty or None,
    "frequency_penalty": lambda r: r.sampling.frequency_penalty or None,
    "format": _format,
    "reasoning": _reasons,
    "logprobs": lambda r: r.sampling.logprobs or None,
}
