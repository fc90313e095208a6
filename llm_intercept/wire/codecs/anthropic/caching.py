"""Cache breakpoints for clients of dialects where the provider caches by itself.

Anthropic caches only up to a breakpoint. A client that names a cache key expects its long prefix to be
cached; without breakpoints each turn would be paid in full.
"""

from typing import Any

from llm_intercept.wire.codecs.anthropic.members import EPHEMERAL

_NOT_MARKED = ("thinking", "redacted_thinking")


def mark(body: dict[str, Any]) -> None:
    """Marks the end of tools and system prompt, and the end of the conversation, unless marks are there."""
    if any("cache_control" in block for block in _blocks(body)):
        return
    prefix = body.get("system") or body.get("tools")
    if isinstance(prefix, list):
        prefix[-1] = {**prefix[-1], "cache_control": dict(EPHEMERAL)}
    last = body["messages"][-1]["content"]
    if isinstance(last, list) and last and last[-1].get("type") not in _NOT_MARKED:
        last[-1] = {**last[-1], "cache_control": dict(EPHEMERAL)}


def _blocks(body: dict[str, Any]) -> list[dict[str, Any]]:
    contents = [body.get("system"), body.get("tools"), *(m["content"] for m in body["messages"])]
    return [block for content in contents if isinstance(content, list) for block in content]
