"""A route in words and in JSON, for the commands of `route`."""

from collections.abc import Iterator, Mapping

import click

from llm_intercept.cli.output import print_table
from llm_intercept.policy.routing import FLAGS, Route, RouteMatch, RouteTarget, RouteTimeouts
from llm_intercept.store.routes import StoredRoute

_LISTS = (
    ("models", "model"),
    ("aliases", "alias"),
    ("tiers", "tier"),
    ("projects", "project"),
    ("tokens", "token"),
    ("dialects", "dialect"),
)
_FLAGS = dict(zip(FLAGS, ("images", "web search", "background calls", "thinking"), strict=True))
_COLUMNS = {
    "position": "#",
    "name": "route",
    "enabled": "enabled",
    "for": "for calls with",
    "strategy": "strategy",
    "targets": "targets",
}


def record(stored: StoredRoute) -> dict[str, object]:
    """What `--json` prints. `route` is the document that `route set --from` takes."""
    document = stored.route.model_dump(mode="json", exclude_defaults=True) if stored.route else None
    return {
        "name": stored.name,
        "position": stored.position,
        "enabled": stored.enabled,
        "route": document,
        "problem": stored.problem,
        "created_at": stored.created_at,
        "changed_at": stored.changed_at,
    }


def conditions(match: RouteMatch) -> list[str]:
    """What must hold, one phrase for each condition."""
    found = [f"{word} {' or '.join(getattr(match, name))}" for name, word in _LISTS if getattr(match, name)]
    if match.min_tokens is not None:
        found.append(f"{match.min_tokens:,} tokens or more")
    asked = ((getattr(match, flag), words) for flag, words in _FLAGS.items())
    return found + [words if wanted else f"no {words}" for wanted, words in asked if wanted is not None]


def table(found: list[StoredRoute]) -> None:
    print_table(_COLUMNS, map(_row, found))


def _row(stored: StoredRoute) -> dict[str, object]:
    route = stored.route
    return {
        "position": str(stored.position),
        "name": stored.name,
        "enabled": "yes" if stored.enabled else "no",
        "for": (", ".join(conditions(route.match)) or "anything") if route else "?",
        "strategy": route.strategy if route else "?",
        "targets": ", ".join(map(str, route.targets)) if route else stored.problem,
    }


def describe(stored: StoredRoute) -> None:
    """One route, a line for each thing that was said."""
    click.echo(f"{stored.name}: number {stored.position}, {'enabled' if stored.enabled else 'disabled'}")
    if stored.route is None:
        click.echo(f"  {stored.problem}")
        return
    for label, value in _lines(stored.route):
        click.echo(f"  {label:<9} {value}")


def _lines(route: Route) -> Iterator[tuple[str, str]]:
    yield "for", ", ".join(conditions(route.match)) or "every call that no route before it takes"
    yield "strategy", route.strategy
    for target in route.targets:
        yield "to", _target(target)
    for target in route.longer:
        yield "longer", _target(target)
    yield from _limits(route)


def _target(target: RouteTarget) -> str:
    changes = _pairs(target.overrides)
    return f"{target} with {changes}" if changes else str(target)


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _limits(route: Route) -> Iterator[tuple[str, str]]:
    if route.tries is not None:
        yield "tries", str(route.tries)
    if route.budget is not None:
        yield "budget", f"{route.budget:g} s of waiting between tries"
    if route.timeouts != RouteTimeouts():
        limits = route.timeouts.model_dump(exclude_none=True)
        yield "timeouts", ", ".join(f"{name} {seconds:g} s" for name, seconds in limits.items())
