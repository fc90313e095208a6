"""What the client asks beside its words: sampling, reasoning, the form of the answer, identity; both ways."""

import re
from typing import Any

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.codecs.openai_responses.effort import effort_for
from llm_intercept.wire.codecs.openai_responses.items import string
from llm_intercept.wire.codecs.openai_responses.terms import NAME, SHORT, TARGET, Members, Raw, own, rest
from llm_intercept.wire.families import structured
from llm_intercept.wire.fields import items, mapping
from llm_intercept.wire.ir import Format, Reasoning, Request, Sampling
from llm_intercept.wire.toolids import fitted

LEAST_OUTPUT = 16  # of max_output_tokens
FORMAT_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
LOGPROBS = "message.output_text.logprobs"
ENCRYPTED = "reasoning.encrypted_content"
TIERS = {"standard": "default", "standard_only": "default"}
OWN_TIERS = frozenset(("auto", "default", "flex", "scale", "priority", "fast", "ultrafast"))
SUMMARIES = frozenset(("auto", "concise", "detailed"))


def decode_sampling(body: Members) -> Sampling:
    return Sampling(
        max_tokens=_integer(body.get("max_output_tokens")),
        temperature=_number(body.get("temperature")),
        top_p=_number(body.get("top_p")),
        logprobs=True if LOGPROBS in items(body.get("include")) else None,
        top_logprobs=_integer(body.get("top_logprobs")),
    )


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def encode_sampling(request: Request, native: bool, context: Context) -> Raw:
    sampling = request.sampling
    if sampling.n is not None and sampling.n > 1:
        raise Untranslatable("n", f"{TARGET} gives one answer per request")
    raw: Raw = {}
    for name in ("temperature", "top_p", "top_logprobs"):
        value = getattr(sampling, name)
        if value is not None and _taken(name, context):
            raw[name] = value
    if sampling.max_tokens is not None:
        raw["max_output_tokens"] = _room(sampling.max_tokens, native, context)
    return raw


def _taken(name: str, context: Context) -> bool:
    if name in context.target.rejects:
        context.warn(f"{name}: not taken by {context.target.model or 'the model'}")
        return False
    return True


def _room(asked: int, native: bool, context: Context) -> int:
    """Clients probe with 1, which OpenAI refuses; and some ask for more than the model has."""
    most = context.target.max_output
    room = asked if most is None else min(asked, most)
    room = room if native else max(room, LEAST_OUTPUT)
    if room != asked:
        context.warn(f"max_tokens: {asked} became {room}, the limit of {context.target.model or TARGET}")
    return room


def decode_reasoning(body: Members) -> tuple[Reasoning | None, Raw]:
    raw = body.get("reasoning")
    if not isinstance(raw, dict):
        return None, {}
    effort = string(raw.get("effort")) or None
    summary = string(raw.get("summary")) or string(raw.get("generate_summary")) or None
    told = Reasoning(
        enabled=None if effort is None else effort != "none",
        effort=effort,
        visible=True if summary else None,
        summary=summary,
    )
    more = rest(raw, ("effort", "summary", "generate_summary"))
    return told, ({"@reasoning": more} if more else {})


def encode_reasoning(request: Request, native: bool, context: Context) -> Raw | None:
    asked = request.reasoning
    more = mapping(own(request.extras).get("@reasoning"))
    if asked is None:
        return more or None
    if context.target.reasoning == "none":
        if asked.enabled is not False:
            context.warn(f"reasoning: {context.target.model or 'the model'} does not reason")
        return None
    raw: Raw = dict(more)
    effort = asked.effort if native else effort_for(asked, context)
    if effort is not None:
        raw["effort"] = effort
    summary = asked.summary if native else _summary(asked)
    if summary is not None and _taken("reasoning.summary", context):
        raw["summary"] = summary
    return raw or None


def _summary(asked: Reasoning) -> str | None:
    """Whoever thinks aloud elsewhere gets summaries here, the only thinking that is shown."""
    if asked.summary is not None:
        return asked.summary if asked.summary in SUMMARIES else "auto"
    if asked.visible is False or asked.enabled is False:
        return None
    thinks = asked.enabled or asked.adaptive or asked.budget or asked.visible
    return "auto" if thinks else None


def decode_text(body: Members) -> tuple[Format | None, str | None, Raw]:
    """Structured output, verbosity, and what of `text` has no word."""
    raw = mapping(body.get("text"))
    more = rest(raw, ("format", "verbosity"))
    found = mapping(raw.get("format"))
    chosen = _FORMATS.get(string(found.get("type")))
    if chosen is None and found:
        more["format"] = found
    return (
        (chosen(found) if chosen is not None else None),
        string(raw.get("verbosity")) or None,
        ({"@text": more} if more else {}),
    )


def _schema(raw: Raw) -> Format:
    strict = raw.get("strict")
    return Format(
        "schema",
        mapping(raw.get("schema")),
        string(raw.get("name")),
        string(raw.get("description")),
        strict if isinstance(strict, bool) else None,
    )


_FORMATS: dict[str, Any] = {
    "text": lambda raw: Format("text"),
    "json_object": lambda raw: Format("json"),
    "json_schema": _schema,
}


def encode_text(request: Request, context: Context) -> Raw | None:
    raw: Raw = dict(mapping(own(request.extras).get("@text")))
    if request.format is not None:
        raw["format"] = _written_format(request.format, NAME in request.extras)
    if request.verbosity is not None and _taken("verbosity", context):
        raw["verbosity"] = request.verbosity
    return raw or None


def _written_format(told: Format, native: bool) -> Raw:
    if told.kind == "text":
        return {"type": "text"}
    if told.kind == "json":
        return {"type": "json_object"}
    raw: Raw = {"type": "json_schema", "name": fitted(told.name or "answer", FORMAT_NAME, "answer_")}
    raw["schema"] = told.schema or {}
    if told.description:
        raw["description"] = told.description
    strict = told.strict if native or told.strict is not None else structured.is_strict(told.schema) or None
    if strict is not None:
        raw["strict"] = strict
    return raw


def encode_include(request: Request, native: bool, context: Context) -> list[str]:
    """Without the encrypted content, reasoning could not be sent back in the next turn."""
    found = [name for name in items(own(request.extras).get("include")) if isinstance(name, str)]
    if request.sampling.logprobs and LOGPROBS not in found and (native or _taken("logprobs", context)):
        found.append(LOGPROBS)
    thinks = context.target.reasoning not in ("", "none") or (
        context.target.reasoning == "" and request.reasoning is not None and request.reasoning.enabled
    )
    if not native and thinks and _taken(ENCRYPTED, context):
        found.append(ENCRYPTED)
    return found


def encode_identity(request: Request, native: bool, context: Context) -> Raw:
    """Who asks and what it belongs to."""
    raw: Raw = {}
    if request.user:
        name = own(request.extras).get("@user") or "user"
        raw[name] = request.user if native else fitted(request.user, SHORT, "user_")
    if request.cache_key:
        raw["prompt_cache_key"] = request.cache_key if native else fitted(request.cache_key, SHORT, "key_")
    if request.service_tier:
        raw |= _tier(request.service_tier, native, context)
    if request.metadata is not None:
        raw["metadata"] = request.metadata if native else _metadata(request.metadata, context)
    return raw


def own_tier(tier: str | None) -> str | None:
    """A service tier by the name that it has here."""
    found = TIERS.get(tier or "", tier)
    return found if found in OWN_TIERS else None


def _tier(tier: str, native: bool, context: Context) -> Raw:
    found = tier if native else own_tier(tier)
    if found is not None:
        return {"service_tier": found}
    context.warn(f"service_tier: {tier} is not known to {TARGET}")
    return {}


def _metadata(metadata: Members, context: Context) -> Raw:
    """Up to 16 pairs of strings, the name up to 64 and the value up to 512 characters long."""
    fit = {
        name: value
        for name, value in metadata.items()
        if isinstance(value, str) and len(name) <= 64 and len(value) <= 512
    }
    kept = dict(list(fit.items())[:16])
    if len(kept) < len(metadata):
        context.warn(f"metadata: {TARGET} takes 16 short strings at most")
    return kept
