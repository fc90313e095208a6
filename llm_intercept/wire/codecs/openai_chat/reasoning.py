"""What a request says of reasoning: `reasoning_effort`, OpenRouter's `reasoning`, DeepSeek's `thinking`."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.openai_chat.terms import string, whole
from llm_intercept.wire.fields import mapping
from llm_intercept.wire.ir import Reasoning

EFFORTS = ((4_096, "low"), (16_384, "medium"))  # budgets up to here; above: high


def read(body: Mapping[str, Any]) -> Reasoning | None:
    wanted, switch = mapping(body.get("reasoning")), mapping(body.get("thinking"))
    effort = string(body.get("reasoning_effort")) or string(wanted.get("effort")) or None
    budget = whole(wanted.get("max_tokens"))
    if budget is None:
        budget = whole(switch.get("budget_tokens"))
    found = Reasoning(
        _enabled(wanted.get("enabled"), string(switch.get("type")), effort),
        effort,
        budget,
        switch.get("type") == "adaptive",
        _visible(body, wanted),
        string(wanted.get("summary")) or None,
    )
    return None if found == Reasoning() else found


def _enabled(said: object, switch: str, effort: str | None) -> bool | None:
    if isinstance(said, bool):
        return said
    if switch in ("enabled", "disabled", "adaptive"):
        return switch != "disabled"
    return False if effort == "none" else None


def _visible(body: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool | None:
    if isinstance(wanted.get("exclude"), bool):
        return not wanted["exclude"]
    included = body.get("include_reasoning")
    return included if isinstance(included, bool) else None


def write(wanted: Reasoning | None, kept: Mapping[str, Any], context: Context, body: dict[str, Any]) -> None:
    """In the target's form. `kept`: the client's own `reasoning` and `thinking`, for the same dialect."""
    if wanted is None:
        return
    form = context.target.reasoning
    if form == "openrouter":
        body["reasoning"] = _object(wanted, kept)
    elif form == "content":
        _switch(wanted, kept, body)
    elif form == "":
        _as_said(wanted, kept, context, body)
    elif form == "none":
        if wanted.enabled is not False and (wanted.enabled or wanted.effort or wanted.budget):
            context.warn(f"reasoning: {context.target.model or 'the model'} does not reason")
    else:
        _effort(wanted, context, body)


def _object(wanted: Reasoning, kept: Mapping[str, Any]) -> dict[str, Any]:
    said = mapping(kept.get("reasoning"))
    if said and read({"reasoning": said}) == wanted:
        return said
    known = ("effort", "max_tokens", "enabled", "exclude", "summary")
    written = {name: value for name, value in said.items() if name not in known}
    if wanted.enabled is False:
        written |= {"enabled": False} if wanted.effort is None else {"effort": wanted.effort}
    elif wanted.effort is not None:
        written["effort"] = wanted.effort
    elif wanted.budget is not None:
        written["max_tokens"] = wanted.budget
    elif wanted.enabled or wanted.adaptive:
        written["enabled"] = True
    if wanted.visible is not None:
        written["exclude"] = not wanted.visible
    return written


def _switch(wanted: Reasoning, kept: Mapping[str, Any], body: dict[str, Any]) -> None:
    """DeepSeek and those who followed it: a switch, and an effort."""
    others = {name: value for name, value in mapping(kept.get("thinking")).items() if name != "type"}
    on = wanted.enabled or wanted.adaptive or wanted.budget is not None
    if wanted.enabled is False:
        body["thinking"] = {**others, "type": "disabled"}
        return
    if on or others:
        others.pop("budget_tokens", None)
        body["thinking"] = {**others, "type": "enabled"}
    effort = wanted.effort or (_effort_of(wanted.budget) if wanted.budget is not None else None)
    if effort:
        body["reasoning_effort"] = effort


def _as_said(wanted: Reasoning, kept: Mapping[str, Any], context: Context, body: dict[str, Any]) -> None:
    """Nothing is known of the target: what the client wrote in our dialect, or an effort it named."""
    said = {name: kept[name] for name in ("reasoning", "thinking") if isinstance(kept.get(name), dict)}
    found = read(said)
    unchanged = found is not None and all(
        getattr(found, name) in (None, False, getattr(wanted, name))
        for name in ("enabled", "effort", "budget")
    )
    if unchanged and found is not None:
        body |= said
        if wanted.effort != found.effort and wanted.effort:
            body["reasoning_effort"] = wanted.effort
    elif wanted.effort is not None:
        body["reasoning_effort"] = wanted.effort
    elif wanted.enabled is not None or wanted.budget or wanted.adaptive:
        context.warn("reasoning: dropped, it is not known how the target takes it")


def _effort(wanted: Reasoning, context: Context, body: dict[str, Any]) -> None:
    if wanted.effort is not None:
        body["reasoning_effort"] = wanted.effort
    elif wanted.enabled is False:
        body["reasoning_effort"] = "low"
        context.warn("reasoning: not every model can switch it off, effort low")
    elif wanted.budget is not None:
        body["reasoning_effort"] = _effort_of(wanted.budget)
        context.warn(
            f"reasoning: a budget of {wanted.budget} tokens is said as effort {body['reasoning_effort']}"
        )
    elif wanted.enabled or wanted.adaptive:
        body["reasoning_effort"] = "medium"  # newer models do not reason unless they are told to


def _effort_of(budget: int) -> str:
    return next((effort for limit, effort in EFFORTS if budget <= limit), "high")
