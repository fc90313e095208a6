"""OpenAI Responses: the whole object and the full sequence of `response.*` events."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from llm_intercept.sim.answer import Answer, Counts
from llm_intercept.sim.errors import openai_error
from llm_intercept.sim.frames import Frame, sse
from llm_intercept.sim.openai_chat import headers, response_schema
from llm_intercept.sim.prompt import (
    Json,
    Prompt,
    Tool,
    as_dict,
    automatic_mark,
    dicts,
    positive,
    text_of,
)
from llm_intercept.sim.serve import Call, Stamp, Surface
from llm_intercept.sim.tokens import pieces, weigh, weigh_messages

type Event = tuple[str, Json, int]
"""(event type, payload without type and sequence number, tokens)."""

# fmt: off
_ECHOED = (
    "instructions", "max_output_tokens", "metadata", "parallel_tool_calls", "previous_response_id",
    "prompt_cache_key", "service_tier", "store", "temperature", "tool_choice", "top_p", "truncation", "user",
)
# fmt: on
_EMPTY: dict[str, Json] = {
    "reasoning": {"summary": []},
    "function_call": {"arguments": ""},
    "message": {"content": []},
}


def read(call: Call, body: Json) -> Prompt:
    return read_body(body)


def read_body(body: Json) -> Prompt:
    """The prompt of a request body or of a `response.create` message."""
    source = body.get("input")
    items = [{"role": "user", "content": source}] if isinstance(source, str) else dicts(source)
    said = [i for i in items if i.get("role") == "user" or i.get("type") == "function_call_output"]
    last = said[-1] if said else {}
    tokens = weigh_messages(items) + weigh(body.get("instructions")) + weigh(body.get("tools"))
    forced, forbidden = _choice(body.get("tool_choice"))
    reasoning = as_dict(body.get("reasoning"))
    return Prompt(
        model=str(body.get("model", "")),
        text=text_of(last.get("content", last.get("output"))),
        input_tokens=tokens,
        after_tool=last.get("type") == "function_call_output",
        tools=tuple(
            Tool(str(t["name"]), as_dict(t.get("parameters")))
            for t in dicts(body.get("tools"))
            if t.get("type") == "function" and t.get("name")
        ),
        force_tool=forced,
        forbid_tools=forbidden,
        max_output=positive(body.get("max_output_tokens")),
        think=reasoning.get("effort") not in (None, "none", "minimal") or bool(reasoning.get("summary")),
        schema=response_schema(as_dict(as_dict(body.get("text")).get("format"))),
        stream=body.get("stream") is True,
        cache=automatic_mark(tokens, (body.get("model"), items[:-1] or items)),
        body=body,
    )


def _choice(choice: Any) -> tuple[str | None, bool]:
    if choice == "required":
        return "", False
    return (str(choice.get("name", "")) if isinstance(choice, dict) else None), choice == "none"


def usage(counts: Counts) -> Json:
    return {
        "input_tokens": counts.input,
        "input_tokens_details": {"cached_tokens": counts.cache_read},
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.total,
    }


def envelope(prompt: Prompt, stamp: Stamp, status: str, output: list[Json], counts: Counts | None) -> Json:
    """The `response` object in some state."""
    body = prompt.body
    defaults = {"parallel_tool_calls": True, "store": True, "temperature": 1.0, "tool_choice": "auto"}
    defaults |= {"top_p": 1.0, "truncation": "disabled", "metadata": {}, "service_tier": "default"}
    echoed = {key: body[key] if body.get(key) is not None else defaults.get(key) for key in _ECHOED}
    incomplete = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {
        "id": f"resp_{stamp.id}",
        "object": "response",
        "created_at": stamp.created,
        "status": status,
        "background": False,
        "completed_at": stamp.created if status == "completed" else None,
        "error": None,
        "incomplete_details": incomplete,
        "model": prompt.model,
        "output": output,
        "reasoning": {"effort": None, "summary": None, **as_dict(body.get("reasoning"))},
        "text": {"format": {"type": "text"}, "verbosity": "medium", **as_dict(body.get("text"))},
        "tools": dicts(body.get("tools")),
        "usage": usage(counts) if counts else None,
        **echoed,
    }


def _items(prompt: Prompt, answer: Answer, stamp: Stamp) -> list[Json]:
    """The finished output items: reasoning, then a message or function calls."""
    items: list[Json] = []
    if answer.reasoning:
        items.append(_reasoning(prompt, answer, stamp))
    for call in answer.calls:
        call_id = f"call_{stamp.new_id(24)}"
        item = {"id": f"fc_{stamp.new_id(32)}", "type": "function_call", "status": "completed"}
        items.append({**item, "arguments": call.arguments, "call_id": call_id, "name": call.name})
    if not answer.calls:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": answer.whole_text}
        status = "incomplete" if answer.finish == "length" else "completed"
        message = {"id": f"msg_{stamp.new_id(32)}", "type": "message", "status": status}
        items.append({**message, "content": [part], "role": "assistant"})
    return items


def _reasoning(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    item: Json = {"id": f"rs_{stamp.new_id(32)}", "type": "reasoning", "summary": []}
    if as_dict(prompt.body.get("reasoning")).get("summary"):
        item["summary"] = [{"type": "summary_text", "text": answer.whole_reasoning}]
    if "reasoning.encrypted_content" in (prompt.body.get("include") or []):
        item["encrypted_content"] = f"gAAAAA{stamp.new_id(64)}"
    return item


def _status(answer: Answer) -> str:
    return "incomplete" if answer.finish == "length" else "completed"


def whole(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    return envelope(prompt, stamp, _status(answer), _items(prompt, answer, stamp), answer.counts)


def events(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[tuple[Json, int]]:
    """Every event as its payload, numbered, with the tokens it stands for."""
    numbers = count()
    for kind, payload, tokens in _sequence(prompt, answer, stamp):
        yield {"type": kind, **payload, "sequence_number": next(numbers)}, tokens


def _sequence(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Event]:
    started = envelope(prompt, stamp, "in_progress", [], None)
    yield "response.created", {"response": started}, 0
    yield "response.in_progress", {"response": started}, 0
    items = _items(prompt, answer, stamp)
    for index, item in enumerate(items):
        yield from _Item(index, item, answer).events()
    done = envelope(prompt, stamp, _status(answer), items, answer.counts)
    yield f"response.{_status(answer)}", {"response": done}, 0


@dataclass(frozen=True, slots=True)
class _Item:
    """The events of one output item."""

    index: int
    item: Json
    answer: Answer

    def events(self) -> Iterator[Event]:
        kind = self.item["type"]
        status = {} if kind == "reasoning" else {"status": "in_progress"}
        yield "response.output_item.added", self._at(item={**self.item, **_EMPTY[kind], **status}), 0
        match kind:
            case "reasoning":
                yield from self._summary()
            case "function_call":
                yield from self._arguments()
            case _:
                yield from self._text()
        yield "response.output_item.done", self._at(item=self.item), 0

    def _at(self, **fields: Any) -> Json:
        return {**fields, "output_index": self.index}

    def _in(self, **fields: Any) -> Json:
        return {**fields, "item_id": self.item["id"], "output_index": self.index}

    def _summary(self) -> Iterator[Event]:
        for number, part in enumerate(self.item["summary"]):
            kind = "response.reasoning_summary"
            empty = {"type": "summary_text", "text": ""}
            yield f"{kind}_part.added", self._in(part=empty, summary_index=number), 0
            for piece in self.answer.reasoning:
                yield f"{kind}_text.delta", self._in(delta=piece, summary_index=number), 1
            yield f"{kind}_text.done", self._in(text=part["text"], summary_index=number), 0
            yield f"{kind}_part.done", self._in(part=part, summary_index=number), 0

    def _arguments(self) -> Iterator[Event]:
        kind, arguments = "response.function_call_arguments", self.item["arguments"]
        for piece in pieces(arguments):
            yield f"{kind}.delta", self._in(delta=piece), 1
        yield f"{kind}.done", self._in(arguments=arguments, name=self.item["name"]), 0

    def _text(self) -> Iterator[Event]:
        part = self.item["content"][0]
        yield "response.content_part.added", self._in(content_index=0, part={**part, "text": ""}), 0
        for piece in self.answer.text:
            yield "response.output_text.delta", self._in(content_index=0, delta=piece, logprobs=[]), 1
        done = self._in(content_index=0, logprobs=[], text=part["text"])
        yield "response.output_text.done", done, 0
        yield "response.content_part.done", self._in(content_index=0, part=part), 0


def stream(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    for payload, tokens in events(prompt, answer, stamp):
        yield sse(payload, payload["type"], tokens)


SURFACE = Surface(read, whole, stream, openai_error, headers=headers, pretty=True)
