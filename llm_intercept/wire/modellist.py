"""Lists of models in the shapes of OpenAI, Anthropic and Gemini, page by page, and single models. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from llm_intercept.errors import Refusal

type Document = dict[str, Any]

ANTHROPIC_PAGE = 20
GEMINI_PAGE = 50
LARGEST_PAGE = 1000
# No catalogue says when a model was made; Anthropic documents the epoch for that case.
_UNKNOWN_TIME = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Entry:
    """A model as it can be asked for. `owner` is the provider that answers."""

    id: str
    owner: str
    title: str = ""
    context: int | None = None
    max_output: int | None = None
    embeds: bool = False


class _Unknown(Exception):
    """A cursor that is no model of the list."""


def page(shape: str, entries: Sequence[Entry], query: str) -> Document | Refusal:
    """The list, or the part of it that `query` asks for."""
    asked = {name: values[-1] for name, values in parse_qs(query).items()}
    try:
        return _PAGES[shape](entries, asked)
    except _Unknown as error:
        return Refusal("invalid_request", "cursor_unknown", f"There is no model {str(error)[:200]!r} here.")


def single(shape: str, entry: Entry) -> Document:
    return _ENTRIES[shape](entry)


def _openai(entry: Entry) -> Document:
    document: Document = {"id": entry.id, "object": "model", "created": 0, "owned_by": entry.owner}
    return document if entry.context is None else document | {"context_length": entry.context}


def _anthropic(entry: Entry) -> Document:
    return {
        "type": "model",
        "id": entry.id,
        "display_name": entry.title or entry.id,
        "created_at": _UNKNOWN_TIME,
        "lifecycle": "active",
        "max_input_tokens": entry.context,
        "max_tokens": entry.max_output,
    }


def _gemini(entry: Entry) -> Document:
    methods = ["embedContent", "batchEmbedContents"]
    document: Document = {
        "name": f"models/{entry.id}",
        "version": "",
        "displayName": entry.title or entry.id,
        "description": f"answered by {entry.owner}",
        "supportedGenerationMethods": methods if entry.embeds else ["generateContent", "countTokens"],
    }
    limits = {"inputTokenLimit": entry.context, "outputTokenLimit": entry.max_output}
    return document | {name: limit for name, limit in limits.items() if limit is not None}


def _openai_page(entries: Sequence[Entry], asked: Mapping[str, str]) -> Document:
    """OpenAI's own has no pages; some of those that follow it have."""
    start = _index(entries, asked["after"]) + 1 if "after" in asked else 0
    size = _size(asked.get("limit"), len(entries))
    return {"object": "list", "data": [_openai(entry) for entry in entries[start : start + size]]}


def _anthropic_page(entries: Sequence[Entry], asked: Mapping[str, str]) -> Document:
    size = _size(asked.get("limit"), ANTHROPIC_PAGE)
    if "before_id" in asked:
        end = _index(entries, asked["before_id"])
        start = max(0, end - size)
        more = start > 0
    else:
        start = _index(entries, asked["after_id"]) + 1 if "after_id" in asked else 0
        end = start + size
        more = end < len(entries)
    shown = entries[start:end]
    ends = (
        {"first_id": shown[0].id, "last_id": shown[-1].id} if shown else {"first_id": None, "last_id": None}
    )
    return {"data": [_anthropic(entry) for entry in shown], "has_more": more, **ends}


def _gemini_page(entries: Sequence[Entry], asked: Mapping[str, str]) -> Document:
    token = asked.get("pageToken", asked.get("page_token", ""))
    start = int(token) if token.isascii() and token.isdigit() else 0
    if token and not 0 < start < len(entries):
        raise _Unknown(token)
    end = start + _size(asked.get("pageSize", asked.get("page_size")), GEMINI_PAGE)
    document: Document = {"models": [_gemini(entry) for entry in entries[start:end]]}
    return document | ({"nextPageToken": str(end)} if end < len(entries) else {})


def _index(entries: Sequence[Entry], name: str) -> int:
    for index, entry in enumerate(entries):
        if entry.id == name:
            return index
    raise _Unknown(name)


def _size(text: str | None, otherwise: int) -> int:
    """What is no number counts as not said."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 6:
        return otherwise
    return min(int(text), LARGEST_PAGE) or otherwise


_ENTRIES: Mapping[str, Callable[[Entry], Document]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "gemini": _gemini,
}
_PAGES: Mapping[str, Callable[[Sequence[Entry], Mapping[str, str]], Document]] = {
    "openai": _openai_page,
    "anthropic": _anthropic_page,
    "gemini": _gemini_page,
}
