"""Bedrock's Converse: the open block stops, `messageStop` says `max_tokens`, `metadata` has the usage."""

from collections.abc import Mapping
from typing import Any

import orjson

from llm_intercept.wire.framing import Frame
from llm_intercept.wire.usage import Usage

_BLOCK = ("contentBlockStart", "contentBlockDelta")


class Ending:
    def __init__(self) -> None:
        self._begun = False
        self._open: dict[object, None] = {}

    def see(self, event: str, payload: Mapping[str, Any]) -> None:
        if event == "messageStart":
            self._begun = True
        elif event in _BLOCK:
            self._open[payload.get("contentBlockIndex")] = None
        elif event == "contentBlockStop":
            self._open.pop(payload.get("contentBlockIndex"), None)

    def frames(self, usage: Usage, asks_usage: bool) -> list[Frame]:
        if not self._begun:
            return []
        read, made = usage.input or 0, usage.output or 0
        cached = {"cacheReadInputTokens": usage.cache_read, "cacheWriteInputTokens": usage.cache_write}
        uncached = read - (usage.cache_read or 0) - (usage.cache_write or 0)
        told = {"inputTokens": max(0, uncached), "outputTokens": made, "totalTokens": read + made}
        told |= {name: count for name, count in cached.items() if count is not None}
        return [
            *(("contentBlockStop", orjson.dumps({"contentBlockIndex": index})) for index in self._open),
            ("messageStop", orjson.dumps({"stopReason": "max_tokens"})),
            ("metadata", orjson.dumps({"usage": told})),
        ]
