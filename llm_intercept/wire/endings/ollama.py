"""Ollama, chat and generate: a last line that is done, for `length`."""

from collections.abc import Mapping
from typing import Any

import orjson

from llm_intercept.wire.framing import Frame
from llm_intercept.wire.usage import Usage

_COMMON = ("model", "created_at", "remote_model", "remote_host")


class Ending:
    def __init__(self) -> None:
        self._last: Mapping[str, Any] = {}

    def see(self, event: str, payload: Mapping[str, Any]) -> None:
        self._last = payload

    def frames(self, usage: Usage, asks_usage: bool) -> list[Frame]:
        last = self._last
        if not last or last.get("done"):
            return []
        said: dict[str, Any] = {name: last[name] for name in _COMMON if name in last}
        if "message" in last:
            said["message"] = {"role": "assistant", "content": ""}
        else:
            said["response"] = ""
        said |= {"done": True, "done_reason": "length"}
        said |= {"prompt_eval_count": usage.input or 0, "eval_count": usage.output or 0}
        return [("", orjson.dumps(said))]
