"""Turns, written as the items of an input. Answers are written by `output.py`."""

from collections.abc import Iterable, Iterator

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.openai_responses.content import (
    dropped,
    encode_inputs,
    encode_output,
    is_content,
    note_cache,
)
from llm_intercept.wire.codecs.openai_responses.terms import (
    CALL_ID,
    NAME,
    TARGET,
    Raw,
    item_of,
    own,
    written,
)
from llm_intercept.wire.ir import (
    Media,
    Message,
    Opaque,
    Part,
    RefusalText,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from llm_intercept.wire.toolids import fitted


def encode_messages(messages: Iterable[Message], context: Context) -> list[Raw]:
    found: list[Raw] = []
    for message in messages:
        write = _assistant if message.role == "assistant" else _other
        found.extend(write(message, context))
    return found


def _other(message: Message, context: Context) -> Iterator[Raw]:
    """Results of calls are items of their own, in between what else the turn says."""
    content: list[Part] = []
    begun = False
    for part in message.parts:
        item = _standing(part, context)
        if item is None:
            content.append(part)
            continue
        if content:
            yield _message(message, content, context)
        content, begun = [], True
        yield item
    if content or not begun:
        yield _message(message, content, context)


def _standing(part: Part, context: Context) -> Raw | None:
    """The item that this part is by itself, if it is none that stands in a message."""
    if isinstance(part, ToolResult):
        return _result(part, context)
    if isinstance(part, ToolCall):
        return encode_call(part, context)
    if isinstance(part, Opaque) and part.dialect == NAME and not is_content(part.raw):
        return dict(part.raw)
    return None


def _message(message: Message, parts: list[Part], context: Context) -> Raw:
    members = written(message.extras)
    only = parts[0] if len(parts) == 1 and not members else None
    plain = isinstance(only, Text) and not own(only.extras) and only.cache is None
    content = only.text if plain and isinstance(only, Text) else encode_inputs(parts, context) or ""
    raw: Raw = {"type": "message"} if members else {}
    return {**raw, "role": message.role, "content": content, **members}


def _result(part: ToolResult, context: Context) -> Raw:
    if part.is_error:
        context.warn(f"tool_result.is_error: {TARGET} has no mark for failed calls, the text says it")
    if part.cache is not None:
        note_cache(context)
    return {
        "type": "custom_tool_call_output" if part.custom else "function_call_output",
        "call_id": fitted(part.call_id, CALL_ID, "call_"),
        "output": _told(part.parts, context),
        **written(part.extras),
    }


def _told(parts: tuple[Part, ...], context: Context) -> str | list[Raw]:
    if not parts:
        return ""
    only = parts[0] if len(parts) == 1 else None
    if isinstance(only, Text) and not own(only.extras):
        return only.text
    return encode_inputs(parts, context)


def _assistant(message: Message, context: Context) -> Iterator[Raw]:
    """Texts that stood in one message stand in one again; reasoning and calls keep their places."""
    texts: list[Text | RefusalText] = []
    thoughts: list[Thinking] = []
    for part in message.parts:
        if texts and not _joins(texts[-1], part):
            yield _said(texts, context)
            texts = []
        if thoughts and not (isinstance(part, Thinking) and part.id and part.id == thoughts[-1].id):
            yield from _thought(thoughts, context)
            thoughts = []
        if isinstance(part, Text | RefusalText):
            texts.append(part)
        elif isinstance(part, Thinking):
            thoughts.append(part)
        else:
            yield from _single(part, context)
    if texts:
        yield _said(texts, context)
    yield from _thought(thoughts, context)


def _joins(before: Text | RefusalText, part: Part) -> bool:
    return isinstance(part, Text | RefusalText) and item_of(part.extras) == item_of(before.extras)


def _said(texts: list[Text | RefusalText], context: Context) -> Raw:
    item = item_of(texts[0].extras)
    only = texts[0]
    if len(texts) == 1 and not item and isinstance(only, Text) and not own(only.extras):
        if only.cache is not None:
            note_cache(context)
        if only.citations:
            context.warn(f"citations: written in another dialect, not known to {TARGET}")
        return {"role": "assistant", "content": only.text}
    content = [encode_output(part, context) for part in texts]
    status = {"status": "completed"} if "id" in item else {}
    return {"type": "message", "role": "assistant", "content": content, **status, **item}


def _thought(parts: list[Thinking], context: Context) -> Iterator[Raw]:
    """One reasoning item. What another dialect's model thought means nothing to this one."""
    if not parts:
        return
    first, last = parts[0], parts[-1]
    if not is_native(last):
        if any(part.text or part.signature for part in parts):
            context.warn(f"thinking: of {last.origin or 'another dialect'}, not known to {TARGET}")
        return
    raw: Raw = {"type": "reasoning", "summary": []}
    for part in parts:
        _add_thought(raw, part)
    if last.signature:
        raw["encrypted_content"] = last.signature
    yield {**({"id": first.id} if first.id else {}), **raw, **item_of(first.extras)}


def _add_thought(raw: Raw, part: Thinking) -> None:
    if not part.text:
        return
    if part.summary or NAME not in part.extras:
        raw["summary"] = summaries(part)
    else:
        raw["content"] = [{"type": "reasoning_text", "text": part.text}]


def summaries(part: Thinking) -> list[Raw]:
    """The summary in the parts that it came in, if nobody has changed it since."""
    texts = own(part.extras).get("@summary")
    if not isinstance(texts, list) or "\n\n".join(texts) != part.text:
        texts = [part.text]
    return [{"type": "summary_text", "text": text} for text in texts]


def is_native(part: Thinking) -> bool:
    return part.origin == NAME or (not part.origin and NAME in part.extras)


def _single(part: Part, context: Context) -> Iterator[Raw]:
    match part:
        case ToolCall():
            yield encode_call(part, context)
        case Opaque(dialect, raw, text):
            if dialect == NAME:
                yield dict(raw)
            elif text:
                yield {"role": "assistant", "content": text}
            else:
                dropped(part, context)
        case Media(kind):
            context.warn(f"{kind}: {TARGET} takes none from the assistant")
        case ToolResult():
            yield _result(part, context)


def encode_call(part: ToolCall, context: Context) -> Raw:
    if part.cache is not None:
        note_cache(context)
    return {
        "type": "custom_tool_call" if part.custom else "function_call",
        "call_id": fitted(part.id, CALL_ID, "call_"),
        "name": part.name,
        "input" if part.custom else "arguments": part.arguments,
        **written(part.extras),
    }
