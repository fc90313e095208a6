"""Gemini: one more chunk, whose candidates have finished for `MAX_TOKENS`."""

from collections.abc import Mapping
from typing import Any

import orjson

from llm_intercept.wire.fields import objects
from llm_intercept.wire.framing import Frame
from llm_intercept.wire.usage import Usage

_SAID_ELSEWHERE = frozenset(("candidates", "usageMetadata", "promptFeedback", "error"))


class Ending:
    def __init__(self) -> None:
        self._common: dict[str, Any] = {}
        self._usage: Mapping[str, Any] = {}
        self._open: dict[int, bool] = {}

    def see(self, event: str, payload: Mapping[str, Any]) -> None:
        self._common = {name: value for name, value in payload.items() if name not in _SAID_ELSEWHERE}
        told = payload.get("usageMetadata")
        self._usage = told if isinstance(told, dict) else self._usage
        for candidate in objects(payload.get("candidates")):
            self._open[candidate.get("index") or 0] = not candidate.get("finishReason")

    def frames(self, usage: Usage, asks_usage: bool) -> list[Frame]:
        content = {"parts": [{"text": ""}], "role": "model"}
        candidates = [
            {"content": content, "finishReason": "MAX_TOKENS", "index": index}
            for index, is_open in self._open.items()
            if is_open
        ]
        if not candidates:
            return []
        said = {"candidates": candidates, "usageMetadata": self._told(usage), **self._common}
        return [("", orjson.dumps(said))]

    def _told(self, usage: Usage) -> dict[str, Any]:
        """Thoughts are counted apart here; what was said of them last still holds."""
        read, made = usage.input or 0, usage.output or 0
        thought = self._usage.get("thoughtsTokenCount") or 0
        counted = {"candidatesTokenCount": max(0, made - thought), "totalTokenCount": read + made}
        return {**self._usage, "promptTokenCount": read, **counted}
