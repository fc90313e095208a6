"""Calls and their results beside one another: most targets refuse a request in which anything is between.

Clients differ: one puts a reminder between a call and its result, one forgets the result of a call that
the user stopped, one cuts old turns away and leaves results whose calls are gone.
"""

from collections.abc import Sequence
from dataclasses import replace

from llm_intercept.wire.codec import Context
from llm_intercept.wire.ir import Media, Message, Opaque, Part, Text, ToolCall, ToolResult

MISSING = "The tool gave no result."


def settled(messages: Sequence[Message], context: Context) -> Sequence[Message]:
    """Each turn with calls is followed by the user's, with one result for each of them."""
    if _in_order(messages):
        return messages
    return _Settling(messages, context).written()


def _in_order(messages: Sequence[Message]) -> bool:
    waiting: list[str] = []
    for message in messages:
        answered = [part.call_id for part in message.parts if isinstance(part, ToolResult)]
        if (waiting or answered) and sorted(answered) != sorted(waiting):
            return False
        waiting = _calls(message)
    return not waiting


def _calls(message: Message) -> list[str]:
    if message.role != "assistant":
        return []
    return [part.id for part in message.parts if isinstance(part, ToolCall)]


class _Settling:
    """Gives each result to the latest call of its id that has none yet."""

    def __init__(self, messages: Sequence[Message], context: Context) -> None:
        self._messages = messages
        self._context = context
        self._results: list[list[Part]] = [[] for _ in messages]  # of the calls of each turn
        self._rest: list[list[Part]] = []  # what else each turn says
        self._open: dict[str, tuple[int, ToolCall]] = {}
        for at, message in enumerate(messages):
            self._rest.append(self._sorted(at, message))
        for call_id in list(self._open):
            self._supply(call_id)

    def _sorted(self, at: int, message: Message) -> list[Part]:
        rest: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                rest += self._answer(at, part)
            else:
                rest.append(part)
            if isinstance(part, ToolCall) and message.role == "assistant":
                self._supply(part.id)
                self._open[part.id] = at, part
        return rest

    def _answer(self, at: int, result: ToolResult) -> list[Part]:
        """Where it belongs; or in words, if no call is known that it is the result of."""
        turn, _ = self._open.pop(result.call_id, (-1, None))
        if turn < 0:
            self._context.warn("messages: a tool result without its call became text")
            return _in_words(result)
        if turn + 1 < at:
            self._context.warn("messages: a tool result was put right after its call")
        self._results[turn].append(result)
        return []

    def _supply(self, call_id: str) -> None:
        turn, call = self._open.pop(call_id, (-1, None))
        if call is not None:
            self._context.warn("messages: a tool call had no result; an error result was supplied")
            supplied = ToolResult(call.id, (Text(MISSING),), True, call.name, call.custom)
            self._results[turn].append(supplied)

    def written(self) -> list[Message]:
        found: list[Message] = []
        before: list[Part] = []  # results that the next turn begins with
        for message, rest, results in zip(self._messages, self._rest, self._results, strict=True):
            if before and message.role != "user":
                found.append(Message("user", tuple(before)))
                before = []
            parts = (*before, *rest)
            before = results
            if parts or not message.parts:
                found.append(replace(message, parts=parts))
        return [*found, Message("user", tuple(before))] if before else found


def _in_words(result: ToolResult) -> list[Part]:
    words = "\n".join(part.text for part in result.parts if isinstance(part, Text | Opaque) and part.text)
    media = [part for part in result.parts if isinstance(part, Media)]
    return [Text(f"[tool result] {words}".rstrip()), *media]
