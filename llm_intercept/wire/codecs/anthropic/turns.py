"""The conversation as Anthropic wants it: turns of two roles, results right after their calls.

What the API enforces and other dialects do not: the first turn is the user's; consecutive turns of one
role are one turn; a turn with calls is followed by one that begins with a result for each of them, and
results stand nowhere else. System messages inside are kept where the client wrote them that way (Claude
Code does); of other dialects only the first ones are system prompt, later ones become the user's words.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.anthropic.blocks_out import Block, RequestBlocks
from llm_intercept.wire.codecs.anthropic.members import FORM, INSIDE, own, written
from llm_intercept.wire.codecs.anthropic.readable import joined
from llm_intercept.wire.families import structured
from llm_intercept.wire.ir import Message

SYSTEM = ("system", "developer")
MEDIA = ("image", "document")
NOTHING_SAID = "."  # a turn must have text; this says the least


@dataclass(slots=True)
class Turn:
    """One message of the wire. `string`: its only text is written as a string, as the client did."""

    role: str
    blocks: list[Block]
    members: dict[str, Any] = field(default_factory=dict)
    string: bool = False

    def body(self) -> dict[str, Any]:
        plain = self.string and len(self.blocks) == 1 and self.blocks[0].keys() == {"type", "text"}
        content = self.blocks[0]["text"] if plain else self.blocks
        return {"role": self.role, "content": content, **self.members}

    def calls(self) -> list[str]:
        return [block["id"] for block in self.blocks if block["type"] == "tool_use"]


@dataclass(slots=True)
class Conversation:
    system: list[Turn]
    turns: list[Turn]

    def can_think(self) -> bool:
        """Within a loop of tool calls a model with a thinking budget wants its thinking back."""
        before = next((turn for turn in reversed(self.turns) if turn.role == "assistant"), None)
        if before is None or before is self.turns[-1] or not before.calls():
            return True
        return before.blocks[0]["type"] in ("thinking", "redacted_thinking")


def build(messages: Iterable[Message], blocks: RequestBlocks) -> Conversation:
    """System prompt and turns of these messages."""
    context = blocks.context
    system: list[Turn] = []
    turns: list[Turn] = []
    for message in messages:
        role = _role(message, begun=bool(turns), context=context)
        turn = _turn(role, message, blocks)
        if role == "prompt":
            system.append(turn)
        elif turn.blocks:
            _append(turns, turn, blocks.native)
    _settle(turns, context)
    if not blocks.native:
        _trim(turns[-1])
    return Conversation(system, turns)


def _role(message: Message, begun: bool, context: Context) -> str:
    """`prompt` for the system prompt, else the role on the wire."""
    if message.role not in SYSTEM:
        return message.role
    if INSIDE in own(message.extras):
        return "system"
    if not begun:
        return "prompt"
    context.warn(f"messages: a later {message.role} message became part of a user message")
    return "user"


def _turn(role: str, message: Message, blocks: RequestBlocks) -> Turn:
    new = blocks.written(message.parts)
    if role != "user" and not blocks.native:
        new = [_words_only(block, role, blocks.context) for block in new]
    mine = own(message.extras)
    return Turn(role, new, written(message.extras) if mine else {}, mine.get(FORM) == "string")


def _words_only(block: Block, role: str, context: Context) -> Block:
    """Images and documents are the user's alone."""
    if block["type"] not in MEDIA:
        return block
    context.warn(f"messages: a message of role {role} has no {block['type']} with Anthropic; left out")
    return _text(f"[{block['type']} left out]")


def _append(turns: list[Turn], turn: Turn, native: bool) -> None:
    """What a client of Anthropic's wrote as two messages stays two, but for calls and their results."""
    last = turns[-1] if turns else None
    apart = native and turn.role != "assistant" and not any(map(_is_result, turn.blocks))
    if last is not None and last.role == turn.role and not apart:
        last.blocks += turn.blocks
        last.members = {**last.members, **turn.members}
    else:
        turns.append(turn)


def _settle(turns: list[Turn], context: Context) -> None:
    """Puts every result where it belongs, and a user's turn first."""
    if not turns or turns[0].role == "assistant":
        context.warn("messages: the first must be the user's; one was put before it")
        turns.insert(0, Turn("user", [_text(NOTHING_SAID)]))
    at = 0
    open_calls: list[str] = []
    while at < len(turns):
        turn = turns[at]
        if turn.role == "user":
            turn.blocks = _answered(turn.blocks, open_calls, context)
            open_calls = []
        elif turn.role == "assistant":
            open_calls = turn.calls()
            if open_calls and not _has_user_next(turns, at):
                turns.insert(at + 1, Turn("user", []))
        at += 1


def _trim(last: Turn) -> None:
    """An answer that the model is to continue must not end in blanks."""
    if last.role == "assistant" and last.blocks[-1]["type"] == "text":
        words = last.blocks[-1]["text"].rstrip()
        last.blocks[-1:] = [{**last.blocks[-1], "text": words}] if words else []
        last.blocks = last.blocks or [_text(NOTHING_SAID)]


def begun(talk: Conversation, context: Context) -> None:
    """For models that do not go on with an answer that the client begins: they are asked to."""
    if talk.turns[-1].role == "assistant":
        context.warn("messages: this model does not continue a begun answer; it is asked to in words")
        talk.turns.append(Turn("user", [_text(structured.GO_ON)]))


def _has_user_next(turns: list[Turn], at: int) -> bool:
    """The user's turn follows, perhaps after a system message."""
    following = [turn.role for turn in turns[at + 1 : at + 3]]
    return following[:1] == ["user"] or following == ["system", "user"]


def _answered(blocks: list[Block], calls: list[str], context: Context) -> list[Block]:
    """The user's blocks with one result for each call first; results of no call become words."""
    if not calls and not any(map(_is_result, blocks)):
        return blocks
    missing = dict.fromkeys(calls)
    results: list[Block] = []
    others: list[Block] = []
    for block in blocks:
        if not _is_result(block):
            others.append(block)
        elif block["tool_use_id"] in missing:
            del missing[block["tool_use_id"]]
            results.append(block)
        else:
            others += _in_words(block, context)
    return [*results, *(_supplied(call_id, context) for call_id in missing), *others]


def _is_result(block: Block) -> bool:
    return bool(block["type"] == "tool_result")


def _supplied(call_id: str, context: Context) -> Block:
    context.warn("messages: a tool call had no result; an error result was supplied")
    return {
        "type": "tool_result",
        "tool_use_id": call_id,
        "content": "The tool gave no result.",
        "is_error": True,
    }


def _in_words(block: Block, context: Context) -> list[Block]:
    context.warn("messages: a tool result without its call became text")
    content = block.get("content")
    words = joined(content)
    media = [b for b in content if b["type"] != "text"] if isinstance(content, list) else []
    return [_text(f"[tool result] {words}".rstrip()), *media]


def _text(words: str) -> Block:
    return {"type": "text", "text": words}
