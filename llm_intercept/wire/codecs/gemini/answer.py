"""A whole answer: the first candidate, why it ended, its counters."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.gemini import finish as ends
from llm_intercept.wire.codecs.gemini import logprobs, reading, writing
from llm_intercept.wire.codecs.gemini.ids import AnswerIds
from llm_intercept.wire.codecs.gemini.shapes import NAME, inner, kept, listed, own, proto, without
from llm_intercept.wire.codecs.gemini.signatures import tagged
from llm_intercept.wire.codecs.gemini.tools import client_name
from llm_intercept.wire.families import unsaid
from llm_intercept.wire.fields import compact, mapping
from llm_intercept.wire.ir import (
    Answer,
    Extras,
    Json,
    Media,
    Opaque,
    Part,
    RefusalText,
    Text,
    Thinking,
    ToolCall,
)
from llm_intercept.wire.toolids import fitted

_ANSWER = frozenset(("candidates", "responseId", "modelVersion", "usageMetadata", "createTime"))
CANDIDATE = frozenset(("content", "finishReason", "logprobsResult", "index"))
_RESPONSE_ID = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


def decode(body: Mapping[str, Json]) -> Answer:
    payload = unwrapped(body)
    candidate = first_candidate(payload)
    parts = tuple(
        reading.parts(mapping(proto(candidate.get("content"))).get("parts"), AnswerIds(seed(payload)))
    )
    word = ends.reason(candidate.get("finishReason"))
    finish = ends.finish(word, any(isinstance(part, ToolCall) for part in parts))
    return Answer(
        id=str(payload.get("responseId") or ""),
        model=str(payload.get("modelVersion") or ""),
        parts=parts,
        finish="content_filter" if not word and ends.block_reason(payload) else finish,
        usage=ends.usage(mapping(payload.get("usageMetadata"))),
        created=created(payload),
        logprobs=logprobs.decode(candidate.get("logprobsResult")),
        extras=members(payload, candidate, word),
    )


def unwrapped(body: object) -> dict[str, Any]:
    """Code Assist puts the answer into an envelope."""
    payload = proto(body)
    return proto(payload["response"]) if isinstance(payload.get("response"), dict) else payload


def first_candidate(payload: Mapping[str, Json]) -> dict[str, Any]:
    """That of index 0; more than one are asked for by clients that no other dialect can answer."""
    for item in listed(payload.get("candidates")):
        candidate = proto(item)
        if not candidate.get("index"):
            return candidate
    return {}


def seed(payload: Mapping[str, Json]) -> str:
    """What ids of calls are made of: the answer's id, or what is least likely to be the same twice."""
    known = payload.get("responseId") or payload.get("createTime")
    return str(known) if known else compact(mapping(payload.get("usageMetadata")).get("promptTokenCount"))


def created(payload: Mapping[str, Json]) -> int:
    value = payload.get("createTime")
    try:
        return int(datetime.fromisoformat(value).timestamp()) if isinstance(value, str) else 0
    except (ValueError, OverflowError):
        return 0


def members(payload: Mapping[str, Json], candidate: Mapping[str, Json], word: str) -> Extras:
    """What the IR has no word for: grounding, citations, safety ratings, counters by modality."""
    rest = without(payload, _ANSWER)
    about = without(candidate, CANDIDATE)
    if word and ends.REASONS.get(ends.finish(word, False)) != word:
        about["finishReason"] = word
    if about:
        rest["candidate"] = about
    if payload.get("usageMetadata"):
        rest["usageMetadata"] = payload["usageMetadata"]
    return kept(rest)


LACKING = frozenset(("cache_write", unsaid.WRITTEN_1H, unsaid.WEB, unsaid.STOPPED))


def encode(answer: Answer, context: Context) -> Mapping[str, Json]:
    parts: list[dict[str, Any]] = []
    for part in answer.parts:
        if isinstance(part, Thinking) and writing.signs_text(part, parts[-1] if parts else None):
            parts[-1]["thoughtSignature"] = part.signature
        else:
            parts.extend(written(part, context))
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    candidate["finishReason"] = ends.REASONS[answer.finish]
    candidate["index"] = 0
    if found := logprobs.encode(answer.logprobs):
        candidate["logprobsResult"] = found
    candidate.update(inner(answer.extras, "candidate"))
    unsaid.ended(answer.usage, answer.stop_sequence, LACKING, "Gemini", context)
    native = own(answer.extras)
    body: dict[str, Any] = {"candidates": [candidate]}
    if not parts and native.get("promptFeedback"):
        body = {}
    body["usageMetadata"] = ends.encode_usage(answer.usage, native.get("usageMetadata"))
    body.update(identity(answer.id, answer.model, answer.created, answer.extras, context))
    return {**body, **without(native, frozenset(("candidate", "usageMetadata")))}


def identity(answer_id: str, model: str, made: int, extras: Extras, context: Context) -> dict[str, Any]:
    """What Gemini itself left out stays out."""
    known: dict[str, Any] = {"modelVersion": context.requested_model or model}
    seconds = made or int(context.now)
    if made or (seconds and NAME not in extras):
        known["createTime"] = datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    if answer_id or NAME not in extras:
        known["responseId"] = fitted(answer_id or context.mint(22), _RESPONSE_ID, "")
    return {name: value for name, value in known.items() if value}


def written(part: Part, context: Context) -> list[dict[str, Any]]:
    """The part as a client of Gemini's gets it."""
    match part:
        case Text():
            if part.citations:
                uncited(context)
            return [writing.text(part)]
        case RefusalText(text):
            return [{"text": text}]
        case Thinking():
            return [writing.thought(part, tagged(part.signature, part.origin))]
        case ToolCall():
            name = client_name(part.name, context.request)
            signature = tagged(part.signature, part.origin)
            return [writing.call(part, part.id, name, signature, context)]
        case Media():
            blob = writing.media(part, context)
            return [blob] if blob is not None else []
        case Opaque():
            return _opaque(part, context)
    return []


def uncited(context: Context) -> None:
    context.warn("citations: dropped, Gemini's are about the answer as a whole")


def _opaque(part: Opaque, context: Context) -> list[dict[str, Any]]:
    if part.dialect == NAME:
        return [dict(part.raw)]
    if not part.text:
        context.warn(f"{part.raw.get('type') or part.dialect}: dropped, not known to Gemini's clients")
    return [{"text": part.text}] if part.text else []
