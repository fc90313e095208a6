"""Reasoning: `reasoning_content` (DeepSeek and most others), `reasoning` (OpenRouter, Groq),
`reasoning_details` (OpenRouter, with signatures), `thinking` chunks of the content (Mistral).

A signature of another dialect travels through the client inside `reasoning_details`, tagged with its origin.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.openai_chat.terms import DETAIL, FIELD, NAME, RAW, extras, own, rest, string
from llm_intercept.wire.fields import objects
from llm_intercept.wire.ir import NO_EXTRAS, Part, Thinking

TAG = "lli1."
FORMATS = {
    "anthropic": "anthropic-claude-v1",
    "google": "google-gemini-v1",
    "openai": "openai-responses-v1",
    "x-ai": "xai-responses-v1",
}
FIELDS = ("reasoning_content", "reasoning")
TEXT_OF = {"reasoning.text": "text", "reasoning.summary": "summary", "reasoning.encrypted": "data"}
TEXTS = frozenset(("text", "summary", "data", "signature"))


def sealed(signature: str, origin: str) -> str:
    """A signature as it travels: tagged unless it is our dialect's own."""
    return signature if origin in ("", NAME) or not signature else f"{TAG}{origin}.{signature}"


def unsealed(value: str) -> tuple[str, str]:
    """(signature, origin) of what `sealed` made; what has no tag is our dialect's own."""
    origin, dot, signature = value.removeprefix(TAG).partition(".")
    if value.startswith(TAG) and dot:
        return signature, origin
    return (value, NAME) if value else ("", "")


def is_foreign(part: Thinking) -> bool:
    return bool(part.signature) and part.origin not in ("", NAME)


def thoughts(message: Mapping[str, Any], asked: bool) -> list[Part]:
    """The reasoning of a message; `asked`: of a request, where the member's name has to be kept."""
    details = objects(message.get("reasoning_details"))
    found: list[Part] = [of_detail(detail) for detail in details]
    if any(isinstance(part, Thinking) and part.text for part in found):
        return found
    for field in FIELDS:
        value = message.get(field)
        if isinstance(value, str) and value:
            found.insert(0, Thinking(value, extras=noted(field, asked)))
            break
    return found


def noted(field: str, asked: bool = False) -> Mapping[str, Mapping[str, Any]]:
    """`reasoning_content` is what answers are written with; any other name is noted."""
    return extras({FIELD: field}) if asked or field != FIELDS[0] else NO_EXTRAS


def of_detail(detail: Mapping[str, Any]) -> Thinking:
    kind = string(detail.get("type"))
    redacted = kind == "reasoning.encrypted"
    signature, origin = unsealed(string(detail.get("data" if redacted else "signature")))
    text = string(detail.get(TEXT_OF.get(kind, "text"))) if not redacted else ""
    note = NO_EXTRAS if origin not in ("", NAME) else extras({DETAIL: rest(detail, TEXTS)})
    return Thinking(text, signature, origin, redacted, kind == "reasoning.summary", extras=note)


def detail_of(part: Thinking) -> dict[str, Any]:
    """The entry of `reasoning_details` for a part."""
    kind = "reasoning.summary" if part.summary else "reasoning.text"
    written = {"type": "reasoning.encrypted" if part.redacted else kind, **own(part.extras).get(DETAIL, {})}
    signature = sealed(part.signature, part.origin)
    if part.redacted:
        written["data"] = signature
        return written
    if part.text:
        written[TEXT_OF.get(string(written["type"]), "text")] = part.text
    if signature:
        written["signature"] = signature
    return written


def ask(parts: Iterable[Part], context: Context) -> dict[str, Any]:
    """The reasoning of an earlier turn as the provider takes it back."""
    said: dict[str, list[str]] = {}
    details: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, Thinking) and RAW not in own(part.extras):
            _ask(part, context, said, details)
    written: dict[str, Any] = {field: "\n\n".join(texts) for field, texts in said.items()}
    if details:
        written["reasoning_details"] = details
    return written


def _named(detail: dict[str, Any], model: str) -> dict[str, Any]:
    """OpenRouter tells by the format whose signature it is; without one it takes it for Anthropic's."""
    known = FORMATS.get(model.partition("/")[0])
    return {**detail, "format": known} if known else detail


def _ask(part: Thinking, context: Context, said: dict[str, list[str]], details: list[dict[str, Any]]) -> None:
    notes = own(part.extras)
    echoes = context.target.reasoning == "content"
    if is_foreign(part):
        context.warn(f"thinking: signed by {part.origin}, dropped for {_target(context)}")
    elif echoes and part.text:
        said.setdefault(FIELDS[0], []).append(part.text)
    elif DETAIL in notes and not echoes:
        details.append(detail_of(part))
    elif part.signature and context.target.reasoning == "openrouter":
        details.append(_named(detail_of(part), context.target.model))  # a client of another dialect had it
    elif FIELD in notes and part.text:
        said.setdefault(notes[FIELD], []).append(part.text)
    elif part.text or part.signature:
        context.warn(f"thinking: {_target(context)} does not take the reasoning of earlier turns")


def _target(context: Context) -> str:
    return context.target.model or "the model"


def answer(parts: Iterable[Part]) -> dict[str, Any]:
    """The reasoning of an answer for a client: in words, and in `reasoning_details` where it is signed."""
    said: dict[str, list[str]] = {}
    details: list[dict[str, Any]] = []
    for part in parts:
        if not isinstance(part, Thinking):
            continue
        notes = own(part.extras)
        if DETAIL in notes or part.signature:
            details.append({"index": len(details), **detail_of(part)})
        if part.text:
            said.setdefault(answer_field(part), []).append(part.text)
    written: dict[str, Any] = {field: "\n\n".join(texts) for field, texts in said.items()}
    if details:
        written["reasoning_details"] = details
    return written


def answer_field(part: Thinking) -> str:
    """Who sends details says `reasoning` beside them."""
    notes = own(part.extras)
    return "reasoning" if DETAIL in notes else string(notes.get(FIELD)) or FIELDS[0]
