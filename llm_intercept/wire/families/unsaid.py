"""What a request or an answer says and its reader's dialect has no place for: warned of in the same words.

A codec names what its dialect lacks; what only one dialect's clients can say is lacking in all others.
"""

from collections.abc import Collection, Iterator

from llm_intercept.wire.codec import Context, Untranslatable, foreign_members
from llm_intercept.wire.ir import Extras, Media, Message, Part, Request, Text, Tool, ToolCall, ToolResult
from llm_intercept.wire.usage import Usage

_SHOWN = {"cache_key": "prompt_cache_key"}
"""The IR's words that clients know by another name."""
_OF_REQUEST = ("verbosity", "user", "cache_key", "service_tier", "metadata")
_COUNTERS = ("cache_read", "cache_write", "cache_write_1h", "reasoning", "web_searches", "service_tier")
_OF_SAMPLING = ("top_k", "seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "stop")
NAME, CITATIONS, DETAIL, TITLE = "name", "citations", "detail", "title"
STRICT, CACHE = "strict", "cache"
PARTS = (NAME, CITATIONS, DETAIL)
# Members of parts and tools that change what the model sees or does; by the dialect that has them.
_OF_PARTS: dict[str, Collection[str]] = {
    "anthropic": ("citations", "context"),
    "bedrock_converse": ("citations", "context", "guardContent"),
    "gemini": ("videoMetadata", "mediaResolution", "mediaProcessing"),
    "openai_chat": ("prompt_cache_breakpoint",),
    "openai_responses": ("prompt_cache_breakpoint", "phase"),
}
_OF_TOOLS: dict[str, Collection[str]] = {
    "anthropic": ("input_examples", "allowed_callers", "defer_loading", "eager_input_streaming"),
    "gemini": ("behavior", "response", "responseJsonSchema"),
    "openai_responses": ("defer_loading", "allowed_callers", "output_schema"),
}


def refuse_several(request: Request, dialect: str) -> None:
    """Of several answers one only could be given to the client of another dialect: no two are paid for."""
    if (request.sampling.n or 1) > 1 and dialect not in request.extras:
        raise Untranslatable("n", "one answer to a request can be translated, not several")


def warn(request: Request, dialect: str, target: str, lacking: Collection[str], context: Context) -> None:
    """`dialect` is the target's, `target` how people call it."""
    for name in _names(request, dialect, lacking):
        context.warn(f"{name}: not known to {target}")


def _names(request: Request, dialect: str, lacking: Collection[str]) -> Iterator[str]:
    for holder, names in ((request.sampling, _OF_SAMPLING), (request, _OF_REQUEST)):
        yield from (_SHOWN.get(n, n) for n in names if n in lacking and _says(n, getattr(holder, n)))
    yield from foreign_members(request.extras, dialect)
    for tool in request.tools:
        if isinstance(tool, Tool):
            yield from _of_tool(tool, dialect, lacking)
    for message in request.messages:
        yield from _of_message(message, dialect, lacking)


def _says(name: str, value: object) -> bool:
    if name.endswith("penalty"):
        return bool(value)  # 0 is what everybody does
    return value is not None and value is not False and value not in ("", (), {})


def _of_tool(tool: Tool, dialect: str, lacking: Collection[str]) -> Iterator[str]:
    if tool.strict and STRICT in lacking:
        yield "tools.strict"
    if tool.extras:
        yield from (f"tools.{name}" for name in _members(tool.extras, dialect, _OF_TOOLS))


def _of_message(message: Message, dialect: str, lacking: Collection[str]) -> Iterator[str]:
    if message.name and NAME in lacking:
        yield "messages.name"
    for part in message.parts:
        yield from _of_part(part, dialect, lacking)


def _of_part(part: Part, dialect: str, lacking: Collection[str]) -> Iterator[str]:
    if type(part) is Text and not (part.citations or part.extras or part.cache):
        return  # what nearly all parts are
    match part:
        case Text(citations=citations) if citations and CITATIONS in lacking:
            yield "citations"
        case Media():
            yield from _of_media(part, lacking)
        case ToolCall(signature=signature, origin=origin) if signature and origin not in ("", dialect):
            yield f"tool_calls: signature of {origin}"
        case ToolResult():
            for inner in part.parts:
                yield from _of_part(inner, dialect, lacking)
    if CACHE in lacking and getattr(part, "cache", None) is not None:
        yield "cache_control"
    if extras := getattr(part, "extras", None):
        yield from _members(extras, dialect, _OF_PARTS)


def _of_media(part: Media, lacking: Collection[str]) -> Iterator[str]:
    if part.detail not in ("", "auto") and DETAIL in lacking:
        yield f"{part.kind}.detail"
    if part.name and TITLE in lacking:
        yield f"{part.kind}.name"


def _members(extras: Extras, dialect: str, known: dict[str, Collection[str]]) -> Iterator[str]:
    for origin, members in extras.items():
        if origin != dialect:
            yield from (name for name in known.get(origin, ()) if members.get(name))


_TIERS = ("auto", "default", "standard", "on_demand")  # what everybody gets who asks for nothing
STOPPED, WEB, TIER, WRITTEN_1H = "stop_sequence", "web_searches", "service_tier", "cache_write_1h"


def ended(usage: Usage, stop_sequence: str, lacking: Collection[str], target: str, context: Context) -> None:
    """Warns of what the end of an answer says and `target`'s clients have no place for."""
    if stop_sequence and STOPPED in lacking:
        context.warn(f"stop_sequence: not known to {target}")
    for name in _COUNTERS:
        value = getattr(usage, name)
        if value and name in lacking and value not in _TIERS:
            context.warn(f"usage.{name}: not known to {target}")


def signed(signature: str, origin: str, target: str, context: Context) -> None:
    """Warns of a signature that `target`'s clients cannot carry to the next turn."""
    if signature:
        context.warn(f"signature: of {origin or 'the model'}, {target} has no place for it")
