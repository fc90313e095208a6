"""What a body says that another model of its dialect refuses: found before a call that was moved is spliced.

Members at the top level are left out or said in the target's way, and the rest stays byte for byte. What
lies deeper is only told: then the whole body has to be written anew, by the dialect's codec.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_intercept.wire import splice
from llm_intercept.wire.codec import Target
from llm_intercept.wire.fields import mapping, objects, parse_object

_FLAT = frozenset(("openai_chat", "openai_completions", "openai_responses", "anthropic"))
# Where other dialects keep what these have at the top level.
_INSIDE = {"gemini": "generationConfig", "bedrock_converse": "inferenceConfig", "ollama": "options"}
_LIMITS = {"openai_responses": "max_output_tokens"}
_NEWER = "max_completion_tokens"
_QUIET = frozenset(("stream_options",))  # says only how an answer is delivered
_MEANINGLESS: tuple[object, ...] = (None, False)
_CAPITAL = re.compile(r"(?=[A-Z])")
_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")


@dataclass(slots=True)
class Fit:
    """`changes` are members to set, `dropped` such to take out. `deep`: that alone would not be enough."""

    changes: dict[str, object] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    deep: bool = False

    def named(self) -> list[str]:
        """For the row."""
        return [f"body: {name}" for name in dict.fromkeys((*self.changes, *self.dropped))]

    def apply(self, body: bytes, changes: Mapping[str, object]) -> bytes:
        """The body with these changes and ours."""
        return splice.drop_members(splice.set_top_level(body, {**changes, **self.changes}), self.dropped)


def fit(dialect: str, body: bytes, target: Target) -> Fit:
    """What has to be done to this body for that target; nothing where nothing is known of it."""
    found = Fit()
    said = parse_object(body)
    if dialect in _INSIDE:
        inner = mapping(said.get(_INSIDE[dialect]))
        found.deep = any(_snake(name) in target.rejects for name, value in inner.items() if value is not None)
    elif dialect in _FLAT:
        _limit(found, dialect, said, target)
        _leave_out(found, said, target)
        found.deep = any(_deeper(dialect, said, target))
    return found


def _snake(name: str) -> str:
    return _CAPITAL.sub("_", name).lower()


def _leave_out(found: Fit, said: Mapping[str, Any], target: Target) -> None:
    model = target.model or "the model"
    for name in said.keys() & target.rejects:
        _drop(found, said, name, f"{name}: not taken by {model}")
    for first, plus, second in (name.partition("+") for name in target.rejects):
        if plus and said.get(first) is not None and said.get(second) is not None:
            _drop(found, said, second, f"{second}: {model} does not take it together with {first}")


def _drop(found: Fit, said: Mapping[str, Any], name: str, warning: str) -> None:
    if name in found.dropped:
        return
    found.dropped.append(name)
    if name not in _QUIET and not any(said[name] is value for value in _MEANINGLESS):
        found.warnings.append(warning)


def _limit(found: Fit, dialect: str, said: Mapping[str, Any], target: Target) -> None:
    """The length of the answer: under the name that the target knows, and no more than it can give."""
    name = _LIMITS.get(dialect, "max_tokens")
    newer = dialect == "openai_chat" and said.get(_NEWER) is not None
    asked = said.get(_NEWER if newer else name)
    if not isinstance(asked, int) or isinstance(asked, bool):
        return
    wanted = asked if target.max_output is None else min(asked, target.max_output)
    if wanted < asked:
        found.warnings.append(f"max_tokens: {asked} is more than the {wanted} that the model can write")
    known = _known_as(dialect, name, newer, target)
    if known != (_NEWER if newer else name):
        found.dropped.append(_NEWER if newer else name)
    if found.dropped or wanted < asked:
        found.changes[known] = wanted


def _known_as(dialect: str, name: str, newer: bool, target: Target) -> str:
    """OpenAI's models that reason, which take no temperature either, know but one word; Mistral the other."""
    if dialect != "openai_chat" or _NEWER in target.rejects:
        return name
    reasons = target.reasoning == "effort" and "temperature" in target.rejects
    return _NEWER if newer or reasons else name


def _deeper(dialect: str, said: Mapping[str, Any], target: Target) -> Iterator[bool]:
    yield _reasons_otherwise(dialect, said, target)
    budget = mapping(said.get("thinking")).get("budget_tokens")
    yield isinstance(budget, int) and target.max_output is not None and budget >= target.max_output
    if dialect == "openai_chat":
        messages = objects(said.get("messages"))
        form = mapping(said.get("response_format")).get("type")
        yield "json_schema" in target.rejects and form == "json_schema"
        yield "name" in target.rejects and any(m.get("name") for m in messages if m.get("role") != "tool")
        yield target.short_tool_ids and any(not _SHORT_ID.fullmatch(name) for name in _call_ids(messages))


def _call_ids(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        yield from (str(call.get("id")) for call in objects(message.get("tool_calls")))


def _reasons_otherwise(dialect: str, said: Mapping[str, Any], target: Target) -> bool:
    """Whether the client asks for reasoning in a way in which this model does not."""
    thinking = mapping(said.get("thinking")).get("type")
    effort = _effort(dialect, said)
    if target.reasoning in ("none", "fixed"):
        return bool(effort or thinking or said.get("reasoning"))
    if dialect == "anthropic":
        other = {"adaptive": "enabled", "budget": "adaptive"}.get(target.reasoning)
        if other is not None and thinking == other:
            return True
    return bool(effort) and (
        "effort" in target.rejects or bool(target.efforts and effort not in target.efforts)
    )


def _effort(dialect: str, said: Mapping[str, Any]) -> object:
    if dialect == "anthropic":
        return mapping(said.get("output_config")).get("effort")
    return said.get("reasoning_effort") or mapping(said.get("reasoning")).get("effort")
