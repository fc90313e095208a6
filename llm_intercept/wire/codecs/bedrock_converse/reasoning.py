"""Reasoning in `additionalModelRequestFields`, where each family of models has its own form.

Claude: `thinking` (or `reasoning_config`) and `output_config.effort`; Nova 2: `reasoningConfig`;
gpt-oss: `reasoning_effort`. An effort becomes a share of `maxTokens` (OpenRouter's shares), or what
`BUDGETS` has where no limit is known; a budget becomes an effort by `effort_of`.
"""

from dataclasses import dataclass

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.bedrock_converse.models import BUDGETED, Family, by_effort
from llm_intercept.wire.codecs.bedrock_converse.terms import Members, string
from llm_intercept.wire.fields import count, mapping
from llm_intercept.wire.ir import Reasoning

BUDGETS = {"minimal": 1024, "low": 4096, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 65536}
SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}
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


@dataclass(frozen=True, slots=True)
class Wish:
    """What the reasoning depends on. `native`: the client speaks Converse and knows its models."""

    model: str
    max_tokens: int | None
    native: bool


def wanted(asked: Reasoning) -> bool:
    """Whether the client asked for reasoning, in whatever words."""
    return asked.enabled is not False and asked.effort != "none" and asked != Reasoning()


def write(asked: Reasoning | None, family: Family, context: Context, wish: Wish) -> Members:
    """The members of `additionalModelRequestFields`; {} when nothing is said or can be said."""
    if asked is None or asked == Reasoning():
        return {}
    form = _form(family, context)
    if form == "claude":
        return _claude(asked, context, wish)
    if form == "nova":
        return _nova(asked)
    if form == "effort":
        return _effort(asked, context)
    if wanted(asked):
        context.warn(f"reasoning: not taken by {wish.model or 'the model'}")
    return {}


def _form(family: Family, context: Context) -> str:
    told = context.target.reasoning
    if told == "none":
        return ""
    return "effort" if told and not family.reasoning else family.reasoning


def effort_of(budget: int) -> str:
    return "low" if budget <= 4096 else "medium" if budget <= 16_384 else "high"


def _word(asked: Reasoning) -> str:
    """low, medium or high, for models that know these."""
    effort = asked.effort or ("medium" if asked.budget is None else effort_of(asked.budget))
    return {"minimal": "low", "xhigh": "high", "max": "high"}.get(effort, effort)


def _nova(asked: Reasoning) -> Members:
    if not wanted(asked):
        return {"reasoningConfig": {"type": "disabled"}}
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": _word(asked)}}


def _effort(asked: Reasoning, context: Context) -> Members:
    if wanted(asked):
        return {"reasoning_effort": _word(asked)}
    context.warn("reasoning: this model always reasons; low is the least")
    return {"reasoning_effort": "low"}


def _claude(asked: Reasoning, context: Context, wish: Wish) -> Members:
    if not wanted(asked):
        return {"thinking": {"type": "disabled"}}
    form = _claude_form(asked, context, wish)
    if form == "effort":
        return _output_config(asked)
    if form == "adaptive":
        return {"thinking": _adaptive(asked, wish)} | _output_config(asked)
    budget = _budget(asked, context, wish.max_tokens)
    if budget is None:
        return {}
    thinking = {"thinking": {"type": "enabled", "budget_tokens": budget}}
    both = wish.native and asked.effort and context.target.reasoning != "budget"
    return thinking | (_output_config(asked) if both else {})


def _claude_form(asked: Reasoning, context: Context, wish: Wish) -> str:
    """As the target is known to want it; otherwise as the client said it, if the model may take that."""
    told = context.target.reasoning
    if told in ("budget", "adaptive", "effort"):
        return told
    if wish.native and asked.enabled is None:
        return "effort"
    if asked.budget is not None or BUDGETED.search(wish.model):
        return "budget"
    return "adaptive" if asked.adaptive or by_effort(wish.model) else "budget"


def _adaptive(asked: Reasoning, wish: Wish) -> Members:
    """Newer models leave the text out unless they are asked for it."""
    if asked.visible is None and wish.native:
        return {"type": "adaptive"}
    return {"type": "adaptive", "display": "omitted" if asked.visible is False else "summarized"}


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
    if asked.budget is not None:
        return asked.budget
    effort = asked.effort if asked.effort in BUDGETS else "medium"
    return BUDGETS[effort] if max_tokens is None else round(max_tokens * SHARES[effort])
