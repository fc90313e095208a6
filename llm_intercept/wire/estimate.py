"""How many tokens a prompt has, where no provider can be asked: words, tools, images, and what frames them.

Words and the JSON of tools go through a tokenizer that the caller gives; images count by their size, as
Anthropic counts them; other media by rules of thumb. Deterministic, and total: any body has a number.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from math import ceil
from typing import Any

import orjson

from llm_intercept.wire import dialects
from llm_intercept.wire.fields import items, mapping, parse_object, text
from llm_intercept.wire.imagesize import image_size

PER_MESSAGE = 3
PER_ANSWER = 3  # what every request ends with: the answer's beginning
LONGEST_EDGE = 1568  # larger images are made smaller before a model sees them
PIXELS_PER_TOKEN = 750
IMAGE = 1600  # of unknown size: the most that one has
PAGE = 2000  # of a PDF, which is read as text and as an image
BYTES_PER_TOKEN = 500  # of sound: 32 tokens for a second of 128 kbit/s
UNKNOWN = 258  # media that only the provider can fetch

_HEAD = 262_144  # characters of base64 in which the size of an image is found
_PAGES = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^,]*)?,", re.DOTALL)
_TOOLS = ("tools", "toolConfig", "tool_config", "functions", "output_config", "response_format")
_MESSAGES = ("messages", "contents", "input")
_SOURCES = ("source", "inlineData", "inline_data", "fileData", "input_audio")
_LINKS = ("image_url", "file_data", "file_url", "file_id", "file_uri")
_HOLDERS = frozenset(("images", *_LINKS, *_SOURCES))  # members that may be media
_PLAIN = ("txt", "md", "csv", "html", "application/json")


def tokens(dialect: str, body: bytes, count: Callable[[str], int]) -> int:
    """Of the request that `body` asks about."""
    dialect, prompt = _asked(dialect, parse_object(body))
    tools = [prompt.pop(name) for name in _TOOLS if prompt.get(name)]
    said = dialects.get(dialect).prompt_text(orjson.dumps(prompt))
    seen = 0
    for words, weight in _media(prompt):
        said, seen = f"{said}\n{words}" if words else said, seen + weight
    defined = sum(count(orjson.dumps(tool).decode()) for tool in tools)
    turns = max([len(items(prompt.get(name))) for name in _MESSAGES])
    return count(said) + defined + seen + PER_MESSAGE * turns + PER_ANSWER


ANSWERS: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "anthropic": lambda n: {"input_tokens": n},
    "openai_responses": lambda n: {"object": "response.input_tokens", "input_tokens": n},
    "bedrock_converse": lambda n: {"inputTokens": n},
    "gemini": lambda n: {
        "totalTokens": n,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": n}],
    },
}
"""dialect -> the answer to a question for a count."""


def _asked(dialect: str, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The request itself: some dialects wrap it, and Bedrock's invoke has it in base64."""
    wrapped = mapping(body.get("generateContentRequest"))
    if wrapped:
        return dialect, wrapped
    inner = mapping(body.get("input"))
    if converse := mapping(inner.get("converse")):
        return dialect, converse
    if invoked := text(mapping(inner.get("invokeModel")).get("body"), 100_000_000):
        return "bedrock_invoke", parse_object(_decoded(invoked))
    return dialect, body


def _decoded(base64: str) -> bytes:
    try:
        return b64decode(base64 + "=" * (-len(base64) % 4))
    except (binascii.Error, ValueError):
        return b""


def _media(prompt: object) -> Iterator[tuple[str, int]]:
    """(words, tokens) of everything that is no plain text; without recursion."""
    stack = [prompt]
    while stack:
        current = stack.pop()
        if isinstance(current, dict):
            for name, value in current.items():
                found = _medium(name, value, current) if name in _HOLDERS else None
                if found is not None:
                    yield found
                elif isinstance(value, dict | list):
                    stack.append(value)
        elif isinstance(current, list):
            stack.extend(current)


def _medium(name: str, value: object, owner: Mapping[str, Any]) -> tuple[str, int] | None:
    """What a member weighs if it is a medium; None for one to look into."""
    if name == "images" and items(value):  # Ollama's
        return "", sum(_weight("image/", text(image, _HEAD), len(str(image))) for image in items(value))
    if name in _LINKS and value:
        link = text(mapping(value).get("url") if isinstance(value, dict) else value, 100_000_000)
        return "", _linked(link, image=name == "image_url")
    if name not in _SOURCES or not isinstance(value, dict):
        return None
    if value.get("type") in ("text", "content") or "text" in value or isinstance(value.get("content"), list):
        return _text_source(value)
    kind = text(value.get("media_type") or value.get("mimeType") or value.get("mime_type"))
    data = text(value.get("data") or value.get("bytes"), 100_000_000)
    if not data:
        return "", _reference(kind, owner)
    kind = kind or _kind(owner)
    if kind.startswith("text/") or kind in _PLAIN:
        return _decoded(data).decode("utf-8", "replace"), 0
    return "", _weight(kind, data, len(data))


def _text_source(source: Mapping[str, Any]) -> tuple[str, int]:
    """A document that is text after all; its pictures, if it has any, weigh as others do."""
    plain = text(source.get("data") or source.get("text"), 4_000_000)
    inside = items(source.get("content"))
    words = [plain, *(text(part.get("text"), 4_000_000) for part in inside if isinstance(part, dict))]
    return "\n".join(filter(None, words)), sum(weight for _, weight in _media(inside))


def _kind(owner: Mapping[str, Any]) -> str:
    """Bedrock's media say their format beside their source."""
    kind = text(owner.get("type") or owner.get("format"))
    if kind in ("pdf", "document"):
        return "application/pdf"
    return "image/" if kind in ("image", "png", "jpeg", "jpg", "gif", "webp") else kind


def _reference(kind: str, owner: Mapping[str, Any]) -> int:
    kind = kind or _kind(owner)
    if kind.startswith("image"):
        return IMAGE
    return PAGE if kind == "application/pdf" else UNKNOWN


def _linked(link: str, *, image: bool) -> int:
    found = _DATA_URL.match(link)
    if found is not None:
        return _weight(found[1], link[found.end() :], len(link) - found.end())
    return IMAGE if image else UNKNOWN


def _weight(kind: str, data: str, length: int) -> int:
    """`data` is base64."""
    if kind.startswith("image"):
        return _image(data)
    if kind == "application/pdf":
        return PAGE * max(1, len(_PAGES.findall(_decoded(data))))
    return max(1, ceil(length * 3 / 4 / BYTES_PER_TOKEN))


def _image(data: str) -> int:
    size = image_size(_decoded(data[: _HEAD - _HEAD % 4]))
    if size is None:
        return IMAGE
    scale = min(1.0, LONGEST_EDGE / max(size))
    pixels = size[0] * scale * size[1] * scale
    return max(1, min(IMAGE, ceil(pixels / PIXELS_PER_TOKEN)))
