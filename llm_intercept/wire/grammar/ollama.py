"""The lines of Ollama's /api/chat, and of /api/generate, which have `response` in place of `message`.

"Streaming endpoints return application/x-ndjson": one object a line. "`message`: the assistant's", with
`role`, `content`, `thinking`, `images` and `tool_calls`; "`created_at`: timestamp of response creation",
"`done`: indicates whether the chat response has finished", and with the last line "`done_reason`: reason
the response finished", the durations and "`prompt_eval_count`: number of tokens in the prompt",
"`eval_count`: number of tokens generated". Arguments of tool calls are objects. An error in the stream is a
line with `error`, and the last one. (docs.ollama.com, API reference, chat, streaming, errors)
"""

from llm_intercept.wire.grammar._machine import Machine, Raw, is_count, is_text, shown

_COUNTERS = ("prompt_eval_count", "eval_count", "total_duration", "load_duration")


class Grammar(Machine):
    __slots__ = ("_model", "_over")

    def __init__(self, asks_usage: bool = False) -> None:
        super().__init__(asks_usage)
        self._model: str | None = None
        self._over = ""

    def _read(self, event: str, payload: Raw) -> None:
        if self._over:
            self._say(f"a line after {self._over}")
        if "error" in payload:
            self._over = "the error"
            if not is_text(payload["error"]):
                self._say("an error without words")
            return
        self._head(payload)
        if type(payload.get("response")) is not str or "message" in payload:
            self._message(payload["message"])
        if payload["done"] is True:
            self._last(payload)
        elif payload["done"] is not False:
            self._say(f"done is {shown(payload['done'])}")

    def _head(self, payload: Raw) -> None:
        if not is_text(payload.get("created_at")):
            self._say("a line has no created_at")
        model = payload.get("model")
        if not is_text(model):
            self._say("a line has no model")
        elif model != self._model:
            if self._model is not None:
                self._say("lines have different models")
            self._model = model

    def _message(self, message: Raw) -> None:
        if message.get("role") != "assistant":
            self._say(f"a message has the role {shown(message.get('role'))}")
        for name in ("content", "thinking"):
            if type(message.get(name, "")) is not str:
                self._say(f"{name} of a message is no text")
        if "tool_calls" in message:
            for call in message["tool_calls"]:
                self._call(call["function"])

    def _call(self, function: Raw) -> None:
        if not is_text(function.get("name")):
            self._say("a tool call has no name")
        if type(function.get("arguments")) is not dict:
            self._say(f"the arguments of {shown(function.get('name'))} are no object")

    def _last(self, payload: Raw) -> None:
        self._over = "the last one"
        if not is_text(payload.get("done_reason")):
            self._say("the last line has no done_reason")
        for name in _COUNTERS:
            if not is_count(payload.get(name, 0)):
                self._say(f"{name} is {shown(payload[name])}")

    def _end(self) -> None:
        if not self._over:
            self._say("the stream ended without a line that says done")
