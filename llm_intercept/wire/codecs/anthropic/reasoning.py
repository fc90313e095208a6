"""What the client wants of reasoning, in the form the model takes: a budget, adaptive, or none.

A model that nothing is known of gets what an Anthropic client said as it said it, and a budget for what
the others say. Shares of `max_tokens` for an effort are OpenRouter's; the ways back are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.anthropic.members import NAME, own
from llm_intercept.wire.ir import Json, Reasoning, Request

LEAST_BUDGET = 1024
DEFAULT_OUTPUT = 4096
SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}


@dataclass(slots=True)
class Plan:
    """Members of the request. `thinking` None: not written."""

    max_tokens: int
    thinking: dict[str, Json] | None = None
    effort: str | None = None

    @property
    def thinks(self) -> bool:
        return self.thinking is not None and self.thinking.get("type") != "disabled"


def planned(request: Request, context: Context, may_think: bool) -> Plan:
    """`may_think` False: a budget would be refused, because thinking of this turn was lost."""
    plan = Plan(_limit(request, context))
    wish = request.reasoning
    if wish is None or not _says(wish):
        return plan
    if context.target.reasoning == "none":
        if wish.enabled is not False and wish.effort != "none":
            context.warn("reasoning: this model does not reason; left out")
        return plan
    native = NAME in request.extras
    rest = own(request.extras).get("thinking")
    left: Mapping[str, Json] = rest if isinstance(rest, Mapping) else {}
    if "type" in left:  # a kind of thinking that has no word here
        plan.thinking, plan.effort = dict(left), wish.effort
    elif wish.enabled is False or wish.effort == "none":
        plan.thinking, plan.effort = {"type": "disabled", **left}, _kept_effort(wish, context)
    elif native and wish.enabled is None:
        plan.effort = _kept_effort(wish, context)
    elif context.target.reasoning == "adaptive" or (wish.adaptive and context.target.reasoning != "budget"):
        _adaptive(plan, wish, left, native, context)
    else:
        _budget(plan, request, left, may_think, context)
    return plan


def _says(wish: Reasoning) -> bool:
    """How reasoning is shown says nothing about whether there should be any."""
    return wish.enabled is not None or wish.adaptive or bool(wish.effort) or wish.budget is not None


def _limit(request: Request, context: Context) -> int:
    """`max_tokens`, which Anthropic must have."""
    said, most = request.sampling.max_tokens, context.target.max_output
    if said is None:
        return most or DEFAULT_OUTPUT
    if most is not None and said > most:
        context.warn(f"max_tokens: {said} is more than the model gives; {most} asked for")
        return most
    return said


def _kept_effort(wish: Reasoning, context: Context) -> str | None:
    """An effort without thinking, as newer models take it."""
    if wish.effort in (None, "none"):
        return None
    if context.target.reasoning == "budget":
        context.warn(f"effort: {wish.effort} is not known to this model; left out")
        return None
    return EFFORTS.get(wish.effort or "", wish.effort)


def _adaptive(plan: Plan, wish: Reasoning, left: Mapping[str, Json], native: bool, context: Context) -> None:
    plan.thinking = {"type": "adaptive", **left}
    plan.effort = EFFORTS.get(wish.effort, wish.effort) if wish.effort else None
    if wish.budget is not None and plan.effort is None:
        plan.effort = _effort_of(wish.budget)
        context.warn(f"thinking: {wish.budget} tokens; this model decides itself, told effort {plan.effort}")
    if not native:
        # Newer models omit the text unless they are asked for it.
        plan.thinking["display"] = "omitted" if wish.visible is False else "summarized"


def _effort_of(budget: int) -> str:
    return "low" if budget <= 4096 else "medium" if budget <= 16_384 else "high"


def _budget(
    plan: Plan, request: Request, left: Mapping[str, Json], may_think: bool, context: Context
) -> None:
    wish = request.reasoning or Reasoning()
    if not may_think:
        context.warn("thinking: off for this call, its tool loop began without thinking of Anthropic's")
        return
    if wish.budget is not None and request.sampling.max_tokens is None:
        plan.max_tokens = _room_for(wish.budget, context)
    wanted = wish.budget or round(plan.max_tokens * SHARES.get(wish.effort or "medium", 0.5))
    budget = _within(wanted, plan.max_tokens, context)
    if budget is None:
        context.warn(f"thinking: max_tokens {plan.max_tokens} leaves no room for it; left out")
        return
    if wish.budget is not None and budget != wish.budget:
        context.warn(f"thinking: budget of {wish.budget} tokens changed to {budget}")
    plan.thinking = {"type": "enabled", "budget_tokens": budget, **left}
    if wish.visible is False and "display" not in left:
        plan.thinking["display"] = "omitted"
    if wish.effort and NAME in request.extras and context.target.reasoning != "budget":
        plan.effort = wish.effort


def _within(wanted: int, max_tokens: int, context: Context) -> int | None:
    """A budget that the model takes and that leaves something of `max_tokens`; None if there is none."""
    least, most = context.target.budget_range or (LEAST_BUDGET, wanted)
    least = max(least, LEAST_BUDGET)
    most = min(max(most, least), max_tokens - 1)
    return None if most < least else min(max(wanted, least), most)


def _room_for(budget: int, context: Context) -> int:
    """Enough for the thinking and an answer after it."""
    most = context.target.max_output
    return most if most is not None else max(DEFAULT_OUTPUT, budget + DEFAULT_OUTPUT)
