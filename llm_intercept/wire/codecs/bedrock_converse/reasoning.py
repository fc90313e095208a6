"""Reasoning in `additionalModelRequestFields`, where each family of models has its own form.

Claude: `thinking` (or `reasoning_config`) and `output_config.effort`; Nova 2: `reasoningConfig`;
gpt-oss: `reasoning_effort`. What is said in an effort becomes a budget, and back, by `BUDGETS`.
"""

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.bedrock_converse.models import BUDGETED, Family, by_effort
from llm_intercept.wire.codecs.bedrock_converse.terms import Members, string
from llm_intercept.wire.fields import count, mapping
from llm_intercept.wire.ir import Reasoning

BUDGETS = {"minimal": 1024, "low": 4096, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 65536}
LEAST = 1024
DISPLAYS = {"summarized": True, "omitted": False}


def read(fields: Members) -> Reasoning | None:
    """Takes what it understands out of `fields`."""
    effort = _read_effort(fields)
    thinking = _read_thinking(fields)
    if thinking is None:
        return Reasoning(effort=effort) if effort else None
    kind = thinking.get("type")
    return Reasoning(
        enabled=kind != "disabled",
        effort=effort,
        budget=count(thinking.get("budget_tokens")),
        adaptive=kind == "adaptive",
        visible=DISPLAYS.get(string(thinking.get("display"))),
    )


def _read_thinking(fields: Members) -> Members | None:
    for name in ("thinking", "reasoning_config", "reasoningConfig"):
        known = mapping(fields.get(name))
        if known.get("type") in ("enabled", "disabled", "adaptive"):
            del fields[name]
            return known
    return None


def _read_effort(fields: Members) -> str | None:
    if string(fields.get("reasoning_effort")) in BUDGETS:
        return string(fields.pop("reasoning_effort"))
    nova = mapping(fields.get("reasoningConfig")).get("maxReasoningEffort")
    if string(nova) in BUDGETS:
        return string(nova)
    config = mapping(fields.get("output_config"))
    if string(config.get("effort")) not in BUDGETS:
        return None
    left = {name: value for name, value in config.items() if name != "effort"}
    fields.pop("output_config")
    if left:
        fields["output_config"] = left
    return string(config["effort"])


def wanted(asked: Reasoning | None) -> bool:
    """Whether the client asked for reasoning, in whatever words."""
    return asked is not None and asked.enabled is not False and asked.effort != "none"


def write(
    asked: Reasoning | None, family: Family, context: Context, model: str, max_tokens: int | None
) -> Members:
    """The members of `additionalModelRequestFields`; {} when nothing is said or can be said."""
    if asked is None:
        return {}
    form = _form(family, context)
    if form == "claude":
        return _claude(asked, context, model, max_tokens)
    if form == "nova":
        return _nova(asked)
    if form == "effort":
        return _effort(asked, context)
    if wanted(asked):
        context.warn(f"reasoning: not taken by {model or 'the model'}")
    return {}


def _form(family: Family, context: Context) -> str:
    told = context.target.reasoning
    if told == "none":
        return ""
    if told and not family.reasoning:
        return "effort"
    return family.reasoning


def effort_of(budget: int) -> str:
    return next((word for word, most in BUDGETS.items() if budget <= most and word != "minimal"), "max")


def _nova(asked: Reasoning) -> Members:
    if not wanted(asked):
        return {"reasoningConfig": {"type": "disabled"}}
    effort = asked.effort or (effort_of(asked.budget) if asked.budget is not None else "medium")
    known = {"minimal": "low", "xhigh": "high", "max": "high"}.get(effort, effort)
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": known}}


def _effort(asked: Reasoning, context: Context) -> Members:
    if not wanted(asked):
        context.warn("reasoning: this model always reasons; low is the least")
        return {"reasoning_effort": "low"}
    effort = asked.effort or (effort_of(asked.budget) if asked.budget is not None else "medium")
    return {"reasoning_effort": {"minimal": "low", "xhigh": "high", "max": "high"}.get(effort, effort)}


def _claude(asked: Reasoning, context: Context, model: str, max_tokens: int | None) -> Members:
    if not wanted(asked):
        return {"thinking": {"type": "disabled"}}
    form = _claude_form(asked, context, model)
    if form == "effort":
        return _output_config(asked)
    if form == "adaptive":
        return {"thinking": _adaptive(asked)} | _output_config(asked)
    budget = _budget(asked, context, max_tokens)
    if budget is None:
        return {}
    both = asked.budget is not None and not context.target.reasoning
    thinking = {"thinking": {"type": "enabled", "budget_tokens": budget}}
    return thinking | (_output_config(asked) if both and asked.effort else {})


def _claude_form(asked: Reasoning, context: Context, model: str) -> str:
    """As the target is known to want it; otherwise as the client said it, if the model may take that."""
    told = context.target.reasoning
    if told in ("budget", "adaptive", "effort"):
        return told
    if asked.budget is not None or BUDGETED.search(model):
        return "budget"
    if asked.adaptive or by_effort(model):
        return "adaptive"
    return "budget"


def _adaptive(asked: Reasoning) -> Members:
    shown = {True: "summarized", False: "omitted"}.get(asked.visible) if asked.visible is not None else None
    return {"type": "adaptive"} | ({"display": shown} if shown else {})


def _output_config(asked: Reasoning) -> Members:
    effort = asked.effort or (effort_of(asked.budget) if asked.budget is not None else "")
    return {"output_config": {"effort": "low" if effort == "minimal" else effort}} if effort else {}


def _budget(asked: Reasoning, context: Context, max_tokens: int | None) -> int | None:
    """Within the model's range and below `maxTokens`; None where no room is left."""
    meant = _meant(asked, max_tokens)
    low, high = context.target.budget_range or (LEAST, meant)
    budget = max(LEAST, low, min(meant, high))
    if max_tokens is not None:
        budget = min(budget, max_tokens - 1)
    if budget < LEAST:
        context.warn(
            f"reasoning: maxTokens {max_tokens} leaves no room for {LEAST} tokens of it, switched off"
        )
        return None
    if asked.budget is not None and budget != asked.budget:
        context.warn(f"reasoning.budget: {asked.budget} is now {budget}")
    return budget


def _meant(asked: Reasoning, max_tokens: int | None) -> int:
    """An effort leaves a fifth of `maxTokens` to the answer; a budget is what it says."""
    if asked.budget is not None:
        return asked.budget
    meant = BUDGETS.get(asked.effort or "medium", BUDGETS["medium"])
    return meant if max_tokens is None else min(meant, max_tokens * 4 // 5)
