"""The form of a route: its document as fields, and back."""

import json
from collections.abc import Mapping
from typing import Any

from llm_dashboard.admin.forms import NAMES, Field, Form, Section, number, plain_options, whole
from llm_intercept.errors import ConfigError
from llm_intercept.policy.routing import FLAGS, Route, RouteTarget, parse_target, target_text
from llm_intercept.policy.strategies import STRATEGIES

_LISTS = ("models", "aliases", "tiers", "projects", "tokens", "dialects")
_TIMEOUTS = ("connect", "first_byte", "idle", "total")
STRATEGY_LABELS = {
    "ordered": "In the order written",
    "weighted": "By weight, drawn",
    "latency": "The fastest to its first token",
    "cheapest": "The cheapest",
    "busy": "The least busy",
}
_SWITCH = (("", "Either"), ("yes", "Only with"), ("no", "Only without"))
_WORDS = {
    "image": "Images",
    "web_search": "Web search",
    "background": "Background calls of agents",
    "thinking": "Reasoning",
}
PLACES = {f"match.{name}": name for name in (*_LISTS, "min_tokens", *FLAGS)}
PLACES |= {f"timeouts.{name}": f"timeout_{name}" for name in _TIMEOUTS}


def sections(*, new: bool) -> list[Section]:
    name = Field("name", "Name", help=NAMES, placeholder="safe", required=True)
    targets = Field(
        "targets",
        "Targets",
        "area",
        "One on each line: PROVIDER/MODEL, then @POOL and *WEIGHT if wanted. openai/ is the model that was "
        "asked for, /gpt-5 the provider that was called.",
        placeholder="anthropic/\nbedrock/anthropic.claude-sonnet-4-5@team*3",
        required=True,
        wide=True,
    )
    longer = Field("longer", "For longer conversations", "area", "Tried when it was too long for the others.")
    strategy = Field(
        "strategy",
        "Which first",
        "select",
        options=[(name, STRATEGY_LABELS.get(name, name)) for name in STRATEGIES],
    )
    first = [name, strategy] if new else [strategy]
    return [
        Section("Where calls go", [*first, targets, longer]),
        Section("For which calls", _MATCH, "all that is said must hold; nothing said: every call"),
        Section("Trying", _TRYING, "in place of the settings", folded=True),
    ]


_MATCH = (
    Field(
        "models", "Models", "area", "As the client names them; * stands for anything.", placeholder="claude-*"
    ),
    Field("projects", "Projects", "area"),
    Field("tokens", "Tokens", "area"),
    Field("dialects", "Dialects", placeholder="anthropic, openai_chat"),
    Field("aliases", "Aliases"),
    Field("tiers", "Tiers of Claude models", placeholder="big, middle, small"),
    Field("min_tokens", "Prompts of at least", "number", "Tokens, estimated."),
    *(Field(name, _WORDS[name], "select", options=_SWITCH) for name in FLAGS),
)
_TRYING = (
    Field("tries", "Tries for one call", "number", "The first included."),
    Field("budget", "Seconds of waiting between tries", "number"),
    Field("timeout_connect", "Seconds to connect", "number", "0 is no limit."),
    Field("timeout_first_byte", "Seconds to the first byte", "number"),
    Field("timeout_idle", "Seconds of silence", "number"),
    Field("timeout_total", "Seconds for the whole call", "number"),
    Field(
        "overrides",
        "Set in the requests",
        "area",
        "One KEY=JSON on each line, for all targets.",
        placeholder="temperature=0",
    ),
)
DOCUMENT = (
    Section(
        "Document",
        (Field("document", "JSON", "area", "As `route show --json` prints it.", required=True, wide=True),),
    ),
)


def values(route: Route) -> dict[str, str]:
    match = route.match
    found = {name: "\n".join(getattr(match, name)) for name in ("models", "projects", "tokens")}
    found |= {name: ", ".join(getattr(match, name)) for name in ("dialects", "aliases", "tiers")}
    found |= {name: {True: "yes", False: "no", None: ""}[getattr(match, name)] for name in FLAGS}
    found |= {f"timeout_{name}": _said(getattr(route.timeouts, name)) for name in _TIMEOUTS}
    overrides = route.targets[0].overrides
    return found | {
        "strategy": route.strategy,
        "targets": "\n".join(map(target_text, route.targets)),
        "longer": "\n".join(map(target_text, route.longer)),
        "min_tokens": _said(match.min_tokens),
        "tries": _said(route.tries),
        "budget": _said(route.budget),
        "overrides": "\n".join(f"{key}={json.dumps(value)}" for key, value in overrides.items()),
    }


def is_plain(route: Route) -> bool:
    """Whether the fields can say all of it: overrides are for all targets or for none."""
    return len({json.dumps(t.overrides, sort_keys=True) for t in (*route.targets, *route.longer)}) == 1


def read(form: Form, name: str) -> Route | None:
    """None if something is wrong, which the form then says."""
    overrides = form.read("overrides", _pairs) or {}
    document: dict[str, Any] = {
        "name": name,
        "strategy": form.text("strategy") or "ordered",
        "targets": _targets(form, "targets", overrides),
        "longer": _targets(form, "longer", overrides),
        "tries": form.read("tries", whole),
        "budget": form.read("budget", number),
        "match": _match(form),
        "timeouts": {key: form.read(f"timeout_{key}", number) for key in _TIMEOUTS},
    }
    return None if form.failed else form.model(Route, document, PLACES)


def _match(form: Form) -> dict[str, object]:
    flags = {name: {"yes": True, "no": False}.get(form.text(name)) for name in FLAGS}
    lists = {name: form.words(name) for name in _LISTS}
    return {**lists, **flags, "min_tokens": form.read("min_tokens", whole)}


def _targets(form: Form, name: str, overrides: Mapping[str, object]) -> list[dict[str, object]]:
    found: list[RouteTarget] = (
        form.read(name, lambda _: [parse_target(word) for word in form.words(name)]) or []
    )
    return [{**target.model_dump(), "overrides": dict(overrides)} for target in found]


def _pairs(text: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        key, equals, value = line.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{line!r} is not like temperature=0")
        try:
            found[key.strip()] = json.loads(value)
        except ValueError:
            found[key.strip()] = value.strip()
    return found


def _said(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def explain_sections(providers: list[str], projects: list[str], dialects: list[str]) -> list[Section]:
    """What a call would be like that is explained."""
    return [
        Section(
            "A call",
            (
                Field("model", "Model", placeholder="claude-sonnet-4-5", required=True),
                Field("project", "Project", "select", options=plain_options(projects)),
                Field(
                    "provider",
                    "Provider that is called",
                    "select",
                    options=plain_options(providers, "Whose it is"),
                ),
                Field("dialect", "Dialect", "select", options=plain_options(dialects, "The provider's")),
                Field("tokens", "Prompt, in tokens", "number"),
                *(Field(name, _WORDS[name], "check") for name in FLAGS),
            ),
        )
    ]
