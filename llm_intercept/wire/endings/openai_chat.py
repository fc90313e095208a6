"""OpenAI's chat completions, and its older completions: `length`, then usage, then [DONE]."""

from collections.abc import Mapping
from typing import Any

import orjson

from llm_intercept.wire.fields import objects
from llm_intercept.wire.framing import Frame
from llm_intercept.wire.usage import Usage

_SAID_ELSEWHERE = frozenset(("choices", "usage", "obfuscation", "error"))


class Ending:
    """`text`: completions, whose choices hold a text and no delta."""

    def __init__(self, member: str = "delta") -> None:
        self._member = member
        self._common: dict[str, Any] = {}
        self._open: dict[object, bool] = {}

    def see(self, event: str, payload: Mapping[str, Any]) -> None:
        if not self._common:
            self._common = {name: value for name, value in payload.items() if name not in _SAID_ELSEWHERE}
        for choice in objects(payload.get("choices")):
            self._open[choice.get("index", 0)] = not choice.get("finish_reason")

    def frames(self, usage: Usage, asks_usage: bool) -> list[Frame]:
        empty: Any = "" if self._member == "text" else {}
        choices = [
            {"index": index, self._member: empty, "logprobs": None, "finish_reason": "length"}
            for index, is_open in self._open.items()
            if is_open
        ]
        if not choices:
            return []
        more = {"usage": None} if asks_usage else {}
        found = [orjson.dumps({**self._common, "choices": choices, **more})]
        if asks_usage:
            found.append(orjson.dumps({**self._common, "choices": [], "usage": _told(usage)}))
        return [("", data) for data in (*found, b"[DONE]")]


def _told(usage: Usage) -> dict[str, object]:
    read, made = usage.input or 0, usage.output or 0
    return {"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made}
