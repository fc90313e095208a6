"""What all modules of this codec share: the name, spellings of members, JSON text."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.fields import mapping
from llm_intercept.wire.ir import Extras, Json

NAME = "gemini"
MODEL_ROLES = frozenset(("model", "assistant"))


def proto(value: object) -> dict[str, Any]:
    """An object of Google's own with its members in camelCase: both spellings are on the wire."""
    source = value if isinstance(value, dict) else {}
    for key in source:
        if "_" in key:
            return {camel(name): member for name, member in source.items()}
    return source


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest) if rest else name


def listed(value: object) -> list[dict[str, Any]]:
    """The objects of a repeated member; a single one may stand without its list."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def without(source: Mapping[str, Json], known: frozenset[str]) -> dict[str, Json]:
    """The members that have no word in the IR."""
    return {key: value for key, value in source.items() if key not in known}


def own(extras: Extras) -> Mapping[str, Json]:
    """What this dialect once could not say in the IR."""
    return extras.get(NAME) or {}


def kept(members: Mapping[str, Json]) -> Extras:
    return {NAME: members} if members else {}


def inner(extras: Extras, name: str) -> dict[str, Any]:
    return mapping(own(extras).get(name))
