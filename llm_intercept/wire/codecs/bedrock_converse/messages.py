"""System prompts and turns. Converse wants turns of user and assistant by turns, the user's first.

Only leading system messages are a system prompt: a later one stays where it is, as words of the user,
so that what the provider has cached of the conversation stays valid.
"""

from collections.abc import Mapping, Sequence

from llm_intercept.wire.codec import Untranslatable
from llm_intercept.wire.codecs.bedrock_converse.blocks import Blocks
from llm_intercept.wire.codecs.bedrock_converse.models import UNKNOWN
from llm_intercept.wire.codecs.bedrock_converse.parts import parts_of
from llm_intercept.wire.codecs.bedrock_converse.terms import NAME, Members, extras, own, string
from llm_intercept.wire.families.structured import GO_ON
from llm_intercept.wire.fields import objects
from llm_intercept.wire.ir import Extras, Json, Message, Opaque, Role, Thinking, ToolCall, ToolResult

ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
INLINE: Extras = {NAME: {"role": "system"}}
"""A system message that stood among the turns."""
BEGINNING = "Please continue."
ATTACHED = "See the document."  # a document may not come without a text


def read(body: Mapping[str, Json]) -> tuple[Message, ...]:
    system = parts_of(body.get("system"))
    first = [Message("system", system)] if system else []
    turns = (_read_turn(turn, at) for at, turn in enumerate(objects(body.get("messages"))))
    return (*first, *turns)


def _read_turn(turn: Members, at: int) -> Message:
    role = ROLES.get(string(turn.get("role")))
    if role is None:
        raise Untranslatable(f"messages[{at}].role", f"{turn.get('role')!r} is no role")
    if role == "system":
        return Message(role, parts_of(turn.get("content")), extras=INLINE)
    return Message(role, parts_of(turn.get("content")), extras=extras(turn, "role", "content"))


def write(messages: Sequence[Message], blocks: Blocks) -> tuple[list[Members], list[Members]]:
    """(system, messages)."""
    leading = next((at for at, message in enumerate(messages) if not _leads(message)), len(messages))
    system = [block for message in messages[:leading] for block in _system(message, blocks)]
    turns: list[Members] = []
    for message in messages[leading:]:
        _add(turns, message, blocks)
    return system, _finished(turns, blocks)


def _leads(message: Message) -> bool:
    return message.role in ("system", "developer") and not own(message.extras)


def _system(message: Message, blocks: Blocks) -> list[Members]:
    """Text, guarded text and cache marks are all that a system prompt can have."""
    found = blocks.of(message.parts)
    taken = [block for block in found if block.keys() & {"text", "guardContent", "cachePoint"}]
    if len(taken) < len(found):
        blocks.context.warn("system: Converse takes texts only there, the rest is dropped")
    return taken


def _add(turns: list[Members], message: Message, blocks: Blocks) -> None:
    """A turn of its own, or more of the last one if that is the same side's."""
    role = _role(message, blocks)
    content = blocks.of(message.parts)
    if not content:
        return
    if turns and turns[-1]["role"] == role != "system":
        turns[-1]["content"].extend(content)
    else:
        left = {name: value for name, value in own(message.extras).items() if name != "role"}
        turns.append({"role": role, "content": content} | left)


def _role(message: Message, blocks: Blocks) -> str:
    if message.role in ("user", "assistant"):
        return message.role
    if own(message.extras).get("role") == "system":
        return "system"
    blocks.context.warn("messages: a system message among the turns is sent as words of the user")
    return "user"


def _finished(turns: list[Members], blocks: Blocks) -> list[Members]:
    if turns and turns[0]["role"] == "assistant":
        blocks.context.warn("messages: Converse wants the user first, a turn is put before the assistant's")
        turns.insert(0, {"role": "user", "content": [{"text": BEGINNING}]})
    for turn in turns:
        content = turn["content"]
        if _has(content, "document") and not _has(content, "text"):
            at = len(content) - ("cachePoint" in content[-1])
            content.insert(at, {"text": ATTACHED})
    return turns


def end(turns: list[Members], blocks: Blocks, thinking: bool) -> None:
    """The last word is the user's; only some models go on with an answer that the client begins."""
    if not turns:
        blocks.context.warn("messages: Converse wants a turn of the user's; one was supplied")
        turns.append({"role": "user", "content": [{"text": BEGINNING}]})
    kind = blocks.family or UNKNOWN
    begins = kind.prefills and not thinking and "prefill" not in blocks.context.target.rejects
    if turns[-1]["role"] == "assistant" and not begins:
        blocks.context.warn("messages: this model does not continue a begun answer; it is asked to in words")
        turns.append({"role": "user", "content": [{"text": GO_ON}]})


def _has(content: Sequence[Members], kind: str) -> bool:
    return any(kind in block for block in content)


def under_way_without_reasoning(messages: Sequence[Message]) -> bool:
    """The last turn of the assistant called tools and does not begin with reasoning of this dialect."""
    if not messages or not any(isinstance(part, ToolResult) for part in messages[-1].parts):
        return False
    last = next((message for message in reversed(messages) if message.role == "assistant"), None)
    if last is None or not any(isinstance(part, ToolCall) for part in last.parts):
        return False
    first = last.parts[0]
    return not (isinstance(first, Thinking) and first.origin == NAME) and not isinstance(first, Opaque)
