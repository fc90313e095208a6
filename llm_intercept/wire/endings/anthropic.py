"""Anthropic's messages: the open block stops, `message_delta` says `max_tokens`, `message_stop` ends."""

from collections.abc import Mapping
from typing import Any

import orjson

from llm_intercept.wire.framing import Frame
from llm_intercept.wire.usage import Usage


class Ending:
    def __init__(self) -> None:
        self._begun = False
        self._open: list[object] = []

    def see(self, event: str, payload: Mapping[str, Any]) -> None:
        kind = payload.get("type")
        if kind == "message_start":
            self._begun = True
        elif kind == "content_block_start":
            self._open.append(payload.get("index"))
        elif kind == "content_block_stop" and payload.get("index") in self._open:
            self._open.remove(payload.get("index"))

    def frames(self, usage: Usage, asks_usage: bool) -> list[Frame]:
        if not self._begun:
            return []
        delta = {"stop_reason": "max_tokens", "stop_sequence": None}
        told = {"output_tokens": usage.output or 0}
        return [
            *(_frame("content_block_stop", {"index": index}) for index in self._open),
            _frame("message_delta", {"delta": delta, "usage": told}),
            _frame("message_stop", {}),
        ]


def _frame(kind: str, members: Mapping[str, object]) -> Frame:
    return kind, orjson.dumps({"type": kind, **members})
