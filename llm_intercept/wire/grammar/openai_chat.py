"""The chunks of OpenAI's chat completions.

`id`: "Each chunk has the same ID." `created`: "Each chunk has the same timestamp." `object`: "always
`chat.completion.chunk`". `choices`: "Can contain more than one elements if `n` is greater than 1. Can also
be empty for the last chunk if you set `stream_options: {"include_usage": true}`." `finish_reason`: "`stop`
if the model hit a natural stop point or a provided stop sequence, `length` if the maximum number of tokens
... was reached, `content_filter` ..., `tool_calls` if the model called a tool, or `function_call`
(deprecated)". `include_usage`: "an additional chunk will be streamed before the `data: [DONE]` message. The
`usage` field on this chunk shows the token usage statistics for the entire request, and the `choices` field
will always be an empty array. All other chunks will also include a `usage` field, but with a null value."
`stream`: "partial message deltas will be sent ..., with the stream terminated by a `data: [DONE]` message."
(platform.openai.com, API reference, Chat). The first delta of a choice has its role; arguments are "in JSON
format".
"""

from typing import Any

from llm_intercept.wire.grammar._machine import Machine, Raw, is_count, is_object, is_text, shown

_REASONS = frozenset(("stop", "length", "tool_calls", "content_filter", "function_call"))
_CUT = frozenset(("length", "content_filter"))
_CONTENT = ("content", "tool_calls", "refusal", "function_call", "reasoning_content", "reasoning")
_USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")
_MOST = 256  # choices, and calls of each


class _Call:
    __slots__ = ("custom", "id", "name", "pieces")

    def __init__(self, raw: Raw) -> None:
        self.id = raw.get("id")
        self.custom = raw.get("type") == "custom" or "custom" in raw
        inner = raw.get("custom" if self.custom else "function")
        self.name: Any = inner.get("name") if type(inner) is dict else None
        self.pieces: list[str] = []


class _Choice:
    __slots__ = ("calls", "finish", "index")

    def __init__(self, index: object) -> None:
        self.index = shown(index)
        self.finish: str | None = None
        self.calls: dict[int, _Call] = {}


class Grammar(Machine):
    __slots__ = ("_choices", "_created", "_failed", "_id", "_over", "_usages")

    def __init__(self, asks_usage: bool = False) -> None:
        super().__init__(asks_usage)
        self._id: str | None = None
        self._created: int | None = None
        self._choices: dict[int, _Choice] = {}
        self._usages = 0
        self._failed = self._over = False

    def _read(self, event: str, payload: Raw) -> None:
        if self._over:
            self._say("a chunk after [DONE]")
        elif self._failed:
            self._say("a chunk after the error")
        if payload.get("error") is not None:
            self._error(payload["error"])
            if "choices" not in payload:
                return
        if payload.get("id") != self._id or payload.get("created") != self._created or not self._id:
            self._identity(payload)
        if payload.get("object") != "chat.completion.chunk":
            self._say(f"a chunk has the object {shown(payload.get('object'))}, not chat.completion.chunk")
        for choice in payload["choices"]:
            self._choice(choice)
        if payload.get("usage") is not None:
            self._usage(payload["usage"])

    def _identity(self, payload: Raw) -> None:
        """Of the first chunk, or of one that differs."""
        if not is_text(payload.get("id")):
            self._say("a chunk has no id")
        elif self._id is not None and payload["id"] != self._id:
            self._say("chunks have different ids")
        else:
            self._id = payload["id"]
        if not is_count(payload.get("created")):
            self._say("a chunk has no created")
        elif self._created is not None and payload["created"] != self._created:
            self._say("chunks have different times in created")
        else:
            self._created = payload["created"]
        if not is_text(payload.get("model")):
            self._say("a chunk has no model")

    def _choice(self, raw: Raw) -> None:
        index, delta = raw["index"], raw["delta"]
        choice = self._choices.get(index)
        if choice is None:
            choice = self._begin(index, delta)
        elif choice.finish is not None and any(delta.get(name) for name in _CONTENT):
            self._say(f"content for choice {choice.index} after its finish_reason")
        content = delta.get("content")
        if content is not None and type(content) is not str:
            self._say("content is neither text nor null")
        calls = delta.get("tool_calls")
        if calls:
            for call in calls:
                self._call(choice, call)
        reason = raw.get("finish_reason")
        if reason is not None:
            self._finish(choice, reason)

    def _begin(self, index: int, delta: Raw) -> _Choice:
        choice = self._choices[index] = _Choice(index)
        self._deaf = self._deaf or len(self._choices) > _MOST
        if not is_count(index):
            self._say(f"a choice has the index {shown(index)}")
        if delta.get("role") != "assistant":
            self._say(f"the first delta of choice {choice.index} has no role")
        return choice

    def _call(self, choice: _Choice, raw: Raw) -> None:
        index = raw["index"]
        call = choice.calls.get(index)
        if call is None:
            call = self._begin_call(choice, index, raw)
        elif raw.get("id") and raw["id"] != call.id:
            self._say(f"tool call {shown(index)} changes its id")
        inner = raw.get("custom" if call.custom else "function")
        if inner is not None:
            piece = inner.get("input" if call.custom else "arguments")
            if piece is not None:
                self._keep(call.pieces, piece)

    def _begin_call(self, choice: _Choice, index: int, raw: Raw) -> _Call:
        if index != len(choice.calls):
            self._say(f"a tool call has the index {shown(index)}, but {len(choice.calls)} comes next")
        call = choice.calls[index] = _Call(raw)
        self._deaf = self._deaf or len(choice.calls) > _MOST
        if not is_text(call.id):
            self._say(f"tool call {shown(index)} begins without an id")
        if not is_text(call.name):
            self._say(f"tool call {shown(index)} begins without a name")
        return call

    def _finish(self, choice: _Choice, reason: object) -> None:
        if choice.finish is not None:
            self._say(f"choice {choice.index} has a second finish_reason")
            return
        choice.finish = str(reason)
        if reason not in _REASONS:
            self._say(f"finish_reason {shown(reason)} is none that is documented")
        if reason == "tool_calls" and not choice.calls:
            self._say("finish_reason is tool_calls, but there is no tool call")

    def _usage(self, usage: Raw) -> None:
        self._usages += 1
        if self._usages > 1:
            self._say("usage comes in more than one chunk")
        for name in _USAGE:
            if not is_count(usage.get(name)):
                self._say(f"usage has no {name}")

    def _error(self, error: object) -> None:
        if type(error) is not dict or type(error.get("message")) is not str:
            self._say("an error without a message")
        self._failed = True

    def _done(self) -> None:
        if self._over:
            self._say("a second [DONE]")
            return
        self._over = True
        if not self._failed:
            self._complete()

    def _complete(self) -> None:
        if not self._choices:
            self._say("the stream has no choice")
        for choice in self._choices.values():
            if choice.finish is None:
                self._say(f"choice {choice.index} has no finish_reason")
            if choice.finish not in _CUT:
                self._arguments(choice)
        if self._asks_usage and not self._usages:
            self._say("usage was asked for, but none came")

    def _arguments(self, choice: _Choice) -> None:
        for index, call in choice.calls.items():
            if not call.custom and not is_object("".join(call.pieces)):
                name = shown(call.name)
                self._say(f"the arguments of tool call {index} ({name}) do not add up to a JSON object")

    def _end(self) -> None:
        if not self._over and not self._failed:
            self._say("the stream ended without [DONE]")
            self._complete()
