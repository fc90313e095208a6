"""What an application gets out of an answer by way of each provider's official SDK, in one form for all.

Nothing of ours reads here: the SDKs' own types, stream accumulators and parsers do.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import anthropic
import httpx2
import openai
from google import genai
from google.genai import types
from openai._models import construct_type

from llm_intercept.wire.framing.sse import SSE
from tests.wire.codecs import amazon, anthropic_sdk, responses_sdk
from tests.wire.codecs import gemini_sdk as google
from tests.wire.codecs.chat_family import accumulated as chat_accumulated


@dataclass
class Seen:
    """`usage` is [input, output, cache read, reasoning], input including cached, output reasoning."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str | None = None
    usage: list[int | None] = field(default_factory=lambda: [None] * 4)
    model: str = ""
    error: str = ""


def _frames(data: bytes) -> list[tuple[str, bytes]]:
    framing = SSE()
    return [*framing.feed(data), *framing.close()]


def _chat(data: bytes) -> Seen:
    from openai.types.chat import ChatCompletion

    return _of_chat(ChatCompletion.model_validate(json.loads(data)))


def _chat_stream(data: bytes) -> Seen:
    frames = _frames(data)
    errors = [json.loads(d)["error"] for _, d in frames if d.startswith(b'{"error"')]
    if errors:
        return Seen(error=errors[0]["type"])
    return _of_chat(chat_accumulated(frames))


def _of_chat(answer: Any) -> Seen:
    (choice,) = answer.choices
    message = choice.message
    calls = [_chat_call(call) for call in message.tool_calls or ()]
    seen = Seen((message.content or "") + (message.refusal or ""), calls, choice.finish_reason)
    seen.model = answer.model
    if answer.usage:
        usage, cached, spent = answer.usage, answer.usage.prompt_tokens_details, None
        spent = usage.completion_tokens_details
        read, thought = cached and cached.cached_tokens, spent and spent.reasoning_tokens
        seen.usage = [usage.prompt_tokens, usage.completion_tokens, read, thought]
    return seen


def _chat_call(call: Any) -> tuple[str, Any]:
    if call.type == "custom":
        return call.custom.name, call.custom.input
    return call.function.name, json.loads(call.function.arguments)


def _responses(data: bytes) -> Seen:
    return _of_response(responses_sdk.ANSWER.validate_json(data))


def _responses_stream(data: bytes) -> Seen:
    frames = _frames(data)
    if frames[-1][0] == "response.failed":  # with codes that clients act upon and the types do not list
        return Seen(error=json.loads(frames[-1][1])["response"]["error"]["code"])
    responses_sdk.check(frames)
    return _of_response(responses_sdk.accumulated(frames))


def _of_response(answer: Any) -> Seen:
    seen = Seen(model=answer.model)
    for item in answer.output:
        if item.type == "message":
            seen.text += "".join(getattr(c, "text", "") or getattr(c, "refusal", "") for c in item.content)
        if item.type == "function_call":
            seen.calls.append((item.name, json.loads(item.arguments)))
        if item.type == "custom_tool_call":
            seen.calls.append((item.name, item.input))
    reason = answer.incomplete_details.reason if answer.incomplete_details else ""
    seen.finish = f"{answer.status}:{reason}" if reason else answer.status
    seen.error = answer.error.code if answer.error else ""
    if answer.usage:
        usage = answer.usage
        read = usage.input_tokens_details.cached_tokens
        spent = usage.output_tokens_details.reasoning_tokens
        seen.usage = [usage.input_tokens, usage.output_tokens, read, spent]
    return seen


def _messages(data: bytes) -> Seen:
    payload = json.loads(data)
    return _of_message(anthropic_sdk.MESSAGES.validate_python(payload))


def _messages_stream(data: bytes) -> Seen:
    frames = _frames(data)
    errors = [json.loads(d)["error"]["type"] for name, d in frames if name == "error"]
    if errors:
        anthropic_sdk.grammatical(frames)
        return Seen(error=errors[0])
    return _of_message(anthropic_sdk.accumulated(frames))


def _of_message(answer: Any) -> Seen:
    seen = Seen(finish=answer.stop_reason, model=answer.model)
    for block in answer.content:
        if block.type == "text":
            seen.text += block.text
        if block.type == "tool_use":
            seen.calls.append((block.name, block.input))
    usage = answer.usage
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    total = (usage.input_tokens or 0) + (read or 0) + (written or 0)
    seen.usage = [total, usage.output_tokens, read, None]
    return seen


def _gemini(data: bytes) -> Seen:
    client = google.client(data, "application/json")
    return _of_gemini([client.models.generate_content(model=google.MODEL, contents="hi")])


def _gemini_stream(data: bytes) -> Seen:
    client = google.client(data, "text/event-stream")
    try:
        return _of_gemini(list(client.models.generate_content_stream(model=google.MODEL, contents="hi")))
    except genai.errors.APIError as error:
        return Seen(error=str(error.status))


def _of_gemini(responses: list[types.GenerateContentResponse]) -> Seen:
    found = google.seen(responses)
    calls = [(name, args or {}) for name, args in found["calls"]]
    seen = Seen(found["text"], calls, found["finish"], model=responses[-1].model_version or "")
    usage = next((r.usage_metadata for r in reversed(responses) if r.usage_metadata), None)
    if usage:
        spent = usage.thoughts_token_count
        output = (usage.candidates_token_count or 0) + (spent or 0)
        seen.usage = [usage.prompt_token_count, output, usage.cached_content_token_count, spent]
    return seen


def _converse(data: bytes) -> Seen:
    answer = amazon.answer(data)
    seen = Seen(finish=answer["stopReason"])
    for block in answer["output"]["message"]["content"]:
        seen.text += block.get("text", "")
        if "toolUse" in block:
            seen.calls.append((block["toolUse"]["name"], block["toolUse"]["input"]))
    seen.usage = _converse_usage(answer["usage"])
    return seen


def _converse_stream(data: bytes) -> Seen:
    from botocore.exceptions import EventStreamError

    seen = Seen()
    blocks: dict[int, dict[str, str]] = {}
    try:
        events = amazon.events(data)
    except EventStreamError as error:
        return Seen(error=error.response["Error"]["Code"])
    for event in events:
        ((kind, value),) = event.items()
        if kind == "contentBlockStart":
            blocks[value["contentBlockIndex"]] = {**value["start"].get("toolUse", {}), "input": ""}
        if kind == "contentBlockDelta":
            delta = value["delta"]
            seen.text += delta.get("text", "")
            if "toolUse" in delta:
                blocks[value["contentBlockIndex"]]["input"] += delta["toolUse"]["input"]
        if kind == "messageStop":
            seen.finish = value["stopReason"]
        if kind == "metadata":
            seen.usage = _converse_usage(value["usage"])
    seen.calls = [(b["name"], json.loads(b["input"] or "{}")) for b in blocks.values() if "name" in b]
    return seen


def _converse_usage(usage: Mapping[str, int]) -> list[int | None]:
    read, written = usage.get("cacheReadInputTokens"), usage.get("cacheWriteInputTokens")
    return [usage["inputTokens"] + (read or 0) + (written or 0), usage["outputTokens"], read, None]


def _completion(data: bytes) -> Seen:
    from openai.types import Completion

    return _of_completions([Completion.model_validate(json.loads(data))])


def _completion_stream(data: bytes) -> Seen:
    from openai.types import Completion

    frames = _frames(data)
    errors = [json.loads(d)["error"] for _, d in frames if d.startswith(b'{"error"')]
    if errors:
        return Seen(error=errors[0]["type"])
    assert frames[-1] == ("", b"[DONE]")
    # As the SDK does: its type wants a finish reason, which only the last chunk has.
    return _of_completions([construct_type(type_=Completion, value=json.loads(d)) for _, d in frames[:-1]])


def _of_completions(found: list[Any]) -> Seen:
    seen = Seen(model=found[0].model)
    for chunk in found:
        for choice in chunk.choices:
            seen.text += choice.text
            seen.finish = choice.finish_reason or seen.finish
        if chunk.usage:
            seen.usage = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens, None, None]
    return seen


def _ollama(data: bytes) -> Seen:
    """Ollama's own client is pydantic models over these lines; its documentation is the oracle here."""
    seen = Seen()
    for line in data.splitlines():
        chunk = json.loads(line)
        if "error" in chunk:
            return Seen(error=chunk["error"])
        assert {"model", "created_at", "message", "done"} <= set(chunk)
        message = chunk["message"]
        assert message["role"] == "assistant"
        seen.text += message.get("content", "")
        made = [call["function"] for call in message.get("tool_calls", ())]
        seen.calls += [(call["name"], call["arguments"]) for call in made]
        seen.model = chunk["model"]
        if chunk["done"]:
            seen.finish = chunk["done_reason"]
            seen.usage = [chunk.get("prompt_eval_count"), chunk.get("eval_count"), None, None]
    assert chunk["done"]
    return seen


WHOLE: dict[str, Callable[[bytes], Seen]] = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic": _messages,
    "gemini": _gemini,
    "bedrock_converse": _converse,
    "openai_completions": _completion,
    "ollama": _ollama,
}
STREAMED: dict[str, Callable[[bytes], Seen]] = {
    "openai_chat": _chat_stream,
    "openai_responses": _responses_stream,
    "anthropic": _messages_stream,
    "gemini": _gemini_stream,
    "bedrock_converse": _converse_stream,
    "openai_completions": _completion_stream,
    "ollama": _ollama,
}


@cache
def _openai(module: Any) -> tuple[Any, dict[str, Any]]:
    """One client for all: making one reads every root certificate."""
    canned: dict[str, Any] = {}
    transport = httpx2.MockTransport(lambda request: httpx2.Response(**canned))
    http = httpx2.Client(transport=transport)
    maker = openai.OpenAI if module is openai else anthropic.Anthropic
    return maker(api_key="x", max_retries=0, http_client=http), canned


def raised(dialect: str, status: int, headers: Mapping[str, str], body: bytes) -> Exception:
    """What the SDK raises for this error answer."""
    try:
        _call(dialect, status, dict(headers), body)
    except (openai.APIError, anthropic.APIError, genai.errors.APIError) as error:
        return error
    raise AssertionError("no error was raised")


def _call(dialect: str, status: int, headers: dict[str, str], body: bytes) -> None:
    if dialect == "gemini":
        client = google.client(body, headers.get("content-type", ""), status)
        client.models.generate_content(model=google.MODEL, contents="hi")
        return
    client, canned = _openai(anthropic if dialect == "anthropic" else openai)
    canned.update(status_code=status, headers=headers, content=body)
    hi: Any = [{"role": "user", "content": "hi"}]
    if dialect == "anthropic":
        client.messages.create(model="m", max_tokens=9, messages=hi)
    elif dialect == "openai_responses":
        client.responses.create(model="m", input="hi")
    elif dialect == "openai_completions":
        client.completions.create(model="m", prompt="hi")
    else:
        client.chat.completions.create(model="m", messages=hi)
