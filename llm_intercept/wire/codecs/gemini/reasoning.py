"""`thinkingConfig`: a budget of tokens (Gemini 2.5), a level (Gemini 3), and whether thoughts are shown."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codec import Context, Target
from llm_intercept.wire.codecs.gemini.shapes import proto
from llm_intercept.wire.ir import Json, Reasoning

DYNAMIC = -1
# The budgets that Google's own OpenAI-compatible endpoint takes for these words.
BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 32768}
LEVELS = {"none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM"}  # others: HIGH
_EFFORTS = {"MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high", "XHIGH": "xhigh"}
_STEPS = ((1024, "low"), (8192, "medium"))  # budgets up to these are this effort, others high


def decode(raw: object) -> Reasoning | None:
    """Thoughts are hidden unless asked for, as Gemini has it."""
    config = proto(raw)
    if not config:
        return None
    visible = config.get("includeThoughts") is True
    level = _EFFORTS.get(str(config.get("thinkingLevel") or "").upper())
    budget = config.get("thinkingBudget")
    if isinstance(budget, bool) or not isinstance(budget, int | float):
        return Reasoning(effort=level, visible=visible)
    if budget == 0:
        return Reasoning(enabled=False, effort=level, visible=visible)
    if budget < 0:
        return Reasoning(enabled=True, adaptive=True, effort=level, visible=visible)
    return Reasoning(enabled=True, budget=int(budget), effort=level, visible=visible)


def encode(reasoning: Reasoning | None, native: object, context: Context) -> dict[str, Any]:
    """`native` is the client's own `thinkingConfig`: it stays while it says the same in a form that fits."""
    if reasoning is None:
        return {}
    target = context.target
    if target.reasoning == "none":
        if reasoning.enabled is not False and reasoning.effort != "none":
            context.warn("reasoning: dropped, the model does not reason")
        return {}
    if isinstance(native, dict) and decode(native) == reasoning and _fits(proto(native), target):
        return native
    config = _level(reasoning, context) if _by_level(target) else _budget(reasoning, context)
    if _shown(reasoning) and config.get("thinkingBudget") != 0:
        config["includeThoughts"] = True
    return config


def _fits(native: Mapping[str, Json], target: Target) -> bool:
    unfit = {"level": "thinkingBudget", "budget": "thinkingLevel"}.get(target.reasoning)
    return unfit not in native


def _by_level(target: Target) -> bool:
    """Where nothing is known of the model its name tells."""
    return target.reasoning == "level" or (target.reasoning == "" and "gemini-3" in target.model)


def _shown(reasoning: Reasoning) -> bool:
    if reasoning.visible is not None:
        return reasoning.visible
    return bool(reasoning.enabled or reasoning.adaptive or reasoning.summary)


def _off(reasoning: Reasoning) -> bool:
    return reasoning.enabled is False or reasoning.effort == "none"


def _level(reasoning: Reasoning, context: Context) -> dict[str, Any]:
    effort = "none" if _off(reasoning) else reasoning.effort
    if effort is None and reasoning.budget is not None:
        effort = next((word for limit, word in _STEPS if reasoning.budget <= limit), "high")
        context.warn(f"reasoning: a budget of {reasoning.budget} is the level {effort} for Gemini")
    if effort is None:
        return {}
    level = LEVELS.get(effort, "HIGH")
    if level == "MINIMAL" and "pro" in context.target.model:
        level = "LOW"
    if effort == "none":
        context.warn(f"reasoning: cannot be switched off, set to {level}")
    elif effort in ("xhigh", "max"):
        context.warn(f"reasoning: {effort} is HIGH for Gemini")
    return {"thinkingLevel": level}


def _budget(reasoning: Reasoning, context: Context) -> dict[str, Any]:
    low, high = context.target.budget_range or (0, 32768)
    if _off(reasoning):
        if low > 0:
            context.warn(f"reasoning: cannot be switched off, set to {low} tokens")
        return {"thinkingBudget": low}
    wanted = reasoning.budget
    if wanted is None:
        return _estimated(reasoning, low, high)
    fit = min(max(wanted, low), high) if context.target.budget_range else wanted
    if fit != wanted:
        context.warn(f"reasoning: a budget of {wanted} is {fit}, the model takes {low} to {high}")
    return {"thinkingBudget": fit}


def _estimated(reasoning: Reasoning, low: int, high: int) -> dict[str, Any]:
    if reasoning.effort is not None:
        return {"thinkingBudget": min(max(BUDGETS.get(reasoning.effort, DYNAMIC), low), high)}
    return {"thinkingBudget": DYNAMIC} if reasoning.adaptive or reasoning.enabled else {}
