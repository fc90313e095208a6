"""What a call asks for, in the simulator's own words: every dialect reads its request into a `Prompt`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that may be called, with the JSON schema of its arguments."""

    name: str
    schema: Json


@dataclass(frozen=True, slots=True)
class CacheMark:
    """A part of the prompt that a provider would cache: its tokens and what identifies it.

    `automatic` caches (OpenAI, Gemini) never charge for writing.
    """

    tokens: int
    key: bytes
    hour: bool = False
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request for text. `text` is the last thing that was said to the model."""

    model: str
    text: str
    input_tokens: int
    after_tool: bool = False
    tools: tuple[Tool, ...] = ()
    force_tool: str | None = None  # a name, or "" for any
    forbid_tools: bool = False
    max_output: int | None = None
    stops: tuple[str, ...] = ()
    think: bool = False
    schema: Json | None = None  # the answer has to be JSON of this shape
    stream: bool = False
    n: int = 1
    cache: CacheMark | None = None
    body: Json = field(default_factory=dict)


def text_of(content: Any) -> str:
    """The readable text of a message's content, whatever dialect its parts are written in."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(filter(None, map(text_of, content)))
    if isinstance(content, dict):
        return _part_text(content)
    return ""


def _part_text(part: Json) -> str:
    for key in ("text", "content", "parts", "output", "toolResult"):
        if key in part:
            return text_of(part[key])
    response = part.get("functionResponse") or part.get("function_response")
    if isinstance(response, dict):
        return orjson.dumps(response.get("response")).decode()
    return orjson.dumps(part["json"]).decode() if "json" in part else ""


def as_list(value: Any) -> list[Any]:
    """A field that may be absent, one value or a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def as_dict(value: Any) -> Json:
    """A field that should be an object; anything else counts as empty."""
    return value if isinstance(value, dict) else {}


def dicts(value: Any) -> list[Json]:
    """The objects of a list field."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def positive(*values: Any) -> int | None:
    """The first whole number above zero."""
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool) and v > 0), None)


def strings(value: Any) -> tuple[str, ...]:
    """The non-empty strings of a field that may be one string or a list."""
    return tuple(item for item in as_list(value) if isinstance(item, str) and item)


def automatic_mark(tokens: int, parts: Iterable[Any]) -> CacheMark | None:
    """The prefix that OpenAI and Gemini cache unasked: from 1,024 tokens, in steps of 128."""
    if tokens < 1024:
        return None
    return CacheMark(tokens // 128 * 128, orjson.dumps(list(parts)), automatic=True)
