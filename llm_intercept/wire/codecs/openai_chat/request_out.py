"""The IR -> a request, as the target takes it: what it refuses is dropped, what it needs is there."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from llm_intercept.wire.codec import Context, Encoded, Untranslatable
from llm_intercept.wire.codecs.openai_chat import messages_out, order, reasoning, tools
from llm_intercept.wire.codecs.openai_chat.terms import LIMIT, NAME, REASONING, members, own
from llm_intercept.wire.families import unsaid
from llm_intercept.wire.families.settled import settled
from llm_intercept.wire.families.structured import WORDS, asked, is_strict, mentioned
from llm_intercept.wire.families.unseen import seen
from llm_intercept.wire.ir import Format, Message, Request, Sampling
from llm_intercept.wire.toolids import fitted

STOPS = 4
OPENAIS = (NAME, "openai_responses")  # what their clients name is in one store
LACKING = frozenset((unsaid.CITATIONS,))
TIERS = frozenset(("auto", "default", "flex", "scale", "priority", "fast", "on_demand", "performance"))
SHORT = re.compile(r"[\s\S]{1,64}")  # what OpenAI takes as `user` and `prompt_cache_key`
LONGEST = 512  # characters of a value in `metadata`
PLAIN = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty", "n")


def encode_request(request: Request, context: Context) -> Encoded:
    unsaid.refuse_several(request, NAME)
    kept = own(request.extras)
    body: dict[str, Any] = {"model": request.model} if request.model else {}
    body["messages"] = _messages(request, context)
    tools.write(request, context, body)
    _sampling(request.sampling, LIMIT in kept, context, body)
    reasoning.write(request.reasoning, kept.get(REASONING, {}), context, body)
    if request.format is not None:
        body["response_format"] = _form(request.format, NAME in request.extras, context)
    _asides(request, context, body)
    _stream(request, context, body)
    unsaid.warn(request, NAME, "OpenAI chat", LACKING, context)
    body |= {name: value for name, value in members(request.extras).items() if name != "stream_options"}
    return Encoded(body)


def _messages(request: Request, context: Context) -> list[dict[str, Any]]:
    native = NAME in request.extras
    talk = request.messages if native else settled(seen(request, OPENAIS, context), context)
    written = messages_out.write(talk, context, native)
    if words := _told(request, talk, native, context):
        at = next((i for i, m in enumerate(written) if m["role"] not in ("system", "developer")), 0)
        written.insert(at, {"role": "system", "content": words})
    if context.target.short_tool_ids:
        return order.for_mistral(written, native, context)
    if not native and written and written[-1]["role"] == "assistant":
        context.warn("messages: few servers continue an answer that the client begins")
    return written


def _told(request: Request, talk: Sequence[Message], native: bool, context: Context) -> str:
    """What has to be said of the answer's form."""
    form = request.format
    if form is not None and form.kind == "schema" and _in_words(context):
        context.warn("response_format: a schema is not taken here; said in the system prompt")
        return asked(form)
    if form is None or form.kind != "json" or native or mentioned(talk):
        return ""
    context.warn("response_format: JSON is given only where it is spoken of; said in the system prompt")
    return WORDS


def _sampling(wanted: Sampling, completion: bool, context: Context, body: dict[str, Any]) -> None:
    for name in PLAIN:
        value = getattr(wanted, name)
        if value is not None and _taken(name, context):
            body[name] = value
    if (
        wanted.top_k is not None
        and context.target.reasoning == "effort"
        and body.pop("top_k", None) is not None
    ):
        context.warn("top_k: not known to OpenAI chat")
    if wanted.max_tokens is not None:
        _limit(wanted.max_tokens, completion, context, body)
    if wanted.stop and _taken("stop", context):
        stop = [word for word in wanted.stop if word]
        if len(stop) > STOPS:
            context.warn(f"stop: only the first {STOPS} of {len(stop)} sequences")
        body["stop"] = stop[:STOPS]
    _logprobs(wanted, context, body)


def _taken(name: str, context: Context) -> bool:
    if name not in context.target.rejects:
        return True
    context.warn(f"{name}: not taken by {context.target.model or 'the model'}")
    return False


def _limit(wanted: int, completion: bool, context: Context, body: dict[str, Any]) -> None:
    """OpenAI's reasoning models refuse `max_tokens`, most others know nothing else."""
    most = context.target.max_output
    if most is not None and wanted > most:
        context.warn(f"max_tokens: {wanted} is more than the {most} that the model can write")
        wanted = most
    newer = context.target.reasoning == "effort" or (completion and context.target.reasoning in ("", "none"))
    newer = newer and "max_completion_tokens" not in context.target.rejects
    body["max_completion_tokens" if newer else "max_tokens"] = wanted


def _logprobs(wanted: Sampling, context: Context, body: dict[str, Any]) -> None:
    asked = wanted.logprobs is not None or wanted.top_logprobs is not None
    if not asked or not _taken("logprobs", context):
        return
    if wanted.logprobs is not None:
        body["logprobs"] = wanted.logprobs
    if wanted.top_logprobs is not None:
        body["top_logprobs"] = wanted.top_logprobs


def _form(wanted: Format, native: bool, context: Context) -> dict[str, Any]:
    if wanted.kind != "schema" or _in_words(context):
        return {"type": "text" if wanted.kind == "text" else "json_object"}
    inner: dict[str, Any] = {"name": wanted.name or "answer"} if wanted.name or not native else {}
    if wanted.description:
        inner["description"] = wanted.description
    if wanted.schema:
        inner["schema"] = wanted.schema
    strict = wanted.strict if native or wanted.strict is not None else is_strict(wanted.schema) or None
    if strict is not None:
        inner["strict"] = strict
    return {"type": "json_schema", "json_schema": inner}


def _in_words(context: Context) -> bool:
    """Servers that give JSON, but by no schema: it is in the system prompt."""
    return "json_schema" in context.target.rejects


def _asides(request: Request, context: Context, body: dict[str, Any]) -> None:
    asides = {
        "verbosity": request.verbosity,
        "user": request.user and fitted(request.user, SHORT, "user_"),
        "prompt_cache_key": request.cache_key and fitted(request.cache_key, SHORT, "key_"),
        "service_tier": _tier(request.service_tier, context),
        "metadata": _metadata(request.metadata or {}, context),
    }
    for name, value in asides.items():
        if value and _taken(name, context):
            body[name] = value


def _tier(wanted: str, context: Context) -> str:
    if not wanted or wanted in TIERS:
        return wanted
    context.warn(f"service_tier: {wanted} is not one of OpenAI's")
    return ""


def _metadata(given: Mapping[str, Any], context: Context) -> dict[str, str]:
    kept = {name: value for name, value in given.items() if isinstance(value, str) and len(value) <= LONGEST}
    for name in given.keys() - kept.keys():
        context.warn(f"metadata.{name}: no text of at most {LONGEST} characters")
    return kept


def _stream(request: Request, context: Context, body: dict[str, Any]) -> None:
    """Usage is always asked for: other dialects report it whether the client wants it or not."""
    if not request.stream:
        return
    if (request.sampling.n or 1) > 1:
        raise Untranslatable("n", "several answers in one stream cannot be translated")
    body["stream"] = True
    if "stream_options" not in context.target.rejects:
        body["stream_options"] = {"include_usage": True, **own(request.extras).get("stream_options", {})}
