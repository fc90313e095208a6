"""Everything that a request can say: each field of the IR, and each documented parameter of each dialect.

A `Saying` is a request without something and the same request with it. Tests translate both and compare.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from llm_intercept.wire import ir
from llm_intercept.wire.ir import (
    Cache,
    Format,
    Media,
    Message,
    Opaque,
    OpaqueTool,
    Part,
    Reasoning,
    RefusalText,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

MODEL = "some-model"
ELSEWHERE = "elsewhere"  # a dialect that no codec is for
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
WORDS = base64.b64encode(b"plain words").decode()
TOOL = Tool("weather", "The weather.", SCHEMA)
CALL = ToolCall("call_abcdefgh1", "weather", '{"city":"Rome"}')
RESULT = ToolResult(CALL.id, (Text("Sunny"),), name=CALL.name)
BASE = Request(MODEL, (Message("user", (Text("Hello"),)),), extras={ELSEWHERE: {}})
CALLING = replace(BASE, tools=(TOOL,))
CACHED = Cache("1h")


@dataclass(frozen=True)
class Saying:
    """`named`: words of which a warning must have one."""

    title: str
    without: Request
    said: Request
    named: tuple[str, ...]


def _asked(title: str, *named: str, base: Request = BASE, **more: Any) -> Saying:
    return Saying(title, base, replace(base, **more), named or (title.rpartition(".")[2],))


SAMPLING: dict[str, tuple[Any, tuple[str, ...]]] = {
    "max_tokens": (77, ()),
    "temperature": (0.5, ()),
    "top_p": (0.5, ()),
    "top_k": (7, ()),
    "stop": (("END",), ()),
    "seed": (0, ()),
    "presence_penalty": (0.5, ()),
    "frequency_penalty": (0.5, ()),
    "n": (2, ()),
    "logprobs": (True, ()),
    "top_logprobs": (3, ("logprobs",)),
}
REASONING: dict[str, Any] = {
    "enabled": True,
    "effort": "high",
    "budget": 4000,
    "adaptive": True,
    "visible": False,
    "summary": "detailed",
}
REQUEST: dict[str, Any] = {
    "verbosity": "low",
    "user": "someone",
    "cache_key": "a-key",
    "service_tier": "turbo",
    "metadata": {"team": "a"},
}
NOT_FIELDS = frozenset({"model", "messages", "stream", "include_usage", "extras", "sampling", "reasoning"})
"""Of Request: what every target has, what has rows of its own, and what only says how the answer comes."""


def _sampled() -> Iterator[Saying]:
    for name, (value, words) in SAMPLING.items():
        logged = Sampling(logprobs=True) if name == "top_logprobs" else Sampling()
        base = replace(BASE, sampling=logged)
        yield _asked(f"sampling.{name}", *words, base=base, sampling=replace(logged, **{name: value}))


def _reasoned() -> Iterator[Saying]:
    for name, value in REASONING.items():
        thinks = Reasoning(enabled=True, visible=True) if name in ("visible", "summary") else Reasoning()
        base = replace(BASE, reasoning=thinks, sampling=Sampling(max_tokens=9000))
        yield _asked(
            f"reasoning.{name}",
            "reasoning",
            "thinking",
            base=base,
            reasoning=replace(thinks, **{name: value}),
        )


def _requested() -> Iterator[Saying]:
    words = {"cache_key": ("prompt_cache_key",)}
    for name, value in REQUEST.items():
        yield _asked(name, *words.get(name, ()), **{name: value})


def _formed() -> Iterator[Saying]:
    schema = Format("schema", SCHEMA)
    named = ("format",)
    yield _asked("format.json", *named, format=Format("json"))
    yield _asked("format.schema", *named, format=schema)
    yield _asked(
        "format.name", *named, base=replace(BASE, format=schema), format=replace(schema, name="place")
    )
    described = replace(schema, description="A place.")
    yield _asked("format.description", *named, base=replace(BASE, format=schema), format=described)
    yield _asked(
        "format.strict", *named, base=replace(BASE, format=schema), format=replace(schema, strict=True)
    )


def _tooled() -> Iterator[Saying]:
    yield _asked("tools", tools=(TOOL,))
    said: dict[str, Any] = {"description": "Else.", "schema": None, "strict": True, "cache": CACHED}
    for name, value in said.items():
        words = ("tools", "cache_control") if name == "cache" else ("tools", "strict")
        yield _asked(f"tools.{name}", *words, base=CALLING, tools=(replace(TOOL, **{name: value}),))
    free = replace(TOOL, schema=None)
    ruled = replace(free, grammar={"syntax": "lark", "definition": "start: WORD"})
    yield _asked("tools.grammar", "tools", base=replace(BASE, tools=(free,)), tools=(ruled,))
    hosted = OpaqueTool(ELSEWHERE, "search", {"type": "search"})
    yield _asked("tools.opaque", "tools", base=CALLING, tools=(TOOL, hosted))
    for mode in ("required", "none", "named"):
        choice = ToolChoice(mode, "weather" if mode == "named" else "")
        yield _asked(f"tool_choice.{mode}", "tool_choice", "tools", base=CALLING, tool_choice=choice)
    chosen = replace(CALLING, tool_choice=ToolChoice("auto"))
    alone = ToolChoice("auto", parallel=False)
    yield _asked("tool_choice.parallel", "parallel", "tools", base=chosen, tool_choice=alone)


def _turn(title: str, role: ir.Role, part: Part, changed: Part | None, *named: str) -> Saying:
    """A part of the user's last turn, or of an assistant's turn before it."""
    tail = (Message("user", (Text("And?"),)),) if role == "assistant" else ()
    call = (Message("assistant", (CALL,)),) if isinstance(part, ToolResult) else ()
    head = (Message("user", (Text("Hello"),)),)

    def spoken(*parts: Part) -> Request:
        talk = (*head, *call, Message(role, parts), *tail)
        return replace(CALLING, messages=talk)

    if changed is None:
        rest: tuple[Part, ...] = () if isinstance(part, ToolResult) else (Text("Fine."),)
        return Saying(title, spoken(*rest, Text("So.")), spoken(part, *rest, Text("So.")), named)
    return Saying(title, spoken(part), spoken(changed), named)


IMAGE = Media("image", "image/png", data=PIXEL)
MEDIA = {
    "image data": IMAGE,
    "image url": Media("image", url="https://example.com/a.png"),
    "image file": Media("image", file_id="file-1"),
    "document data": Media("document", "application/pdf", data=PDF),
    "document words": Media("document", "text/plain", data=WORDS),
    "document text": Media("document", "text/plain", text="plain words"),
    "document url": Media("document", "application/pdf", url="https://example.com/a.pdf"),
    "document file": Media("document", file_id="file-1"),
    "audio data": Media("audio", "audio/wav", data="UklGRg=="),
    "audio url": Media("audio", "audio/wav", url="https://example.com/a.wav"),
    "video data": Media("video", "video/mp4", data="AAAAGA=="),
    "video url": Media("video", "video/mp4", url="https://example.com/a.mp4"),
}
CITATION = {"type": "char_location", "cited_text": "a", "document_index": 0}
SERVED = Opaque(ELSEWHERE, {"type": "server_search", "query": "weather"})
THOUGHT = Thinking("Hm.")


def _parts() -> Iterator[Saying]:
    kinds = ("image", "document", "file", "audio", "video", "media", "text completions")
    for title, part in MEDIA.items():
        yield _turn(title, "user", part, None, *kinds)
        inside = replace(RESULT, parts=(*RESULT.parts, part))
        yield _turn(f"{title} in a result", "user", RESULT, inside, *kinds)
    yield _turn("media.detail", "user", IMAGE, replace(IMAGE, detail="low"), "detail", "image")
    pdf = MEDIA["document data"]
    yield _turn("media.name", "user", pdf, replace(pdf, name="a.pdf"), "name", "document", "media:")
    text, cited = Text("a"), Text("a", (CITATION,), extras={ELSEWHERE: {}})
    yield _turn("text.citations", "assistant", text, cited, "citation", "text completions")
    marked: dict[str, tuple[ir.Role, Any]] = {
        "text": ("user", text),
        "media": ("user", IMAGE),
        "call": ("assistant", CALL),
        "result": ("user", RESULT),
    }
    for title, (role, part) in marked.items():
        yield _turn(f"{title}.cache", role, part, replace(part, cache=CACHED), "cache_control", "cachePoint")
    yield _turn("thinking.text", "assistant", THOUGHT, None, "thinking", "reasoning")
    signed = Thinking("Hm.", "c2ln", ELSEWHERE)
    yield _turn("thinking.signature", "assistant", signed, None, "thinking", "reasoning")
    hidden = Thinking("", "c2ln", ELSEWHERE, redacted=True)
    yield _turn("thinking.redacted", "assistant", hidden, None, "thinking", "reasoning")
    yield _turn("call", "assistant", CALL, None, "tool")
    thought = replace(CALL, signature="c2ln", origin=ELSEWHERE)
    yield _turn("call.signature", "assistant", CALL, thought, "signature", "thinking", "tool call")
    free = ToolCall(CALL.id, "weather", "free words", custom=True)
    yield _turn("call.custom", "assistant", CALL, free, "tool", "argument")
    yield _turn("result", "user", RESULT, None, "tool")
    yield _turn("result.is_error", "user", RESULT, replace(RESULT, is_error=True), "is_error", "tool")
    yield _turn("refusal", "assistant", RefusalText("No."), None, "refusal")
    yield _turn("opaque", "assistant", SERVED, None, "server_search", ELSEWHERE, "opaque")
    named = replace(BASE.messages[0], name="Ann")
    yield _asked("message.name", "name", messages=(named,))


SAYINGS = [*_sampled(), *_reasoned(), *_requested(), *_formed(), *_tooled(), *_parts()]


def unlisted() -> list[str]:
    """Fields of the IR that no saying is about."""
    known = {
        Sampling: set(SAMPLING),
        Reasoning: set(REASONING),
        Request: {*REQUEST, *NOT_FIELDS, "tools", "tool_choice", "format"},
        Format: {"kind", "schema", "name", "description", "strict"},
        ToolChoice: {"mode", "name", "parallel"},
        Tool: {"name", "description", "schema", "strict", "cache", "extras", "grammar"},
        Media: {"kind", "media_type", "data", "url", "file_id", "text", "name", "detail", "cache", "extras"},
        Text: {"text", "citations", "cache", "extras"},
        # A summary is thinking; its id means something to who made it.
        Thinking: {"text", "signature", "origin", "redacted", "summary", "id", "extras"},
        ToolCall: {"id", "name", "arguments", "signature", "origin", "custom", "cache", "extras"},
        # What a result says of its call's name and kind, the call says as well.
        ToolResult: {"call_id", "parts", "is_error", "name", "custom", "cache", "extras"},
        Message: {"role", "parts", "name", "extras"},
        Opaque: {"dialect", "raw", "text"},
        OpaqueTool: {"dialect", "kind", "raw"},
        RefusalText: {"text", "extras"},
    }
    return [
        f"{kind.__name__}.{f.name}"
        for kind, names in known.items()
        for f in fields(kind)
        if f.name not in names
    ]
