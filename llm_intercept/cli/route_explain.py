"""`llm-intercept route explain`: which targets a call would be tried at, in which order, and why."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from llm_intercept import prices, resources
from llm_intercept.cli.output import json_option, print_json, print_table
from llm_intercept.cli.route_call import way
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.policy.callfacts import is_background, thinks
from llm_intercept.policy.facts import Facts
from llm_intercept.policy.models import ModelMap
from llm_intercept.policy.pricing import Pricing
from llm_intercept.policy.routing import CallFacts, unmet
from llm_intercept.prompts import with_prompts
from llm_intercept.store.projects import DEFAULT_PROJECT

if TYPE_CHECKING:
    from llm_intercept.router import Explanation, Router

_COLUMNS = {
    "number": "#",
    "target": "target",
    "key": "key",
    "state": "state",
    "reason": "why in this place",
}
_FEATURES = {
    "image": "With an image.",
    "web_search": "With a web search.",
    "background": "As agents make them beside the conversation.",
    "thinking": "With reasoning.",
}
_WHY = {
    "models": "it is for other models",
    "aliases": "it is for other aliases",
    "tiers": "it is for other tiers",
    "projects": "it is for other projects",
    "tokens": "it is for other tokens",
    "dialects": "it is for other dialects",
    "min_tokens": "it is for longer prompts",
    "image": "images",
    "web_search": "web search",
    "background": "background calls",
    "thinking": "thinking",
}


def _features[F: Callable[..., Any]](function: F) -> F:
    for name, text in reversed(_FEATURES.items()):
        function = click.option(f"--{name.replace('_', '-')}", name, is_flag=True, help=text)(function)
    return function


@click.command
@click.argument("model")
@click.option("--project", default="", help="Of which project the call is.  [default: default]")
@click.option("--token", default="", metavar="NAME", help="With which token; it says the project as well.")
@click.option("--own-key", is_flag=True, help="With a provider key of the client's own.")
@click.option("--provider", default="", help="Which provider is called.  [default: whose model it is]")
@click.option("--dialect", default="", help="In which dialect: anthropic, openai_chat, gemini, ...")
@click.option("--tokens", default=0, metavar="N", help="How long the prompt is.")
@_features
@json_option
@pass_session
def explain(session: Session, /, model: str, as_json: bool, **options: Any) -> None:
    """Print at which targets a call for MODEL would be tried, in which order, and why.

    \b
    llm-intercept route explain claude-sonnet-4-5 --project demo
    llm-intercept route explain gpt-5 --token laptop --tokens 90000 --image
    llm-intercept route explain gemini-2.5-pro --dialect gemini

    Nothing is sent. Keys that cool down and open breakers are those that the proxy wrote down last.
    """
    called = way(session, model, options["provider"], options["dialect"])
    models = _models(session)
    facts = _facts(session, model, called.dialect, options)
    found = models.resolve(model, facts.project, called.provider, True)
    facts = replace(facts, alias=found.alias, tier=found.tier)
    explained = _router(session, models).explain(facts, called.dialect, called.provider)
    passed = list(_passed_over(session, facts, explained.route))
    if as_json:
        print_json({**_record(explained), "passed_over": passed})
    else:
        _print(explained, passed)


def _facts(session: Session, model: str, dialect: str, options: dict[str, Any]) -> CallFacts:
    project, token = options["project"], options["token"]
    if options["own_key"] and (project or token):
        raise click.UsageError("a client's own key belongs to no --project and no --token")
    if token:
        known = session.control.tokens.get(token, project or None)
        project, token = known.project, known.name
    elif not options["own_key"]:
        project = session.control.projects.get(project or DEFAULT_PROJECT).name
    return CallFacts(
        model=model,
        project=project,
        token=token,
        dialect=dialect,
        tokens=options["tokens"],
        image=options["image"],
        web_search=options["web_search"],
        background=options["background"] or is_background({}, model),
        thinking=options["thinking"] or thinks({}, model),
    )


def _models(session: Session) -> ModelMap:
    facts = Facts(session.registry.providers, resources.model_catalogue)
    settings = with_prompts(session.settings.models, session.home.path)
    control = session.control
    return ModelMap(settings, session.registry.providers, facts.known, lambda: control.aliasing)


def _router(session: Session, models: ModelMap) -> "Router":
    """As the proxy has it, with what it wrote down of keys and targets."""
    from llm_intercept import assembly

    session.home.ensure()
    pricing = Pricing(session.settings.prices, prices.built_in())
    base = assembly.Base(session.home, session.settings, session.registry, session.control, pricing)
    return assembly.explaining(base, models)


def _passed_over(session: Session, facts: CallFacts, chosen: str) -> Iterator[dict[str, str]]:
    """The enabled routes before the chosen one, and the first condition that does not hold."""
    for route in session.control.routing:
        if route.name == chosen:
            return
        yield {"route": route.name, "because": unmet(route.match, facts)}


def _record(explained: "Explanation") -> dict[str, Any]:
    return {
        "route": explained.route,
        "resolution": explained.resolution,
        "refusal": explained.refusal,
        "candidates": [
            {
                "provider": candidate.provider,
                "model": candidate.model,
                "key": candidate.credential,
                "usable": state is None or state.usable,
                "state": state.reason if state else "",
                "reason": candidate.reason,
                "longer": candidate.longer,
                "overrides": dict(candidate.overrides),
            }
            for candidate, state in explained.candidates
        ],
    }


def _print(explained: "Explanation", passed: list[dict[str, str]]) -> None:
    found = _record(explained)
    for route in passed:
        click.echo(f"Not the route {route['route']}: {_sentence(route['because'])}.")
    click.echo(f"Route: {explained.route}" if explained.route else "No route takes this call.")
    if explained.resolution:
        click.echo(f"Model: {explained.resolution}")
    if explained.refusal:
        click.echo(f"It is refused: {explained.refusal}")
    elif not found["candidates"]:
        click.echo("No target has a key: `llm-intercept key list` shows what is stored.")
    else:
        print_table(_COLUMNS, [_row(number, line) for number, line in enumerate(found["candidates"], 1)])
        if len({(c["provider"], c["model"]) for c in found["candidates"]}) < len(found["candidates"]):
            click.echo("Of several keys of a target each conversation has its own first one, by weight.")


def _sentence(condition: str) -> str:
    words = _WHY[condition]
    return words if " is for " in words else f"this call does not fit what it says of {words}"


def _row(number: int, line: dict[str, Any]) -> dict[str, object]:
    return {
        "number": str(number),
        "target": f"{line['provider']}/{line['model']}",
        "key": line["key"] or "none of ours",
        "state": line["state"] or "ready",
        "reason": line["reason"] or "the provider that was called",
    }
