"""What a provider's refusal says about the conversation, and the same request without its thinking.

Signatures of thinking are valid for their issuer only, and not for ever. When a provider refuses one, the
call is made again without the thinking of earlier turns; what the client sent stays what it was.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from llm_intercept.wire import codecs, dialects
from llm_intercept.wire.families import failures
from llm_intercept.wire.fields import items, mapping, objects, parse_object

type Body = dict[str, Any]

READ_AS = {"bedrock_invoke": "anthropic"}
SCANNED = (
    20_000  # of an error's body: some gateways put the provider's own error, or all of them, into theirs
)
_QUOTES = re.compile(r"[`'\"\\]")
_SIGNATURE = re.compile(
    "|".join(
        (
            # Anthropic, as it is and wrapped by Amazon and Google
            r"invalid (signature|data) in (redacted_)?thinking block",
            r"thinking or redacted_thinking blocks in the latest assistant message cannot be modified",
            r"expected thinking or redacted_thinking, but found",
            r"(thinking\.signature|redacted_thinking\.data): field required",
            r"each thinking block must contain thinking",
            r"assistant message in the final position cannot contain (redacted_)?thinking",
            # Google
            r"thought[ _]?signature is (not valid|invalid|corrupted|missing)",
            r"(invalid|corrupted) thought[ _]?signature",
            r"missing a thought[ _]?signature",
            r"thought_?signature.{0,20}\(TYPE_BYTES\)",
            # OpenAI
            r"invalid_encrypted_content",
            r"encrypted content .{0,200}could not be (verified|decrypted|parsed)",
            r"item .{0,90}was provided without its required (following|reasoning) item",
        )
    ),
    re.IGNORECASE,
)
BYPASS = "skip_thought_signature_validator"
"""Google's documented value for calls whose signature is not to be checked."""
_SIGNATURES = ("thoughtSignature", "thought_signature")
_CALLS = ("functionCall", "function_call")
_LOSING_IDS = ("message", "function_call", "custom_tool_call")


def is_signature_error(dialect: str, status: int, body: bytes) -> bool:
    """Whether a provider refused the signed thinking of an earlier turn, or misses it."""
    if dialect not in _WITHOUT or status not in (400, 422):
        return False
    words = _QUOTES.sub("", body[:SCANNED].decode("utf-8", "replace"))
    return bool(_SIGNATURE.search(words))


def is_overflow(dialect: str, status: int, body: bytes) -> bool:
    """Whether an error answer says that the prompt does not fit into the model's context window."""
    name = READ_AS.get(dialect, dialect)
    if status < 400:
        return False
    if name in codecs.names():
        return codecs.get(name).decode_error(status, {}, body).kind == "overflow"
    kind, message = dialects.get(dialect).read_error(status, body)
    return failures.overflows(status, kind, message)


def without_thinking(dialect: str, body: bytes) -> bytes | None:
    """The same request without the thinking of earlier turns; None if that would change nothing.

    Thinking is switched off for this call only where the provider insists on the earlier thinking otherwise.
    """
    strip = _WITHOUT.get(dialect)
    payload = parse_object(body) if strip is not None else {}
    if strip is None or not payload or not strip(payload):
        return None
    return orjson.dumps(payload)


def _anthropic(payload: Body) -> bool:
    changed = _filtered(payload, "messages", "content", _is_thinking_block)
    thinking = mapping(payload.get("thinking"))
    # An adaptive model does not have to begin a turn of tool calls with thinking; one with a budget has to.
    if thinking.get("type") == "enabled" and _in_tool_loop(payload, "tool_result", "type"):
        del payload["thinking"]
        _without_clearing(payload)
        changed = True
    return changed


def _is_thinking_block(block: Body) -> bool:
    return block.get("type") in ("thinking", "redacted_thinking")


def _without_clearing(payload: Body) -> None:
    """`clear_thinking` is refused where nothing thinks."""
    management = mapping(payload.get("context_management"))
    edits = items(management.get("edits"))
    kept = [e for e in edits if not str(mapping(e).get("type", "")).startswith("clear_thinking")]
    if len(kept) == len(edits):
        return
    management["edits"] = kept
    if not kept:
        del payload["context_management"]


def _converse(payload: Body) -> bool:
    changed = _filtered(payload, "messages", "content", lambda block: "reasoningContent" in block)
    fields = mapping(payload.get("additionalModelRequestFields"))
    for name in ("thinking", "reasoning_config"):
        enabled = mapping(fields.get(name)).get("type") == "enabled"
        if enabled and _in_tool_loop(payload, "toolResult"):
            del fields[name]
            changed = True
    return changed


def _gemini(payload: Body) -> bool:
    changed = _filtered(payload, "contents", "parts", lambda part: part.get("thought") is True)
    for content in objects(payload.get("contents")):
        calls = 0
        for part in objects(content.get("parts")):
            is_call = any(name in part for name in _CALLS)
            calls += is_call
            changed |= _unsigned(part, is_call, calls == 1)
    return changed


def _unsigned(part: Body, is_call: bool, is_first: bool) -> bool:
    """Takes the signature off, or puts Google's word for unchecked ones in its place."""
    signed = [name for name in _SIGNATURES if part.get(name)]
    if is_call and (signed or is_first):
        name = signed[0] if signed else _SIGNATURES[0]
        changed = part.get(name) != BYPASS
        part[name] = BYPASS
        return changed
    for name in signed:
        del part[name]
    return bool(signed)


def _chat(payload: Body) -> bool:
    """OpenRouter's `reasoning_details`; Google's own endpoint has signatures in its calls' extra content."""
    changed = False
    google = "gemini" in str(payload.get("model", ""))
    for message in _said_by(payload, "messages", "assistant"):
        changed |= message.pop("reasoning_details", None) is not None
        for index, call in enumerate(objects(message.get("tool_calls"))):
            changed |= _unsigned_call(call, google and index == 0)
    return changed


def _unsigned_call(call: Body, needed: bool) -> bool:
    extra = mapping(call.get("extra_content"))
    signed = mapping(extra.get("google"))
    known = signed.get("thought_signature")
    if known == BYPASS or not (known or needed):
        return False
    call["extra_content"] = {**extra, "google": {**signed, "thought_signature": BYPASS}}
    return True


def _responses(payload: Body) -> bool:
    """What a dropped item belonged to is sent without its id, by which OpenAI would look for it."""
    given = items(payload.get("input"))
    kept = [item for item in given if not _is_reasoning_item(mapping(item))]
    if len(kept) == len(given):
        return False
    for item in map(mapping, kept):
        if item.get("type") in _LOSING_IDS:
            item.pop("id", None)
    payload["input"] = kept
    return True


def _is_reasoning_item(item: Body) -> bool:
    referred = item.get("type") == "item_reference" and str(item.get("id", "")).startswith("rs_")
    return item.get("type") == "reasoning" or referred


def _filtered(payload: Body, turns: str, parts: str, unwanted: Callable[[Body], bool]) -> bool:
    """Takes parts out of the assistant's turns; a turn of which nothing is left goes as well."""
    changed = False
    for turn in _said_by(payload, turns, "assistant", "model"):
        given = items(turn.get(parts))
        kept = [part for part in given if not unwanted(mapping(part))]
        if len(kept) != len(given):
            turn[parts] = kept
            changed = True
    if changed:
        payload[turns] = [turn for turn in payload[turns] if mapping(turn).get(parts) != []]
    return changed


def _said_by(payload: Body, turns: str, *roles: str) -> Iterator[Body]:
    return (turn for turn in objects(payload.get(turns)) if turn.get("role") in roles)


def _in_tool_loop(payload: Body, result: str, member: str = "") -> bool:
    """Whether the user's last turn brings results of calls; system texts may stand after it."""
    turns = [turn for turn in objects(payload.get("messages")) if turn.get("role") != "system"]
    blocks = objects(turns[-1].get("content")) if turns else []
    return any(block.get(member) == result if member else result in block for block in blocks)


_WITHOUT: dict[str, Callable[[Body], bool]] = {
    "anthropic": _anthropic,
    "bedrock_invoke": _anthropic,
    "bedrock_converse": _converse,
    "gemini": _gemini,
    "openai_chat": _chat,
    "openai_responses": _responses,
}
