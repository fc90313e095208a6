"""Cohere's chat (v2): the open content ends, `message-end` says `MAX_TOKENS`."""

from collections.abc import Mapping
from typing import Any

import orjson

from llm_intercept.wire.framing import Frame
from llm_intercept.wire.usage import Usage

_ENDS = {"content-start": "content-end", "tool-call-start": "tool-call-end", "citation-start": "citation-end"}


class Ending:
    def __init__(self) -> None:
        self._begun = False
        self._open: dict[tuple[str, object], None] = {}

    def see(self, event: str, payload: Mapping[str, Any]) -> None:
        kind = str(payload.get("type"))
        if kind == "message-start":
            self._begun = True
        elif kind in _ENDS:
            self._open[_ENDS[kind], payload.get("index")] = None
        else:
            self._open.pop((kind, payload.get("index")), None)

    def frames(self, usage: Usage, asks_usage: bool) -> list[Frame]:
        if not self._begun:
            return []
        counted = {"input_tokens": usage.input or 0, "output_tokens": usage.output or 0}
        delta = {"finish_reason": "MAX_TOKENS", "usage": {"billed_units": counted, "tokens": counted}}
        return [
            *(_frame(kind, {"index": index}) for kind, index in self._open),
            _frame("message-end", {"delta": delta}),
        ]


def _frame(kind: str, members: Mapping[str, object]) -> Frame:
    return kind, orjson.dumps({"type": kind, **members})
