"""Requests, both ways."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codec import Context, Encoded, Untranslatable
from llm_intercept.wire.codecs.openai_completions.terms import NAME, members, number, own, rest, string
from llm_intercept.wire.families import unsaid
from llm_intercept.wire.fields import count, items, mapping
from llm_intercept.wire.ir import Message, Request, Sampling, Text, ToolCall, ToolResult

KNOWN = frozenset(
    (
        *(
            "model",
            "prompt",
            "max_tokens",
            "temperature",
            "top_p",
            "top_k",
            "n",
            "stream",
            "logprobs",
            "stop",
        ),
        *("seed", "presence_penalty", "frequency_penalty", "user"),
    )
)
PLAIN = ("max_tokens", "temperature", "top_p", "top_k", "n", "seed", "presence_penalty", "frequency_penalty")
STOPS = 4
LACKING = frozenset(("verbosity", "cache_key", "service_tier", "metadata", *unsaid.PARTS, unsaid.CACHE))
SPEAKERS = {"system": "", "developer": "", "user": "User: ", "assistant": "Assistant: "}


def decode_request(body: Mapping[str, Any], model: str, stream: bool) -> Request:
    options = mapping(body.get("stream_options"))
    kept = rest(body, KNOWN)
    if "stream_options" in kept:
        del kept["stream_options"]
        if further := rest(options, ("include_usage",)):
            kept["stream_options"] = further
    return Request(
        string(body.get("model")) or model,
        (Message("user", (Text(_prompt(body.get("prompt"))),)),),
        sampling=_sampling(body),
        stream=stream or body.get("stream") is True,
        include_usage=options.get("include_usage") is True,
        user=string(body.get("user")),
        extras={NAME: kept},
    )


def _prompt(prompt: object) -> str:
    if isinstance(prompt, str):
        return prompt
    if prompt is None:
        return ""
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        return prompt[0]
    if isinstance(prompt, list) and all(isinstance(item, str) for item in prompt):
        raise Untranslatable("prompt", "several prompts in one call cannot be translated")
    raise Untranslatable("prompt", "token numbers cannot be translated, send the text")


def _sampling(body: Mapping[str, Any]) -> Sampling:
    stop = body.get("stop")
    weighed = count(body.get("logprobs"))
    return Sampling(
        count(body.get("max_tokens")),
        number(body.get("temperature")),
        number(body.get("top_p")),
        count(body.get("top_k")),
        (stop,) if isinstance(stop, str) else tuple(s for s in items(stop) if isinstance(s, str)),
        body["seed"] if isinstance(body.get("seed"), int) else None,
        number(body.get("presence_penalty")),
        number(body.get("frequency_penalty")),
        count(body.get("n")),
        None if weighed is None else True,
        weighed,
    )


def encode_request(request: Request, context: Context) -> Encoded:
    unsaid.refuse_several(request, NAME)
    body: dict[str, Any] = {"model": request.model} if request.model else {}
    body["prompt"] = _written_prompt(request, context)
    for name in PLAIN:
        value = getattr(request.sampling, name)
        if value is not None and _taken(name, context):
            body[name] = value
    _limit(body, context)
    _stops(request.sampling, body, context)
    if request.sampling.logprobs and _taken("logprobs", context):
        body["logprobs"] = request.sampling.top_logprobs or 0
    if request.user:
        body["user"] = request.user
    _stream(request, body, context)
    _drop(request, context)
    kept = {name: value for name, value in members(request.extras).items() if name != "stream_options"}
    return Encoded(body | kept)


def _taken(name: str, context: Context) -> bool:
    if name not in context.target.rejects:
        return True
    context.warn(f"{name}: not taken by {context.target.model or 'the model'}")
    return False


def _limit(body: dict[str, Any], context: Context) -> None:
    most = context.target.max_output
    if most is not None and body.get("max_tokens", 0) > most:
        context.warn(f"max_tokens: {body['max_tokens']} is more than the {most} that the model can write")
        body["max_tokens"] = most


def _stops(sampling: Sampling, body: dict[str, Any], context: Context) -> None:
    if not sampling.stop or not _taken("stop", context):
        return
    if len(sampling.stop) > STOPS:
        context.warn(f"stop: only the first {STOPS} of {len(sampling.stop)} sequences")
    body["stop"] = list(sampling.stop[:STOPS])


def _stream(request: Request, body: dict[str, Any], context: Context) -> None:
    if not request.stream:
        return
    if (request.sampling.n or 1) > 1:
        raise Untranslatable("n", "several answers in one stream cannot be translated")
    body["stream"] = True
    if "stream_options" not in context.target.rejects:
        body["stream_options"] = {"include_usage": True, **own(request.extras).get("stream_options", {})}


def _written_prompt(request: Request, context: Context) -> str:
    """One user message is the prompt; a conversation is written down, turn by turn."""
    said = [(message.role, _words(message, context)) for message in request.messages]
    if len(said) == 1 and said[0][0] == "user":
        return said[0][1]
    context.warn("messages: a conversation is written into one prompt")
    lines = [SPEAKERS[role] + text for role, text in said if text]
    return "\n\n".join([*lines, "Assistant:"])


def _words(message: Message, context: Context) -> str:
    words = []
    for part in message.parts:
        if isinstance(part, Text):
            words.append(part.text)
        elif isinstance(part, ToolResult):
            words.append(_words(Message("user", part.parts), context))
            context.warn("tool result: said in words, text completions have no tools")
        else:
            kind = "tool call" if isinstance(part, ToolCall) else type(part).__name__.lower()
            context.warn(f"{kind}: text completions take nothing but text")
    return "\n\n".join(words)


def _drop(request: Request, context: Context) -> None:
    wanted: dict[str, object] = {
        "tools": request.tools,
        "reasoning": request.reasoning,
        "response_format": request.format if request.format and request.format.kind != "text" else None,
    }
    for name, value in wanted.items():
        if value:
            context.warn(f"{name}: not known to text completions")
    unsaid.warn(request, NAME, "text completions", LACKING, context)
