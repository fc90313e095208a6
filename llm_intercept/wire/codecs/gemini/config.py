"""`generationConfig`: limits, sampling, structured output, thinking."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.gemini import reasoning
from llm_intercept.wire.codecs.gemini.schema_back import json_schema
from llm_intercept.wire.codecs.gemini.shapes import inner, without
from llm_intercept.wire.codecs.gemini.tools import target_schema
from llm_intercept.wire.families.structured import described
from llm_intercept.wire.ir import Format, Json, Request, Sampling, Tool

STOPS = 5  # Gemini takes no more
MOST_SEED = 2**31 - 1
_WHOLE = {
    "max_tokens": "maxOutputTokens",
    "top_k": "topK",
    "seed": "seed",
    "n": "candidateCount",
    "top_logprobs": "logprobs",
}
_FRACTIONS = {
    "temperature": "temperature",
    "top_p": "topP",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_NAMES = {**_WHOLE, **_FRACTIONS, "logprobs": "responseLogprobs"}
_SAMPLING = frozenset((*_NAMES.values(), "stopSequences"))
_SCHEMAS = ("responseSchema", "responseJsonSchema")
_JSON = "application/json"
_ENUM = "text/x.enum"


def decode_sampling(config: Mapping[str, Json]) -> Sampling:
    values: dict[str, Any] = {}
    for name, member in _WHOLE.items():
        number = _number(config.get(member))
        values[name] = None if number is None else int(number)
    for name, member in _FRACTIONS.items():
        values[name] = _number(config.get(member))
    logprobs = config.get("responseLogprobs")
    stop = config.get("stopSequences")
    stop = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    values["stop"] = tuple(item for item in stop if isinstance(item, str))
    return Sampling(**values, logprobs=logprobs if isinstance(logprobs, bool) else None)


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def decode_format(config: Mapping[str, Json]) -> Format | None:
    """A choice of words (`text/x.enum`) is something of Gemini's own."""
    mime = config.get("responseMimeType")
    if mime == _ENUM:
        return None
    direct = config.get("responseJsonSchema")
    if isinstance(direct, dict):
        return Format("schema", direct)
    native = config.get("responseSchema")
    if isinstance(native, dict):
        return Format("schema", json_schema(native))
    return Format("json") if mime == _JSON else None


def decode_extras(config: Mapping[str, Json]) -> dict[str, Any]:
    """What has no word in the IR, and schemas and thinking as Gemini had them: it has its own forms."""
    extras = without(config, _SAMPLING)
    if extras.get("responseMimeType") == _JSON:
        del extras["responseMimeType"]
    return extras


def encode_config(request: Request, context: Context) -> dict[str, Any]:
    native = inner(request.extras, "generationConfig")
    config = _sampling(request.sampling, context)
    config.update(_format(request, native, context))
    thinking = reasoning.encode(request.reasoning, native.get("thinkingConfig"), context)
    if thinking:
        config["thinkingConfig"] = thinking
    said = ("thinkingConfig", *_SCHEMAS) if decode_format(native) is not None else ("thinkingConfig",)
    return {**config, **without(native, frozenset(said))}


def _sampling(sampling: Sampling, context: Context) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for name, member in _NAMES.items():
        value = getattr(sampling, name)
        if value is None:
            continue
        if name in context.target.rejects:
            context.warn(f"{name}: not taken by {context.target.model}")
        else:
            config[member] = value
    _limit(config, context)
    if abs(config.get("seed", 0)) > MOST_SEED:
        context.warn(f"seed: {config.pop('seed')} is more than Gemini takes, left out")
    stop = [word for word in sampling.stop if word]
    if stop:
        config["stopSequences"] = stop[:STOPS]
    if stop and "stop" in context.target.rejects:
        del config["stopSequences"]
        context.warn(f"stop: not taken by {context.target.model}")
    elif len(stop) > STOPS:
        context.warn(f"stop: Gemini takes {STOPS} sequences, the others are dropped")
    return config


def _limit(config: dict[str, Any], context: Context) -> None:
    most = context.target.max_output
    wanted = config.get("maxOutputTokens")
    if most is not None and wanted is not None and wanted > most:
        config["maxOutputTokens"] = most
        context.warn(f"max_tokens: {wanted} is {most}, the model's limit")


def _format(request: Request, native: Mapping[str, Json], context: Context) -> dict[str, Any]:
    """The client's own schema, if it has one in Gemini's form, else ours cleaned."""
    form = request.format
    if form is None or form.kind == "text":
        return {}
    for name in _SCHEMAS:
        if isinstance(native.get(name), dict):
            return {"responseMimeType": _JSON, name: native[name]}
    if context.target.structured is False or _conflicts(request, context):
        context.warn("response_format: dropped, this model does not take it (together with functions)")
        return {}
    config: dict[str, Any] = {"responseMimeType": _JSON}
    schema = described(form)
    if schema is not None:
        config["responseSchema"] = target_schema(schema, "response_format", context)
    return config


def _conflicts(request: Request, context: Context) -> bool:
    """Models before Gemini 3 refuse a call with both JSON output and functions."""
    old = context.target.reasoning in ("budget", "none")
    return old and any(isinstance(tool, Tool) for tool in request.tools)
