"""Captured bodies as a conversation, whatever API they were written for. Tolerant: what is not understood
is shown as it is. Pure functions; the templates escape every text."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Part:
    """`kind` is text, thinking, call, result or media; `title` names a tool or a file."""

    kind: str
    text: str
    title: str = ""


@dataclass(slots=True)
class Message:
    role: str
    parts: list[Part] = field(default_factory=list)


def read(body: str) -> list[Message]:
    """The messages in a request or an answer, streamed or whole; empty when there are none."""
    payload = _json(body)
    if isinstance(payload, dict):
        return [message for message in _whole(payload) if message.parts]
    events = payload if isinstance(payload, list) else list(_events(body))
    message = _streamed([event for event in events if isinstance(event, dict)])
    return [message] if message.parts else []


def pretty(body: str) -> str:
    """JSON indented, everything else unchanged."""
    payload = _json(body)
    return body if payload is None else json.dumps(payload, indent=2, ensure_ascii=False)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _events(body: str) -> Iterator[Any]:
    """The JSON of server-sent events, or of lines."""
    for line in body.splitlines():
        text = line.removeprefix("data:").strip()
        if text.startswith("{"):
            yield _json(text)


# --- whole bodies


def _whole(payload: dict[str, Any]) -> Iterator[Message]:
    for name in ("system", "instructions", "systemInstruction", "system_instruction"):
        if payload.get(name):
            yield Message("system", _parts(payload[name]))
    for name in ("messages", "contents", "input"):
        yield from _turns(payload.get(name))
    if isinstance(payload.get("prompt"), str):
        yield Message("user", [Part("text", payload["prompt"])])
    yield from _answers(payload)


def _turns(found: Any) -> Iterator[Message]:
    if isinstance(found, str):
        yield Message("user", [Part("text", found)])
        return
    for turn in found if isinstance(found, list) else []:
        if isinstance(turn, dict):
            yield _turn(turn)
        elif isinstance(turn, str):
            yield Message("user", [Part("text", turn)])


def _turn(turn: dict[str, Any]) -> Message:
    """A message of any dialect, or an item of the Responses API."""
    if "role" not in turn:
        kind = str(turn.get("type", ""))
        role = "tool" if kind.endswith("_output") else "assistant" if kind else "user"
        return Message(role, _parts(turn if kind else turn.get("parts")))
    message = Message(str(turn["role"]), _parts(turn.get("reasoning_content"), "thinking"))
    message.parts += _parts(turn.get("content", turn.get("parts")))
    message.parts += [part for call in turn.get("tool_calls") or [] for part in _parts(call)]
    if message.role == "tool":
        message.parts = [Part("result", part.text, str(turn.get("name", ""))) for part in message.parts]
    return message


def _answers(payload: dict[str, Any]) -> Iterator[Message]:
    for choice in _dicts(payload.get("choices")):
        message = choice.get("message")
        yield (
            _turn({"role": "assistant", **message})
            if isinstance(message, dict)
            else Message("assistant", _parts(choice.get("text")))
        )
    for candidate in _dicts(payload.get("candidates")):
        yield Message("assistant", _parts((candidate.get("content") or {}).get("parts")))
    output = payload.get("output")
    if isinstance(output, dict) and isinstance(output.get("message"), dict):
        yield _turn({"role": "assistant", **output["message"]})
    elif isinstance(output, list):
        yield Message("assistant", _parts([part for item in _dicts(output) for part in _flat(item)]))
    if payload.get("type") == "message" and "messages" not in payload:
        yield Message("assistant", _parts(payload.get("content")))
    error = payload.get("error")
    if isinstance(error, dict):
        yield Message("error", [Part("text", str(error.get("message") or json.dumps(error)))])


def _flat(item: dict[str, Any]) -> list[Any]:
    content = item.get("content")
    return content if isinstance(content, list) and item.get("type") == "message" else [item]


def _dicts(found: Any) -> list[dict[str, Any]]:
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


# --- parts


def _parts(found: Any, kind: str = "text") -> list[Part]:
    if isinstance(found, str):
        return [Part(kind, found)] if found else []
    if isinstance(found, list):
        return [part for item in found for part in _parts(item, kind)]
    if not isinstance(found, dict):
        return []
    if "parts" in found:
        return _parts(found["parts"], kind)
    return [_part(found)]


def _part(block: dict[str, Any]) -> Part:
    for recognise in (_call, _result, _thinking, _text):
        if part := recognise(block):
            return part
    kind = str(block.get("type") or next(iter(block), "part"))
    return Part("media", _bounded(block), kind)


def _text(block: dict[str, Any]) -> Part | None:
    text = block.get("text", block.get("refusal"))
    return Part("thinking" if block.get("thought") else "text", text) if isinstance(text, str) else None


def _thinking(block: dict[str, Any]) -> Part | None:
    if block.get("type") == "thinking":
        return Part("thinking", str(block.get("thinking", "")))
    if block.get("type") == "reasoning":
        return Part(
            "thinking", "\n".join(part.text for part in _parts(block.get("summary"))) or "(not shown)"
        )
    reasoning = (block.get("reasoningContent") or {}).get("reasoningText")
    return Part("thinking", str(reasoning.get("text", ""))) if isinstance(reasoning, dict) else None


def _call(block: dict[str, Any]) -> Part | None:
    function = block.get("function") if block.get("type") == "function" else None
    call = function or block.get("functionCall") or block.get("toolUse")
    if call is None and block.get("type") in ("tool_use", "server_tool_use", "function_call"):
        call = block
    if not isinstance(call, dict):
        return None
    given = next((call[name] for name in ("arguments", "args", "input") if name in call), {})
    return Part("call", given if isinstance(given, str) else _bounded(given), str(call.get("name", "")))


def _result(block: dict[str, Any]) -> Part | None:
    result = block.get("functionResponse") or block.get("toolResult")
    if result is None and str(block.get("type", "")) in ("tool_result", "function_call_output"):
        result = block
    if not isinstance(result, dict):
        return None
    given = next((result[name] for name in ("content", "output", "response") if name in result), "")
    text = given if isinstance(given, str) else "\n".join(part.text for part in _parts(given))
    return Part("result", text or _bounded(given), str(result.get("name", "")))


def _bounded(value: Any, limit: int = 20_000) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text if len(text) <= limit else text[:limit] + " …"


# --- streams


def _streamed(events: list[dict[str, Any]]) -> Message:
    """One message out of the pieces of any dialect's stream."""
    message = Message("assistant")
    for event in events:
        for kind, text, title in _pieces(event):
            last = message.parts[-1] if message.parts else None
            if last is None or last.kind != kind or title:
                message.parts.append(Part(kind, text, title))
            else:
                last.text += text
    message.parts = [part for part in message.parts if part.text or part.title]
    return message


def _pieces(event: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for choice in _dicts(event.get("choices")):
        yield from _chat_pieces(choice.get("delta") or {})
    for candidate in _dicts(event.get("candidates")):
        for part in _parts((candidate.get("content") or {}).get("parts")):
            yield part.kind, part.text, part.title
    yield from _block_pieces(event)
    if event.get("type") == "response.output_text.delta":
        yield "text", str(event.get("delta", "")), ""


def _chat_pieces(delta: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if thinking := delta.get("reasoning_content") or delta.get("reasoning"):
        yield "thinking", str(thinking), ""
    if delta.get("content"):
        yield "text", str(delta["content"]), ""
    for call in _dicts(delta.get("tool_calls")):
        function = call.get("function") or {}
        yield "call", str(function.get("arguments") or ""), str(function.get("name") or "")


def _block_pieces(event: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Anthropic's content blocks, and Bedrock's, which are like them."""
    if event.get("type") == "content_block_start":
        block = event.get("content_block") or {}
        if "name" in block:
            yield "call", "", str(block["name"])
    delta = event.get("delta")
    if isinstance(delta, dict) and (
        event.get("type") == "content_block_delta" or "contentBlockIndex" in event
    ):
        for name, kind in (("text", "text"), ("thinking", "thinking"), ("partial_json", "call")):
            if delta.get(name):
                yield kind, str(delta[name]), ""
