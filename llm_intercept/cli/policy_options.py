"""The options that restrict a token or a project, and how a policy is shown."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import click

from llm_intercept.errors import ConfigError
from llm_intercept.policy.allow import Policy, parsed
from llm_intercept.policy.parameters import Range

_PARTS = {
    "allow_model": "models",
    "allow_provider": "providers",
    "allow_endpoint": "endpoints",
    "allow_ip": "ips",
    "allow_origin": "origins",
}
_OPTIONS = (
    click.option(
        "--allow-model",
        multiple=True,
        metavar="GLOB",
        help="Only such models, both as asked for and as sent. Repeatable, like all of these.",
    ),
    click.option("--allow-provider", multiple=True, metavar="GLOB", help="Only these providers."),
    click.option(
        "--allow-endpoint",
        multiple=True,
        metavar="ENDPOINT",
        help="Only these: `chat`, `POST /v1/chat/*`, `/v1/models*`.",
    ),
    click.option(
        "--allow-ip", multiple=True, metavar="CIDR", help="Only from these: 10.0.0.0/8, 2001:db8::7."
    ),
    click.option(
        "--allow-origin",
        multiple=True,
        metavar="ORIGIN",
        help="Only for web pages of these: https://*.example.com.",
    ),
    click.option(
        "--limit-parameter",
        multiple=True,
        metavar="NAME=RULE",
        help="What calls may say: max_tokens=max:4096, temperature=min:0,max:1, service_tier=auto,flex.",
    ),
)


def policy_options[F: Callable[..., Any]](command: F) -> F:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


unrestricted_option = click.option(
    "--unrestricted", is_flag=True, help="Take all restrictions away, before those given here."
)


def policy_of(given: Mapping[str, Any], before: Policy | None = None) -> Policy | None:
    """The policy that these options ask for; None if none of them was given.

    A part that is given replaces that part of `before`; rules about parameters are added to those there.
    """
    before = Policy() if before is None or given.get("unrestricted") else before
    asked = {part: given[option] for option, part in _PARTS.items() if given[option]}
    rules = dict(_rule(text) for text in given["limit_parameter"])
    if not asked and not rules and not given.get("unrestricted"):
        return None
    document = before.model_dump(exclude_defaults=True) | asked
    return parsed({**document, "parameters": {**before.model_dump()["parameters"], **rules}})


def _rule(text: str) -> tuple[str, object]:
    """`max_tokens=max:4096` -> a range; `stream=false` -> a list of values."""
    name, mark, rule = text.partition("=")
    words = [word.strip() for word in rule.split(",") if word.strip()]
    if not mark or not words:
        raise ConfigError(f"{text!r} is no rule; write NAME=max:NUMBER, NAME=min:A,max:B or NAME=VALUE,VALUE")
    limits = [word.partition(":") for word in words if word.startswith(("min:", "max:"))]
    if not limits:
        return name.strip(), [_value(word) for word in words]
    range_ = {key: _value(value) for key, _, value in limits}
    if len(range_) < len(words) or not all(type(value) in (int, float) for value in range_.values()):
        raise ConfigError(f"{text!r} is no range; write NAME=max:NUMBER or NAME=min:A,max:B")
    return name.strip(), range_


def _value(word: str) -> object:
    """true, false and numbers are what they are in JSON; all else is text."""
    try:
        value = json.loads(word)
    except ValueError:
        return word
    return value if isinstance(value, bool | int | float) else word


def policy_lines(policy: Policy) -> list[str]:
    """`models: gpt-4o-*`, one line for each part; none for a policy that allows everything."""
    lines = [
        f"{part}: {', '.join(getattr(policy, part))}" for part in _PARTS.values() if getattr(policy, part)
    ]
    return lines + [f"{name}: {_rule_text(rule)}" for name, rule in policy.parameters.items()]


def policy_summary(policy: Policy) -> str:
    """For one cell of a table."""
    parts = [part for part in _PARTS.values() if getattr(policy, part)]
    return ", ".join([*parts, *policy.parameters]) or "everything"


def _rule_text(rule: object) -> str:
    if isinstance(rule, Range):
        named = (("at least", rule.min), ("at most", rule.max))
        return " and ".join(f"{words} {limit:g}" for words, limit in named if limit is not None)
    assert isinstance(rule, tuple)
    return ", ".join(word if isinstance(word, str) else json.dumps(word) for word in rule)
