"""A whole request. Model and streaming stand in the path, never in the body."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codec import Context, Encoded, Untranslatable
from llm_intercept.wire.codecs.gemini import config, messages, reasoning, tools
from llm_intercept.wire.codecs.gemini.shapes import NAME, own, proto, without
from llm_intercept.wire.families import unsaid
from llm_intercept.wire.families.settled import settled
from llm_intercept.wire.ir import Extras, Json, Request

_KNOWN = frozenset(
    ("model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier")
)
_TIERS = {tier: tier for tier in ("flex", "standard", "priority")}
_TIERS |= {"default": "standard", "standard_only": "standard", "auto": ""}
_LACKING = frozenset(
    ("verbosity", "user", "cache_key", "metadata", *unsaid.PARTS, unsaid.TITLE, unsaid.STRICT)
)


def check_translatable(body: Mapping[str, Json]) -> None:
    """Raises for what lives at Google: without it the model would not know what is spoken of."""
    if proto(body).get("cachedContent"):
        raise Untranslatable("cachedContent", "the content is kept by Google; send it in the request instead")


def decode(body: Mapping[str, Json], model: str, stream: bool) -> Request:
    source = proto(body)
    if not isinstance(source.get("contents"), list | dict):
        raise Untranslatable("contents", "is missing")
    generation = proto(source.get("generationConfig"))
    calling = proto(source.get("toolConfig"))
    tier = source.get("serviceTier")
    return Request(
        model=model.removeprefix("models/"),
        messages=(
            *messages.decode_system(source.get("systemInstruction")),
            *messages.decode(source["contents"]),
        ),
        tools=tools.decode_tools(source.get("tools")),
        tool_choice=tools.decode_choice(calling),
        sampling=config.decode_sampling(generation),
        reasoning=reasoning.decode(generation.get("thinkingConfig")),
        format=config.decode_format(generation),
        stream=stream,
        service_tier=tier if isinstance(tier, str) else "",
        extras=_extras(source, generation, calling),
    )


def _extras(source: dict[str, Any], generation: dict[str, Any], calling: dict[str, Any]) -> Extras:
    members = without(source, _KNOWN)
    if rest := config.decode_extras(generation):
        members["generationConfig"] = rest
    if rest := tools.choice_extras(calling):
        members["toolConfig"] = rest
    return {NAME: members}  # also when empty: it says whose request this was


def encode(request: Request, context: Context) -> Encoded:
    unsaid.refuse_several(request, NAME)
    contents = messages.Contents(context)
    talk = request.messages if NAME in request.extras else settled(request.messages, context)
    for message in talk:
        contents.add(message)
    body: dict[str, Any] = {"contents": contents.finished()}
    members = {
        "systemInstruction": {"parts": contents.system} if contents.system else None,
        "tools": tools.encode_tools(request, context),
        "toolConfig": tools.encode_config(request, context),
        "generationConfig": config.encode_config(request, context),
        "serviceTier": _tier(request, context),
    }
    body.update((name, value) for name, value in members.items() if value)
    body.update(without(own(request.extras), frozenset(("generationConfig", "toolConfig"))))
    unsaid.warn(request, NAME, "Gemini", _LACKING, context)
    return Encoded(body, model_in_path=True)


def _tier(request: Request, context: Context) -> str:
    asked = request.service_tier
    if NAME in request.extras and asked.lower() in _TIERS:
        return asked  # as Gemini's own client writes it
    if asked and asked.lower() not in _TIERS:
        context.warn(f"service_tier: {asked} is not known to Gemini")
    return _TIERS.get(asked.lower(), "")
