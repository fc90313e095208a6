"""Rules about the parameters of a call: which values, or which range of numbers.

One rule holds for all spellings of a parameter, in whichever dialect: `max_tokens` is also Gemini's
`generationConfig.maxOutputTokens`. A parameter that a call leaves out is allowed, except for the longest
answer: left out it means as much as the model can, so it has to be said.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

from pydantic import (
    BaseModel,
    ConfigDict,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from llm_intercept.policy.members import FormText, Leaf, normal

# Normal names of one parameter in all dialects; the first is how it is told.
_FAMILIES: tuple[tuple[str, ...], ...] = (
    (
        *("max_tokens", "maxcompletiontokens", "maxoutputtokens", "maxtokenstosample", "numpredict"),
        *("maxgenlen", "maxtokencount", "maxnewtokens", "npredict", "maxresponseoutputtokens"),
    ),
    ("n", "candidatecount", "numgenerations", "numresults"),
    ("top_p", "p"),
    ("top_k", "k"),
    ("stop", "stopsequences"),
    ("reasoning_effort", "reasoning.effort", "outputconfig.effort", "effort"),
    ("thinking_budget", "thinking.budgettokens", "thinkingconfig.thinkingbudget", "reasoning.maxtokens"),
)
_OUTPUT = _FAMILIES[0][0]
_TEXTUAL = frozenset(("messages", "contents", "prompt", "input", "inputtext"))
_MODELS = frozenset((("model",), ("models",), ("modelid",), ("tools", "model"), ("fallbacks", "model")))
_MODEL_LISTS = frozenset((("models",), ("fallbacks",)))
_FILES = frozenset((("inputfileid",), ("filename",)))
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")

type Scalar = StrictBool | StrictInt | StrictFloat | StrictStr


class Range(BaseModel):
    """Numbers from `min` to `max`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: int | float | None = None
    max: int | float | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        limits = [limit for limit in (self.min, self.max) if limit is not None]
        if not limits or not all(map(math.isfinite, limits)) or limits != sorted(limits):
            raise ValueError("a range has a min, a max, or both in this order")
        return self


type Rule = Range | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class ParameterRule:
    """`names` are all spellings of the parameter, as paths of normal names."""

    name: str
    names: frozenset[tuple[str, ...]]
    rule: Rule
    output: bool  # it is the longest answer

    @property
    def words(self) -> str:
        """`max_tokens at most 4096`."""
        if not isinstance(self.rule, Range):
            return f"{self.name} {' or '.join(_text(value) for value in self.rule)}"
        least = "" if self.rule.min is None else f"at least {self.rule.min:g}"
        most = "" if self.rule.max is None else f"at most {self.rule.max:g}"
        return f"{self.name} {' and '.join(filter(None, (least, most)))}"

    def judge(self, body: Sequence[Leaf], *, has_to_say: bool) -> str | None:
        """What is wrong with it, in words."""
        said = False
        for leaf in body:
            if leaf.value is None or not (leaf.name in self.names or leaf.whole in self.names):
                continue
            said = True
            if not self._allows(leaf.value):
                return f"{leaf.written[:100]} is {_text(leaf.value)}"
        if self.output and has_to_say and not said:
            return f"this call does not say {self.name}, which would be as much as the model can give"
        return None

    def _allows(self, value: object) -> bool:
        if type(value) is list:
            return not isinstance(self.rule, Range) and all(self._allows(each) for each in value)
        if isinstance(self.rule, Range):
            return self._is_within(self.rule, value)
        return any(_is_same(value, allowed) for allowed in self.rule)

    def _is_within(self, limits: Range, value: object) -> bool:
        number = _number(value)
        if number is None or (self.output and number < 1):
            return False
        return (limits.min is None or number >= limits.min) and (limits.max is None or number <= limits.max)


def check(name: str, rule: Rule) -> None:
    """ValueError if this can be no rule."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a parameter")
    if not isinstance(rule, Range) and not rule:
        raise ValueError(f"{name} has no value that is allowed")
    if normal(name) == "model" and (isinstance(rule, Range) or not all(isinstance(v, str) for v in rule)):
        raise ValueError("models are allowed by name")


def compiled(name: str, rule: Rule) -> ParameterRule:
    spelling = normal(name)
    family = next((f for f in _FAMILIES if spelling in (normal(each) for each in f)), (name,))
    names = frozenset(tuple(normal(each).split(".")) for each in (name, *family))
    return ParameterRule(name, names, rule, family[0] == _OUTPUT)


def models_in(body: Sequence[Leaf]) -> Iterator[object]:
    """Whatever a body says which model to use; what is no name is given as it is."""
    for leaf in body:
        if leaf.name not in _MODELS and leaf.name not in _MODEL_LISTS:
            continue
        if type(leaf.value) is list:
            yield from (
                each for each in leaf.value if not (type(each) is not str and leaf.name == ("fallbacks",))
            )
        elif leaf.value is not None:
            yield leaf.value


def asks_for_text(body: Sequence[Leaf]) -> bool:
    """Whether a call to an endpoint that we do not know may be one for a model's answer."""
    return any(leaf.name[-1] in _TEXTUAL and len(leaf.name) == 1 for leaf in body)


def hides_calls(body: Sequence[Leaf]) -> bool:
    """Whether what is asked for stands in a file that was sent before (batches)."""
    return any(leaf.name in _FILES and leaf.value is not None for leaf in body)


def _is_same(value: object, allowed: object) -> bool:
    """Strings by globs; `true` is no number here."""
    if isinstance(allowed, str):
        return isinstance(value, str) and fnmatchcase(value.lower(), allowed.lower())
    if isinstance(value, FormText):
        return str(value).lower() == _text(allowed)
    if isinstance(value, bool) or isinstance(allowed, bool):
        return value is allowed
    return isinstance(value, int | float) and value == allowed


def _number(value: object) -> float | int | None:
    if isinstance(value, FormText):
        return float(value) if _NUMBER.fullmatch(value) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        text = str(value)
        return text if len(text) <= 60 else f"{text[:60]}..."
    return "a list" if type(value) is list else "an object"
