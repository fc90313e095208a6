"""Requests of clients that speak Anthropic's dialect -> the neutral model."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codec import Untranslatable
from llm_intercept.wire.codecs.anthropic import blocks_in, envelope, tools_in
from llm_intercept.wire.codecs.anthropic.members import FORM, INSIDE, NAME, beyond
from llm_intercept.wire.fields import count, mapping
from llm_intercept.wire.ir import Extras, Format, Json, Message, Reasoning, Request, Sampling

KNOWN = frozenset(
    {
        *("model", "messages", "system", "tools", "tool_choice", "max_tokens", "temperature", "top_p"),
        *("top_k", "stop_sequences", "stream", "metadata", "service_tier", "thinking", "output_config"),
        "output_format",
    }
)
MESSAGE = frozenset({"role", "content"})
ROLES = ("user", "assistant", "system")
THINKING = {
    "enabled": frozenset({"type", "budget_tokens"}),
    "disabled": frozenset({"type"}),
    "adaptive": frozenset({"type"}),
}


def decode_request(body: Mapping[str, Json], model: str, stream: bool) -> Request:
    body = envelope.opened(body)
    extras = {name: value for name, value in body.items() if name not in KNOWN}
    output = dict(mapping(body.get("output_config")))
    effort = output.pop("effort", None) if isinstance(output.get("effort"), str) else None
    metadata = dict(mapping(body.get("metadata")))
    user = metadata.pop("user_id", None) if isinstance(metadata.get("user_id"), str) else None
    form = _form(body, output, extras)
    reasoning = _reasoning(body.get("thinking"), effort, extras)
    kept = {"output_config": output, "metadata": metadata}
    extras.update({name: left for name, left in kept.items() if left})
    return Request(
        model=model or blocks_in.string(body.get("model")),
        messages=_messages(body),
        tools=tools_in.tools(body.get("tools")),
        tool_choice=tools_in.choice(body.get("tool_choice")),
        sampling=_sampling(body),
        reasoning=reasoning,
        format=form,
        stream=stream or body.get("stream") is True,
        user=user or "",
        service_tier=blocks_in.string(body.get("service_tier")),
        extras={NAME: extras},  # also when empty: it says whose request this was
    )


def _messages(body: Mapping[str, Any]) -> tuple[Message, ...]:
    wire = body.get("messages")
    if not isinstance(wire, list):
        known = "the legacy text completions are not translated" if "prompt" in body else "must be a list"
        raise Untranslatable("messages", known)
    turns = tuple(_message(raw, f"messages[{at}]") for at, raw in enumerate(wire))
    prompt = body.get("system")
    if not prompt:
        return turns
    return (Message("system", _parts(prompt, "system"), extras=_form_of(prompt)), *turns)


def _message(raw: object, path: str) -> Message:
    if not isinstance(raw, dict):
        raise Untranslatable(path, "must be an object")
    role, content = raw.get("role"), raw.get("content")
    if role not in ROLES:
        raise Untranslatable(f"{path}.role", f"{role!r} is not known")
    extras = _form_of(content) if len(raw) == 2 else beyond(raw, MESSAGE) or _form_of(content)
    if role == "system":
        extras = {NAME: {**extras.get(NAME, {}), INSIDE: True}}
    return Message(role, _parts(content, f"{path}.content"), extras=extras)


def _form_of(content: object) -> Extras:
    return {NAME: {FORM: "string"}} if isinstance(content, str) else {}


def _parts(content: object, path: str) -> Any:
    if not isinstance(content, str | list):
        raise Untranslatable(path, "must be a string or a list of blocks")
    if isinstance(content, list):
        for at, block in enumerate(content):
            if not blocks_in.is_block(block):
                raise Untranslatable(f"{path}[{at}]", "must be an object with a type")
    return blocks_in.parts(content)


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _sampling(body: Mapping[str, Any]) -> Sampling:
    stop = body.get("stop_sequences")
    return Sampling(
        max_tokens=count(body.get("max_tokens")),
        temperature=_number(body.get("temperature")),
        top_p=_number(body.get("top_p")),
        top_k=count(body.get("top_k")),
        stop=tuple(s for s in stop if isinstance(s, str)) if isinstance(stop, list) else (),
    )


def _reasoning(thinking: object, effort: str | None, extras: dict[str, Any]) -> Reasoning | None:
    """Thinking and effort. What a kind of thinking says beyond our words goes to the extras."""
    if not isinstance(thinking, dict):
        return Reasoning(effort=effort) if effort else None
    kind = str(thinking.get("type"))
    known = THINKING.get(kind, frozenset())
    left = {name: value for name, value in thinking.items() if name not in known}
    if left:
        extras["thinking"] = left
    display = thinking.get("display")
    return Reasoning(
        enabled=kind != "disabled",
        effort=effort,
        budget=count(thinking.get("budget_tokens")) if kind == "enabled" else None,
        adaptive=kind not in ("enabled", "disabled"),
        visible=None if not isinstance(display, str) else display != "omitted",
    )


def _form(body: Mapping[str, Any], output: dict[str, Any], extras: dict[str, Any]) -> Format | None:
    """`output_config.format`, or the older `output_format`; the latter leaves a note where it stood."""
    legacy = body.get("output_format")
    if isinstance(legacy, dict):
        extras["output_format"] = {}
    raw = legacy if isinstance(legacy, dict) else output.get("format")
    if not isinstance(raw, dict) or not isinstance(raw.get("schema"), dict):
        return None
    if raw is not legacy and raw.keys() == {"type", "schema"}:
        del output["format"]
    return Format("schema", raw["schema"])
