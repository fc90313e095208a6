"""How a model is asked, from several tables of settings: the most specific one that says something wins."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from llm_intercept.policy import suffix
from llm_intercept.settings import ModelControl
from llm_intercept.wire.ir import Reasoning

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Control:
    """What settings add to a call, beside reasoning."""

    verbosity: str | None = None
    headers: Mapping[str, str] = field(default=_NO_HEADERS)
    system: str = ""
    system_mode: Literal["append", "prepend", "replace"] = "append"

    @property
    def deep(self) -> bool:
        """Whether the request has to be read and written anew for it."""
        return bool(self.verbosity or self.system)


NO_CONTROL = Control()


def control_of(levels: Iterable[ModelControl], asked: Reasoning | None) -> tuple[Reasoning | None, Control]:
    """`levels` from the most specific down; `asked` is what the model's name says and counts before them."""
    tables = tuple(levels)
    reasoning = asked or next((r for r in map(_reasoning, tables) if r is not None), None)
    exclude = next((t.exclude for t in tables if t.exclude is not None), None)
    if exclude is not None:
        reasoning = _visible(reasoning or Reasoning(), not exclude)
    prompt = next((t for t in tables if t.system), None)
    return reasoning, Control(
        next((t.verbosity for t in tables if t.verbosity), None),
        _headers(tables),
        prompt.system if prompt else "",
        prompt.system_mode if prompt else "append",
    )


def _reasoning(table: ModelControl) -> Reasoning | None:
    if table.effort is not None:
        return suffix.of_effort(table.effort)
    return None if table.budget is None else suffix.of_budget(table.budget)


def _visible(reasoning: Reasoning, visible: bool) -> Reasoning:
    return Reasoning(reasoning.enabled, reasoning.effort, reasoning.budget, visible=visible)


def _headers(tables: tuple[ModelControl, ...]) -> Mapping[str, str]:
    """All of them; of one name the most specific."""
    found = {name.lower(): (name, value) for t in reversed(tables) for name, value in t.headers.items()}
    return MappingProxyType(dict(found.values())) if found else _NO_HEADERS
