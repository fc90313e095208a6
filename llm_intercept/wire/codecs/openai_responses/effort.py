"""Which words for reasoning effort OpenAI's models take, and the nearest one for what a client asks.

Sources: the API reference of `reasoning.effort` and the refusals of the models themselves. Models that
are not listed (other vendors speak this dialect too) get the three words that all of them take.
"""

import re

from llm_intercept.wire.codec import Context
from llm_intercept.wire.ir import Reasoning

ORDER = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
PLAIN = ("low", "medium", "high")

# The first that matches decides.
MODELS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"gpt-5-pro", ("high",)),
        (r"gpt-5\.\d-pro", ("medium", "high", "xhigh")),
        (r"gpt-5-codex", PLAIN),
        (r"gpt-5(?![.\d])", ("minimal", *PLAIN)),
        (r"gpt-5\.1-codex-max", ("none", *PLAIN, "xhigh")),
        (r"gpt-5\.1", ("none", *PLAIN)),
        (r"gpt-5\.[2-5]", ("none", *PLAIN, "xhigh")),
        (r"gpt-(5\.[6-9]|[6-9])", ("none", *PLAIN, "xhigh", "max")),
    )
)

# A share of the room for thinking: what the words mean in tokens at OpenAI is not told.
BUDGETS = ((4_096, "low"), (16_384, "medium"))


def effort_for(asked: Reasoning, context: Context) -> str | None:
    """None: nothing is said, the model decides."""
    wanted = _wanted(asked)
    if wanted is None:
        return None
    words = taken_by(context.target.model)
    if wanted == "none" and words is PLAIN:
        context.warn(f"reasoning: cannot be switched off for {context.target.model or 'the model'}")
        return None
    found = nearest(wanted, words)
    if found != wanted:
        context.warn(f"reasoning.effort: {wanted} became {found}, the nearest that the model takes")
    return found


def _wanted(asked: Reasoning) -> str | None:
    if asked.enabled is False:
        return "none"
    if asked.effort is not None:
        return asked.effort
    if asked.budget is None:  # newer models do not reason unless they are told to
        return "medium" if asked.enabled or asked.adaptive else None
    return next((word for most, word in BUDGETS if asked.budget <= most), "high")


def taken_by(model: str) -> tuple[str, ...]:
    name = model.rpartition("/")[2]
    return next((words for pattern, words in MODELS if pattern.match(name)), PLAIN)


def nearest(wanted: str, words: tuple[str, ...]) -> str:
    if wanted not in ORDER:
        return "medium" if "medium" in words else words[0]
    place = ORDER.index(wanted)
    return min(words, key=lambda word: (abs(ORDER.index(word) - place), -ORDER.index(word)))
