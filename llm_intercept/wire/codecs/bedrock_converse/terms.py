"""What all parts of this codec share: its name, its tables of words, and access to members."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.ir import NO_EXTRAS, Extras, Finish, Json

NAME = "bedrock_converse"

type Members = dict[str, Any]

FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "model_context_window_exceeded": "overflow",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
STOP_REASONS: dict[Finish, str] = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
    "pause": "end_turn",
    "overflow": "model_context_window_exceeded",
    "error": "malformed_model_output",
    "other": "end_turn",
}
EMPTY: Members = {}


def string(value: object) -> str:
    return value if isinstance(value, str) else ""


def extras(source: Mapping[str, Json], *known: str) -> Extras:
    """What is left of an object when the known members are taken."""
    if len(source) <= len(known) and all(name in known for name in source):
        return NO_EXTRAS
    left = {name: value for name, value in source.items() if name not in known}
    return {NAME: left} if left else NO_EXTRAS


def own(source: Extras) -> Members:
    """The members that this dialect's decoder has put aside."""
    found = source.get(NAME) if source else None
    return found if isinstance(found, dict) else EMPTY


def finish_of(reason: object, called: bool, answered: bool = False) -> Finish:
    """Some models end with `end_turn` although they call tools. `answered`: a call was the answer."""
    finish = FINISHES.get(string(reason), "other")
    if answered and not called and finish == "tool_calls":
        return "stop"
    return "tool_calls" if called and finish in ("stop", "other") else finish


def stop_reason(finish: Finish, called: bool) -> str:
    return "tool_use" if called and finish in ("stop", "other") else STOP_REASONS[finish]
