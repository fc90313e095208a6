"""What a person would read of the blocks that only Anthropic understands; "" where there is nothing."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.fields import mapping, objects

_PLAIN = ("title", "url", "source", "text", "stdout", "stderr", "content", "error_code", "tool_name")
DEPTH = 6


def words(block: Mapping[str, Any]) -> str:
    """The readable lines of a result block; calls to server tools and uploads say nothing."""
    kind = block.get("type")
    if not isinstance(kind, str) or kind.endswith("_use") or kind in ("container_upload", "fallback"):
        return ""
    return "\n".join(_lines(block, DEPTH))


def joined(content: object) -> str:
    """The texts of a content: a string, or blocks."""
    if isinstance(content, str):
        return content
    return "\n".join(t for block in objects(content) if isinstance(t := block.get("text"), str) and t)


def _lines(value: Mapping[str, Any], depth: int) -> list[str]:
    if not depth:
        return []
    lines: list[str] = []
    for name in _PLAIN:
        member = value.get(name)
        if isinstance(member, str):
            lines += [member] if member else []
        elif member:
            lines += _within(member, depth)
    return lines


def _within(member: object, depth: int) -> list[str]:
    """The lines of an object, or of a list of objects. Bytes that are not text say nothing."""
    found: list[str] = []
    for one in [mapping(member), *objects(member)]:
        if one.get("type") == "base64":
            continue
        plain = one.get("data") if one.get("type") == "text" else None
        found += [plain] if isinstance(plain, str) else _lines(one, depth - 1)
    return found
