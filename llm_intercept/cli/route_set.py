"""`llm-intercept route set`: a route from options, or from a document."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import click

from llm_intercept.cli import route_words
from llm_intercept.cli.output import json_option, print_json
from llm_intercept.cli.route_check import checked
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import ConfigError, NotFound
from llm_intercept.policy.routing import FLAGS, Route, Tier, parse_target, read_route
from llm_intercept.policy.strategies import STRATEGIES

_TIMEOUTS = {
    "connect": "connecting to a provider",
    "first_byte": "the first byte of the answer",
    "idle": "silence between two pieces of an answer",
    "total": "a whole call",
}
_SWITCHES = {
    "image": "Calls with (or without) an image in the prompt.",
    "web_search": "Calls that bring a web search of the provider's.",
    "background": "What agents do beside the conversation: small Claude models, probes for one token.",
    "thinking": "Calls that ask for reasoning.",
}


def _many(name: str, field: str, metavar: str, text: str) -> Callable[[Any], Any]:
    return click.option(name, field, multiple=True, metavar=metavar, help=text)


_CHOOSING = (
    _many("--to", "targets", "TARGET", "Where calls go: PROVIDER/MODEL@POOL*WEIGHT. Repeat it for more."),
    _many("--longer", "longer", "TARGET", "Where a conversation goes that was too long for the others."),
    click.option("--strategy", type=click.Choice(STRATEGIES), help="Which target first.  [default: ordered]"),
    _many("--model", "models", "GLOB", "Calls for this model, by the name that was asked for."),
    _many("--alias", "aliases", "NAME", "Calls whose model is this alias of the settings."),
    click.option(
        "--tier",
        "tiers",
        multiple=True,
        type=click.Choice(get_args(Tier.__value__)),
        help="Calls for a Claude model of this size.",
    ),
    _many("--project", "projects", "NAME", "Calls of this project."),
    _many("--token", "tokens", "NAME", "Calls with this token."),
    _many("--dialect", "dialects", "NAME", "Calls in this dialect: anthropic, openai_chat, gemini, ..."),
    click.option("--min-tokens", type=int, metavar="N", help="Calls with a prompt of at least N tokens."),
    *(
        click.option(f"--{n.replace('_', '-')}/--no-{n.replace('_', '-')}", n, default=None, help=text)
        for n, text in _SWITCHES.items()
    ),
)
_TRYING = (
    _many("--set", "overrides", "KEY=JSON", "Set this in the requests, for all targets: --set temperature=0"),
    click.option("--tries", type=int, metavar="N", help="Upstream tries for one call, the first included."),
    click.option("--budget", type=float, metavar="S", help="Seconds that waiting between tries may take."),
    *(
        click.option(
            f"--timeout-{name.replace('_', '-')}",
            f"timeout_{name}",
            type=float,
            metavar="S",
            help=f"Seconds for {text}; 0: no limit.",
        )
        for name, text in _TIMEOUTS.items()
    ),
    click.option("--position", type=int, metavar="N", help="Its place among the routes; the first is 1."),
    click.option("--from", "source", metavar="FILE|-", help="Take the route from a JSON document."),
)


def _options[F: Callable[..., Any]](function: F) -> F:
    for option in reversed((*_CHOOSING, *_TRYING)):
        function = option(function)
    return function


@click.command("set")
@click.argument("name")
@_options
@json_option
@pass_session
def set_route(
    session: Session, /, name: str, position: int | None, source: str | None, as_json: bool, **options: Any
) -> None:
    """Make the route NAME, or write it anew. It counts from the next call on.

    \b
    Two providers, the second when the first fails:
      llm-intercept route set safe --model 'claude-*' --to anthropic/ --to gemini/gemini-2.5-pro
    Three quarters and one quarter of the calls:
      llm-intercept route set split --model gpt-5 --to 'openai/*3' --to azure/ --strategy weighted
    Long prompts of one project, and a way out where they are too long:
      llm-intercept route set long --project demo --min-tokens 60000 \\
        --to openai/gpt-5 --longer gemini/gemini-2.5-pro
    What agents do on the side:
      llm-intercept route set side --background --to groq/openai/gpt-oss-20b --set temperature=0

    \b
    A target is PROVIDER/MODEL, and after it @POOL and *WEIGHT if wanted:
      openai/    the model that was asked for      /gpt-5    the provider that was called
    Of --model, --alias, --tier, --project, --token and --dialect several may be given: one of them must fit.
    """
    said = {key: value for key, value in options.items() if value not in (None, ())}
    if source is not None and said:
        raise click.UsageError("give either --from or the options that describe a route")
    route = _from_document(name, source) if source is not None else _from_options(name, said)
    route, warnings = checked(session, route)
    stored = session.manage.routes.set(session.actor, route, position)
    if as_json:
        print_json({**route_words.record(stored), "warnings": warnings})
    else:
        route_words.describe(stored)
    for warning in warnings:
        click.echo(f"Note: {warning}", err=True)


def _from_document(name: str, source: str) -> Route:
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text()
        document = json.loads(text)
    except OSError as error:
        raise NotFound(f"{source} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{source} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{source} holds no JSON object")
    if document.setdefault("name", name) != name:
        raise ConfigError(f"{source} is about the route {document['name']!r}, not {name!r}")
    return read_route(document)


def _from_options(name: str, said: Mapping[str, Any]) -> Route:
    if "targets" not in said:
        raise click.UsageError("say where calls go: --to PROVIDER/MODEL")
    overrides = dict(_pair(text) for text in said.get("overrides", ()))
    matching = ("models", "aliases", "tiers", "projects", "tokens", "dialects", "min_tokens", *FLAGS)
    document = {
        "name": name,
        "match": {key: said[key] for key in matching if key in said},
        "targets": _targets(said["targets"], overrides),
        "longer": _targets(said.get("longer", ()), overrides),
        "timeouts": {key: said[f"timeout_{key}"] for key in _TIMEOUTS if f"timeout_{key}" in said},
    }
    return read_route(document | {key: said[key] for key in ("strategy", "tries", "budget") if key in said})


def _targets(texts: tuple[str, ...], overrides: Mapping[str, object]) -> list[dict[str, object]]:
    return [{**parse_target(text).model_dump(), "overrides": dict(overrides)} for text in texts]


def _pair(text: str) -> tuple[str, object]:
    """`KEY=JSON`; what is no JSON is text."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f"--set takes KEY=JSON, such as temperature=0; it was {text!r}")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
