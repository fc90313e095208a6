"""Reasoning asked for in a model's name: `model:high`, `model:50000`, `model:8k`.

Other things stand behind a colon as well: Ollama's tags (`qwen2.5:72b`), OpenRouter's variants (`x:free`),
Bedrock's versions (`...-v1:0`, `...-v1:0:200k`). They stay part of the name.
"""

import re
from collections.abc import Callable
from typing import get_args

from llm_intercept.errors import Refusal
from llm_intercept.settings import Effort
from llm_intercept.wire.ir import Reasoning

EFFORTS: tuple[str, ...] = get_args(Effort)
_NUMBER = re.compile(r"(\d{1,7})(k?)")
_BEDROCK_VERSION = re.compile(r"v\d+(?:-\d+)*(?::\d+)?$")
_VARIANT = re.compile(
    "free|thinking|extended|beta|nitro|floor|online|exacto|latest|cloud|search|preview|batch|flex|priority"
)
_REASONING_FAMILIES = re.compile(r"claude-|gpt-5|o[134](?:-|$)|gemini-[2-9]")


def split(name: str) -> tuple[str, Reasoning] | None:
    """(name without suffix, what it asks), or None where the colon belongs to the name."""
    stem, colon, word = name.rpartition(":")
    if not colon or not stem or name.startswith("arn:"):
        return None
    word = word.lower()
    if word in EFFORTS:
        return stem, of_effort(word)
    number = _NUMBER.fullmatch(word)
    if number is None or stem.startswith("ft:") or _BEDROCK_VERSION.search(stem):
        return None
    return stem, of_budget(int(number[1]) * (1024 if number[2] else 1))


def of_effort(word: str) -> Reasoning:
    return Reasoning(enabled=word != "none", effort=word)


def of_budget(tokens: int) -> Reasoning:
    return Reasoning(enabled=tokens > 0, budget=tokens or None)


def is_misspelt(name: str, known: Callable[[str], bool]) -> bool:
    """A word that is no level behind a model that reasons and whose name never has a colon."""
    stem, _, word = name.rpartition(":")
    if not word or _VARIANT.fullmatch(word.lower()) or not _REASONING_FAMILIES.match(stem):
        return False
    return known(stem)


def refusal(name: str) -> Refusal:
    stem, _, word = name.rpartition(":")
    return Refusal(
        "invalid_request",
        "reasoning_suffix",
        f"model: {word[:40]!r} after {stem[:200]!r} is no reasoning level; write {', '.join(EFFORTS)}, "
        "or a number of tokens like 8k.",
    )
