"""What a project or a token may be used for, as fields of a form: text to a policy and back."""

import json
import re
from collections.abc import Iterable

from llm_dashboard.admin.forms import Field, Form, Section, number
from llm_intercept.errors import ConfigError
from llm_intercept.policy.allow import Policy
from llm_intercept.policy.parameters import Range

_SPAN = re.compile(r"(-?[0-9.,_]*?)\s*\.\.\s*(-?[0-9.,_]*)")
_LISTS = ("models", "providers", "endpoints", "ips", "origins")

FIELDS = (
    Field(
        "models",
        "Models",
        "area",
        "One on each line; * stands for anything. Empty: all.",
        placeholder="gpt-5*\nclaude-sonnet-*",
    ),
    Field("providers", "Providers", "area", "Empty: all.", placeholder="openai\nanthropic"),
    Field(
        "endpoints",
        "Endpoints",
        "area",
        "An operation such as chat or embeddings, or a path, with a method if you like. Empty: all.",
        placeholder="chat\nPOST /v1/responses",
    ),
    Field(
        "parameters",
        "Parameters",
        "area",
        "One rule on each line: the values that are allowed, or a range.",
        placeholder="max_tokens: ..4096\nreasoning_effort: low, medium",
    ),
    Field(
        "ips",
        "Client addresses",
        "area",
        "Addresses or networks that calls may come from. Empty: all.",
        placeholder="10.0.0.0/8\n192.0.2.17",
    ),
    Field(
        "origins",
        "Origins",
        "area",
        "Web pages whose browsers may call. Empty: all.",
        placeholder="https://app.example.com",
    ),
)


def section(title: str, about: str) -> Section:
    return Section(title, FIELDS, about, folded=True)


def values(policy: Policy) -> dict[str, str]:
    """As it is typed."""
    found = {name: "\n".join(getattr(policy, name)) for name in _LISTS}
    return found | {"parameters": "\n".join(_rules(policy))}


def read(form: Form) -> Policy | None:
    """None if something is wrong, which the form then says."""
    rules = form.read("parameters", _parsed)
    return form.model(Policy, {name: form.words(name) for name in _LISTS} | {"parameters": rules or {}})


def summary(policy: Policy) -> list[str]:
    """What it restricts, in a few words each."""
    found = [", ".join(getattr(policy, name)) for name in ("models", "providers", "endpoints")]
    found += [rule.replace(": ..", " up to ") for rule in _rules(policy)]
    found += [f"from {', '.join(given)}" for given in (policy.ips, policy.origins) if given]
    return [text for text in found if text]


def _rules(policy: Policy) -> Iterable[str]:
    for name, rule in policy.parameters.items():
        if isinstance(rule, Range):
            yield f"{name}: {_bound(rule.min)}..{_bound(rule.max)}"
        else:
            yield f"{name}: {', '.join(v if isinstance(v, str) else json.dumps(v) for v in rule)}"


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:.15g}"


def _parsed(text: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        name, colon, rule = line.partition(":")
        if not colon or not rule.strip():
            raise ConfigError(f"{line!r} is no rule; write it like max_tokens: ..4096 or n: 1, 2")
        found[name.strip()] = _rule(rule.strip())
    return found


def _rule(text: str) -> object:
    span = _SPAN.fullmatch(text)
    if span is None:
        return [_scalar(word.strip()) for word in text.split(",") if word.strip()]
    least, most = (number(part.replace(",", "").replace("_", "")) if part else None for part in span.groups())
    return {"min": least, "max": most}


def _scalar(word: str) -> object:
    """`true`, `3` and `0.5` are no text; `"3"` is."""
    try:
        value = json.loads(word)
    except ValueError:
        return word
    return value if isinstance(value, str | int | float | bool) else word
