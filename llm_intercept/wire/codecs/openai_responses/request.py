"""A whole request, both ways, and the check that it can be translated at all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from llm_intercept.wire.codec import Context, Encoded, Untranslatable
from llm_intercept.wire.codecs.openai_responses import controls
from llm_intercept.wire.codecs.openai_responses.content import note_cache
from llm_intercept.wire.codecs.openai_responses.items import Turns, string
from llm_intercept.wire.codecs.openai_responses.names import flat_names
from llm_intercept.wire.codecs.openai_responses.terms import NAME, TARGET, Members, Raw, kept, own, rest
from llm_intercept.wire.codecs.openai_responses.tools import (
    AnyTool,
    allowed,
    decode_choice,
    decode_tools,
    encode_choice,
    encode_tools,
)
from llm_intercept.wire.codecs.openai_responses.writing import encode_messages
from llm_intercept.wire.families import structured, toolnames, unsaid
from llm_intercept.wire.families.settled import settled
from llm_intercept.wire.families.unseen import seen
from llm_intercept.wire.fields import mapping, objects
from llm_intercept.wire.ir import Extras, Json, Message, Request, Text

# fmt: off
WORDS = frozenset((
    "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning",
    "max_output_tokens", "temperature", "top_p", "top_logprobs", "stream", "user", "prompt_cache_key",
    "service_tier", "metadata",
))
# fmt: on

# What only the provider that keeps it can resolve.
KEPT_ELSEWHERE = {
    "previous_response_id": "the earlier answer is kept by the provider that gave it; "
    "send the whole conversation as input instead",
    "conversation": "the conversation is kept by the provider; send it as input instead",
    "background": "answers in the background are fetched from the provider that makes them",
    "prompt": "the template is kept by the provider; send its text as instructions instead",
}
ITEMS_ELSEWHERE = {
    "item_reference": "the item is kept by the provider; send the item itself",
    "compaction": "a compacted conversation can be read by the provider that compacted it only",
    "compaction_trigger": "compacting is done by the provider that can read the result",
}
OPENAIS = (NAME, "openai_chat")  # what their clients name is in one store
LACKING = frozenset(("top_k", "seed", "presence_penalty", "frequency_penalty", "stop", unsaid.NAME))


def check_translatable(body: Mapping[str, Json]) -> None:
    """Raises for what lives at the provider, which no other dialect can be asked for.

    `decode_request` keeps these members for its own dialect, so whoever translates to another one
    (dialects differ) calls this first.
    """
    for name, reason in KEPT_ELSEWHERE.items():
        if body.get(name):
            raise Untranslatable(name, reason)
    for index, item in enumerate(objects(body.get("input"))):
        kind = string(item.get("type"))
        if kind in ITEMS_ELSEWHERE:
            raise Untranslatable(f"input[{index}]", ITEMS_ELSEWHERE[kind])


def decode_request(body: Mapping[str, Json], model: str, stream: bool) -> Request:
    names = flat_names(body.get("tools"))
    tools = decode_tools(body.get("tools"), names)
    choice, more_choice = decode_choice(body, tools)
    reasoning, more_reasoning = controls.decode_reasoning(body)
    form, verbosity, more_text = controls.decode_text(body)
    turns = Turns(names)
    for item in _items(body):
        turns.add(item)
    metadata = body.get("metadata")
    more = {**more_choice, **more_reasoning, **more_text, **_more(body)}
    usable = allowed(mapping(more_choice.get("@choice")), tools)
    if len(usable) != len(tools):
        more["@tools"] = tools
    return Request(
        model=string(body.get("model")) or model,
        messages=(*_instructions(body), *turns.end()),
        tools=usable,
        tool_choice=choice,
        sampling=controls.decode_sampling(body),
        reasoning=reasoning,
        format=form,
        verbosity=verbosity,
        stream=body.get("stream") is True or stream,
        user=string(body.get("user")) or string(body.get("safety_identifier")),
        cache_key=string(body.get("prompt_cache_key")),
        service_tier=string(body.get("service_tier")),
        metadata=metadata if isinstance(metadata, dict) else None,
        extras={NAME: more},
    )


def _items(body: Members) -> list[Raw]:
    told = body.get("input")
    if isinstance(told, str):
        return [{"role": "user", "content": told}]
    return objects(told)


def _instructions(body: Members) -> tuple[Message, ...]:
    told = string(body.get("instructions"))
    mark: Extras = kept({"@instructions": True})
    return (Message("system", (Text(told),), extras=mark),) if told else ()


def _more(body: Members) -> Raw:
    more = rest(body, WORDS)
    if more.get("safety_identifier") and not body.get("user"):
        more["@user"] = "safety_identifier"
        del more["safety_identifier"]
    return more


def encode_request(request: Request, context: Context) -> Encoded:
    """Members in the order of OpenAI's reference; what has no word at the end."""
    native = NAME in request.extras
    request = request if native else toolnames.fitting(request)
    members = own(request.extras)
    request = request if native else replace(request, messages=tuple(seen(request, OPENAIS, context)))
    instructions, messages = _split(request, native, context)
    talk = messages if native else _settled(request, messages, context)
    body: Raw = {"model": request.model} if request.model else {}
    if instructions:
        body["instructions"] = instructions
    if messages or not native:
        body["input"] = encode_messages(talk, context)
    tools = encode_tools(_tools(request), native, context)
    if tools:
        body["tools"] = tools
    body |= encode_choice(request, members, context)
    body |= controls.encode_sampling(request, native, context)
    for name, value in (
        ("reasoning", controls.encode_reasoning(request, native, context)),
        ("text", controls.encode_text(request, context)),
    ):
        if value is not None:
            body[name] = value
    body |= controls.encode_identity(request, native, context)
    if request.stream:
        body["stream"] = True
    body |= _kept(request, native, context)
    return Encoded(body)


def _settled(request: Request, messages: Sequence[Message], context: Context) -> Sequence[Message]:
    """JSON has to be spoken of in the input: instructions do not count."""
    talk = settled(messages, context)
    if request.format is None or request.format.kind != "json" or structured.mentioned(talk):
        return talk
    context.warn("text.format: JSON is given only where it is spoken of; said in the input")
    return [Message("developer", (Text(structured.WORDS),)), *talk]


def _tools(request: Request) -> tuple[AnyTool, ...]:
    every = own(request.extras).get("@tools")
    return every if isinstance(every, tuple) else request.tools


def _split(request: Request, native: bool, context: Context) -> tuple[str, list[Message]]:
    """The leading system texts are the instructions; a native request says itself which."""
    rest_of = list(request.messages)
    texts: list[str] = []
    while rest_of and _instructs(rest_of[0], native):
        texts.extend(_words(rest_of.pop(0), context))
    if not rest_of and not native:
        return "", list(request.messages)
    return "\n\n".join(text for text in texts if text), rest_of


def _words(message: Message, context: Context) -> Iterator[str]:
    for part in message.parts:
        if isinstance(part, Text):
            yield part.text
            if part.cache is not None:
                note_cache(context)


def _instructs(message: Message, native: bool) -> bool:
    if native:
        return "@instructions" in own(message.extras)
    return message.role == "system" and all(isinstance(part, Text) for part in message.parts)


def _kept(request: Request, native: bool, context: Context) -> Raw:
    """What has no word; and for other dialects' requests: nothing is stored that nobody asked to store."""
    raw = {name: value for name, value in own(request.extras).items() if name[0] != "@"}
    include = controls.encode_include(request, native, context)
    if include:
        raw["include"] = include
    if not native:
        raw["store"] = False
        _note_foreign(request, context)
    return raw


def _note_foreign(request: Request, context: Context) -> None:
    unsaid.warn(request, NAME, TARGET, LACKING, context)
    if any(
        part.cache is not None for m in request.messages[:1] for part in m.parts if isinstance(part, Text)
    ):
        context.warn(f"cache_control: {TARGET} finds cached prefixes by itself")
    last = request.messages[-1] if request.messages else None
    if last is not None and last.role == "assistant":
        context.warn(f"messages: {TARGET} does not continue an answer that the client begins")
