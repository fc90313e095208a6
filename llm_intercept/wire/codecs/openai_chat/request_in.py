"""A request's top level -> the IR."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codecs.openai_chat import reasoning, tools
from llm_intercept.wire.codecs.openai_chat.messages_in import messages
from llm_intercept.wire.codecs.openai_chat.terms import LIMIT, NAME, REASONING, number, rest, string, whole
from llm_intercept.wire.fields import items, mapping
from llm_intercept.wire.ir import Format, Request, Sampling

KNOWN = frozenset(
    [
        "model",
        "messages",
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "parallel_tool_calls",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "n",
        "logprobs",
        "top_logprobs",
        "reasoning_effort",
        "reasoning",
        "thinking",
        "max_completion_tokens",
        "include_reasoning",
        "verbosity",
        "response_format",
        "stream",
        "user",
        "prompt_cache_key",
        "service_tier",
        "metadata",
    ]
)


# Followers have members in these that nobody else knows: they are read, and kept as they were.
FOLLOWERS = ("reasoning", "thinking", "include_reasoning")


def decode_request(body: Mapping[str, Any], model: str, stream: bool) -> Request:
    choice, kept_choice = tools.choice(body)
    options = mapping(body.get("stream_options"))
    metadata = body.get("metadata")
    return Request(
        string(body.get("model")) or model,
        messages(body.get("messages")),
        tools.tools(body),
        choice,
        sampling(body),
        reasoning.read(body),
        form(body.get("response_format")),
        string(body.get("verbosity")) or None,
        stream or body.get("stream") is True,
        options.get("include_usage") is True,
        string(body.get("user")),
        string(body.get("prompt_cache_key")),
        string(body.get("service_tier")),
        metadata if isinstance(metadata, dict) else None,
        {NAME: _kept(body, options) | kept_choice},
    )


def _kept(body: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    kept = rest(body, KNOWN)
    if "stream_options" in kept:
        del kept["stream_options"]
        if further := rest(options, ("include_usage",)):
            kept["stream_options"] = further
    said = {name: body[name] for name in FOLLOWERS if body.get(name) is not None}
    if said:
        kept[REASONING] = said
    if body.get("max_completion_tokens") is not None:
        kept[LIMIT] = True
    if body.get("response_format") is not None and form(body["response_format"]) is None:
        kept["response_format"] = body["response_format"]
    return kept


def sampling(body: Mapping[str, Any]) -> Sampling:
    stop = body.get("stop")
    limit = whole(body.get("max_completion_tokens"))
    logprobs = body.get("logprobs")
    return Sampling(
        whole(body.get("max_tokens")) if limit is None else limit,
        number(body.get("temperature")),
        number(body.get("top_p")),
        whole(body.get("top_k")),
        (stop,) if isinstance(stop, str) else tuple(s for s in items(stop) if isinstance(s, str)),
        body["seed"] if isinstance(body.get("seed"), int) else None,
        number(body.get("presence_penalty")),
        number(body.get("frequency_penalty")),
        whole(body.get("n")),
        logprobs if isinstance(logprobs, bool) else None,
        whole(body.get("top_logprobs")),
    )


def form(wanted: object) -> Format | None:
    """`response_format`; a form that nobody else has stays out of the IR."""
    source = mapping(wanted)
    kind = source.get("type")
    if kind == "json_object":
        return Format("json")
    if kind == "text":
        return Format("text")
    if kind != "json_schema":
        return None
    inner = mapping(source.get("json_schema"))
    schema, strict = inner.get("schema"), inner.get("strict")
    return Format(
        "schema",
        schema if isinstance(schema, dict) else {},
        string(inner.get("name")),
        string(inner.get("description")),
        strict if isinstance(strict, bool) else None,
    )
