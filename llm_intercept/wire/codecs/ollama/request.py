"""Requests, both ways. Unlike everyone else's they stream unless they say otherwise."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codec import Context, Encoded, Untranslatable
from llm_intercept.wire.codecs.ollama import messages
from llm_intercept.wire.codecs.ollama.terms import NAME, extras, own, rest, string
from llm_intercept.wire.families import freetext, schemas, unsaid
from llm_intercept.wire.families.structured import described
from llm_intercept.wire.fields import count, items, mapping, objects
from llm_intercept.wire.ir import Format, OpaqueTool, Reasoning, Request, Sampling, Tool, ToolChoice

KNOWN = frozenset(("model", "messages", "tools", "stream", "format", "think", "logprobs", "top_logprobs"))
OPTIONS = {
    "num_predict": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
LACKING = frozenset(
    ("verbosity", "user", "cache_key", "service_tier", "metadata", *unsaid.PARTS, unsaid.STRICT)
)


def decode_request(body: Mapping[str, Any], model: str, stream: bool) -> Request:
    if "messages" not in body and "prompt" in body:
        raise Untranslatable("prompt", "only /api/chat is translated, not /api/generate")
    options = mapping(body.get("options"))
    kept = rest(body, KNOWN)
    kept.pop("options", None)
    if further := _further(options):
        kept["options"] = further
    return Request(
        string(body.get("model")) or model,
        messages.read(body.get("messages")),
        tuple(_tool(item) for item in objects(body.get("tools"))),
        sampling=_sampling(body, options),
        reasoning=_reasoning(body.get("think")),
        format=_format(body.get("format")),
        stream=body.get("stream") is not False,
        extras={NAME: kept},
    )


def _further(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the IR has no word for; a negative `num_predict` means no limit."""
    further = rest(options, (*OPTIONS, "stop"))
    limit = options.get("num_predict")
    if limit is not None and count(limit) is None:
        further["num_predict"] = limit
    return further


def _sampling(body: Mapping[str, Any], options: Mapping[str, Any]) -> Sampling:
    known = {word: _number(options.get(name)) for name, word in OPTIONS.items()}
    known["max_tokens"] = count(options.get("num_predict"))
    known["top_k"] = count(options.get("top_k"))
    stop, weighed = options.get("stop"), body.get("logprobs")
    return Sampling(
        **known,
        stop=(stop,) if isinstance(stop, str) else tuple(s for s in items(stop) if isinstance(s, str)),
        logprobs=weighed if isinstance(weighed, bool) else None,
        top_logprobs=count(body.get("top_logprobs")),
    )


def _number(value: object) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _reasoning(think: object) -> Reasoning | None:
    if isinstance(think, bool):
        return Reasoning(enabled=think)
    return Reasoning(enabled=True, effort=think) if isinstance(think, str) and think else None


def _format(wanted: object) -> Format | None:
    if wanted == "json":
        return Format("json")
    return Format("schema", wanted) if isinstance(wanted, dict) else None


def _tool(item: Mapping[str, Any]) -> Tool | OpaqueTool:
    inner = item.get("function")
    if not isinstance(inner, dict):
        return OpaqueTool(NAME, string(item.get("type")), item)
    schema = inner.get("parameters")
    kept = extras(rest(inner, ("name", "description", "parameters")))
    known = schema if isinstance(schema, dict) else {"type": "object", "properties": {}}
    return Tool(string(inner.get("name")), string(inner.get("description")), known, extras=kept)


def encode_request(request: Request, context: Context) -> Encoded:
    kept = dict(own(request.extras))
    body: dict[str, Any] = {"model": request.model} if request.model else {}
    body["messages"] = messages.write(request.messages, context)
    if tools := _tools(request, context):
        body["tools"] = tools
    if request.format is not None and request.format.kind != "text":
        body["format"] = described(request.format) or "json"
    options = {**kept.pop("options", {}), **_options(request.sampling, context)}
    if options:
        body["options"] = options
    _logprobs(request.sampling, body)
    _think(request, context, body)
    body["stream"] = request.stream
    unsaid.warn(request, NAME, "Ollama", LACKING, context)
    return Encoded(body | kept)


def _options(wanted: Sampling, context: Context) -> dict[str, Any]:
    if (wanted.n or 1) > 1:
        raise Untranslatable("n", "Ollama gives one answer for each call")
    options: dict[str, Any] = {}
    for name, word in OPTIONS.items():
        value = getattr(wanted, word)
        if value is None:
            continue
        if word in context.target.rejects:
            context.warn(f"{word}: not taken by {context.target.model or 'the model'}")
        else:
            options[name] = value
    most = context.target.max_output
    if most is not None and options.get("num_predict", 0) > most:
        context.warn(f"max_tokens: {options['num_predict']} is more than the {most} that the model can write")
        options["num_predict"] = most
    if wanted.stop:
        options["stop"] = list(wanted.stop)
    return options


def _logprobs(wanted: Sampling, body: dict[str, Any]) -> None:
    if wanted.logprobs is not None:
        body["logprobs"] = wanted.logprobs
    if wanted.top_logprobs is not None:
        body["top_logprobs"] = wanted.top_logprobs


def _think(request: Request, context: Context, body: dict[str, Any]) -> None:
    """Models that cannot think refuse to be asked; levels are known to few (gpt-oss)."""
    wanted, form = request.reasoning, context.target.reasoning
    if wanted is None or not (
        wanted.enabled is not None or wanted.effort or wanted.budget or wanted.adaptive
    ):
        return
    if wanted.enabled is False or wanted.effort == "none":
        body["think"] = False
    elif form == "none" or (form == "" and NAME not in request.extras):
        context.warn(f"reasoning: {context.target.model or 'the model'} is not known to think")
    elif wanted.effort is not None and (form == "effort" or NAME in request.extras):
        body["think"] = EFFORTS.get(wanted.effort, wanted.effort)
    else:
        body["think"] = True


def _tools(request: Request, context: Context) -> list[dict[str, Any]]:
    choice = request.tool_choice or ToolChoice()
    if choice.mode == "none":
        return []
    native = NAME in request.extras
    written = [item for tool in request.tools if (item := _written(tool, native, context)) is not None]
    if written and choice.mode != "auto":
        context.warn(f"tool_choice: Ollama cannot be made to call a tool ({choice.mode})")
    if written and choice.parallel is False:
        context.warn("parallel_tool_calls: not known to Ollama")
    return written


def _written(tool: Tool | OpaqueTool, native: bool, context: Context) -> dict[str, Any] | None:
    if isinstance(tool, OpaqueTool):
        if tool.dialect == NAME:
            return dict(tool.raw)
        context.warn(f"tools.{tool.kind}: run by the provider of {tool.dialect}, dropped")
        return None
    if tool.cache is not None:
        messages.uncached(context)
    if tool.schema is None:
        context.warn(f"tools.{tool.name}: free text is asked for as the argument `input`")
    free = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
    schema = free if tool.schema is None else tool.schema
    inner: dict[str, Any] = {"name": tool.name, "description": freetext.described(tool)}
    inner["parameters"] = schema if native else schemas.spelled_out(schema, tool.name, context)
    return {"type": "function", "function": {**inner, **own(tool.extras)}}
