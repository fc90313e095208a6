"""`llm-intercept failure`: failures on purpose, for a listener or a project."""

import json
from collections.abc import Callable
from typing import IO, Any, cast

import click
from pydantic import ValidationError

from llm_intercept.cli.output import json_option, moment, print_json, print_table
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import ConfigError
from llm_intercept.policy.failure_texts import described
from llm_intercept.policy.failures import PARTS, Failures
from llm_intercept.store.failures import Scope

type Document = dict[str, Any]
type Command = Callable[..., None]


def scope_options(command: Command) -> Command:
    command = click.option("--project", metavar="NAME", help="For the calls of this project.")(command)
    return click.option("--listener", metavar="NAME", help="For the calls that come by this listener.")(
        command
    )


def _scope(listener: str | None, project: str | None) -> tuple[Scope, str]:
    if (listener is None) == (project is None):
        raise click.UsageError("say for whom: --listener NAME or --project NAME")
    return ("listener", listener) if listener is not None else ("project", cast(str, project))


@click.group
def command() -> None:
    """Simulate failures on purpose, to see what clients make of them.

    Off unless set. A change counts from the next call on; what is simulated is marked on the call's row
    and in the answer's header x-llm-intercept-simulated. A listener's settings go before its project's.

    \b
    llm-intercept failure set --project demo --error 429=0.1 --error 500=0.05
    llm-intercept failure reset --project demo
    """


class _Rate(click.ParamType[tuple[str, float]]):
    """STATUS=RATE."""

    name = "STATUS=RATE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        status, _, rate = str(value).partition("=")
        try:
            return status.strip(), float(rate)
        except ValueError:
            self.fail(f"{value!r} is not like 429=0.1", param, ctx)


class _Span(click.ParamType[tuple[float, float]]):
    """Seconds: one number, or the shortest and the longest."""

    name = "SECONDS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        low, _, high = str(value).partition("-")
        try:
            return float(low), float(high or low)
        except ValueError:
            self.fail(f"{value!r} is not like 2 or 0.5-2", param, ctx)


@command.command("set")
@scope_options
@click.option(
    "--error", "error_rates", type=_Rate(), multiple=True, help="A share of calls gets this status."
)
@click.option("--retry-after", type=float, metavar="SECONDS", help="What a 429 says.  [default: 1]")
@click.option("--timeout", type=float, metavar="SECONDS", help="Calls are held, then they have timed out.")
@click.option("--hang", is_flag=True, help="Calls are held until the client goes away.")
@click.option("--timeout-rate", type=float, metavar="RATE", help="Only for a share of the calls.")
@click.option("--delay", type=_Span(), help="Answers come so much later: 2, or at random 0.5-2.")
@click.option("--cache-only/--not-cache-only", default=None, help="Delay only answers out of the cache.")
@click.option(
    "--block-ip", "block", multiple=True, metavar="ADDRESS", help="403 for 10.1.2.3, 10.0.0.0/8, 10.*"
)
@click.option("--allow-ip", "allow", multiple=True, metavar="ADDRESS", help="403 for all others.")
@click.option("--rpm", type=int, metavar="N", help="429 beyond N calls in a minute.")
@click.option("--cut-after-events", type=int, metavar="N", help="Streams are cut off after N events.")
@click.option("--cut-after-bytes", type=int, metavar="N", help="Streams are cut off after N bytes.")
@click.option("--garble-at-event", type=int, metavar="N", help="The N-th event of a stream is unreadable.")
@click.option("--stream-rate", type=float, metavar="RATE", help="Cut and garble only a share of the streams.")
@click.option("--slow-tokens", type=float, metavar="N", help="Streams come at N events a second.")
@click.option("--seed", type=int, metavar="N", help="The n-th call after this always has the same fate.")
@click.option("--no-seed", is_flag=True, help="By chance again.")
@click.option("--off", multiple=True, type=click.Choice(PARTS), help="Switch a part off.")
@click.option("--from", "file", type=click.File(), metavar="FILE", help="Start from this JSON; - is stdin.")
@json_option
@pass_session
def set_(
    session: Session, /, listener: str | None, project: str | None, as_json: bool, **options: Any
) -> None:
    """Change what is simulated; what is not named stays as it is.

    Rates go from 0 to 1. The file of --from has the form that `failure show --json` prints.

    \b
    llm-intercept failure set --project demo --hang --timeout-rate 0.1
    llm-intercept failure set --project demo --delay 0.5-2 --slow-tokens 5 --seed 7
    llm-intercept failure set --listener flaky --cut-after-events 3 --stream-rate 0.5
    llm-intercept failure set --project demo --block-ip 10.0.0.0/8 --off response_delay
    llm-intercept failure set --project demo --from chaos.json
    """
    scope, name = _scope(listener, project)
    given = {name: value for name, value in options.items() if _is_given(name, value)}
    if not given:
        raise click.UsageError("say what to change, for example --error 500=0.1")
    found = session.control.failures.find(scope, name)
    document = _start(given.pop("file", None), found.failures if found else Failures())
    failures = _checked(_changed(document, given))
    entry = session.manage.failures.set(session.actor, scope, name, failures)
    _print(entry.scope, entry.name, entry.failures, as_json)


def _is_given(name: str, value: object) -> bool:
    return value is not None and value != () and (value is not False or name == "cache_only")


def _start(file: IO[str] | None, current: Failures) -> Document:
    if file is None:
        return current.model_dump(mode="json")
    try:
        return _checked(json.load(file)).model_dump(mode="json")
    except ValueError as error:
        raise ConfigError(f"{file.name} is not JSON: {error}") from error


def _checked(document: object) -> Failures:
    try:
        return Failures.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "[key]")
        text = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where + ': ' if where else ''}{text}") from None


# option -> (part, field); those that only say how do not switch their part on
_FIELDS = {
    "timeout": ("timeout", "seconds"),
    "rpm": ("rate_limiting", "requests_per_minute"),
    "block": ("ip_filtering", "block"),
    "allow": ("ip_filtering", "allow"),
    "cut_after_events": ("stream", "cut_after_events"),
    "cut_after_bytes": ("stream", "cut_after_bytes"),
    "garble_at_event": ("stream", "garble_at_event"),
    "slow_tokens": ("slow_tokens", "tokens"),
    "error_rates": ("error_injection", "error_rates"),
}
_MANNERS = {
    "retry_after": ("error_injection", "retry_after", "--error"),
    "timeout_rate": ("timeout", "rate", "--timeout or --hang"),
    "cache_only": ("response_delay", "cache_only", "--delay"),
    "stream_rate": ("stream", "rate", "--cut-after-events or the like"),
}
_NOT_BOTH = (("timeout", "hang"), ("cut_after_events", "cut_after_bytes"), ("seed", "no_seed"))


def _changed(document: Document, given: Document) -> Document:
    for one, other in _NOT_BOTH:
        if one in given and other in given:
            raise click.UsageError(f"either {_option(one)} or {_option(other)}")
    for name, value in given.items():
        if name in _FIELDS:
            part, field = _FIELDS[name]
            document[part] |= {"enabled": True, field: dict(value) if field == "error_rates" else value}
    _apply_special(document, given)
    for part in given.get("off", ()):
        document[part]["enabled"] = False
    _apply_manners(document, given)
    for part in _switched_on(given).intersection(given.get("off", ())):
        raise click.UsageError(f"either --off {part}, or what it is to do; `failure reset` begins anew")
    return document


def _switched_on(given: Document) -> set[str]:
    special = {"hang": "timeout", "delay": "response_delay"}
    return {_FIELDS[name][0] if name in _FIELDS else special.get(name, "") for name in given}


def _apply_special(document: Document, given: Document) -> None:
    if "hang" in given:
        document["timeout"] |= {"enabled": True, "seconds": None}
    if "delay" in given:
        low, high = given["delay"]
        document["response_delay"] |= {"enabled": True, "min": low, "max": high}
    if "cut_after_events" in given:
        document["stream"]["cut_after_bytes"] = None
    if "cut_after_bytes" in given:
        document["stream"]["cut_after_events"] = None
    if "seed" in given or "no_seed" in given:
        document["seed"] = given.get("seed")


def _apply_manners(document: Document, given: Document) -> None:
    for name, (part, field, needs) in _MANNERS.items():
        if name not in given:
            continue
        if not document[part]["enabled"]:
            raise click.UsageError(f"{_option(name)} needs {needs}")
        document[part][field] = given[name]


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


@command.command
@scope_options
@json_option
@pass_session
def show(session: Session, listener: str | None, project: str | None, as_json: bool) -> None:
    """What is simulated for one listener or project."""
    scope, name = _scope(listener, project)
    found = session.control.failures.find(scope, name)
    _print(scope, name, found.failures if found else Failures(), as_json)


def _print(scope: str, name: str, failures: Failures, as_json: bool) -> None:
    if as_json:
        print_json(failures.model_dump(mode="json"))
        return
    parts = described(failures)
    if not parts:
        click.echo(f"Nothing is simulated for the {scope} {name}.")
        return
    if failures.seed is not None:
        parts["seed"] = str(failures.seed)
    print_table({"part": f"{scope} {name}", "what": ""}, [{"part": p, "what": w} for p, w in parts.items()])


@command.command
@scope_options
@pass_session
def reset(session: Session, listener: str | None, project: str | None) -> None:
    """Simulate nothing any more."""
    scope, name = _scope(listener, project)
    had = session.manage.failures.reset(session.actor, scope, name)
    click.echo(f"{'Removed the settings of' if had else 'There were no settings for'} the {scope} {name}.")


@command.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """Every listener and project that has settings."""
    found = session.control.failures.list()
    if as_json:
        print_json(
            [
                {
                    "scope": entry.scope,
                    "name": entry.name,
                    "failures": entry.failures.model_dump(mode="json"),
                    "changed_at": entry.changed_at,
                }
                for entry in found
            ]
        )
    elif not found:
        click.echo("Nothing is simulated: llm-intercept failure set --project default --error 500=0.1")
    else:
        rows = [
            {
                "scope": entry.scope,
                "name": entry.name,
                "what": "; ".join(described(entry.failures).values()) or "nothing",
                "changed_at": entry.changed_at,
            }
            for entry in found
        ]
        columns = {"scope": "for", "name": "name", "what": "simulated", "changed_at": "since"}
        print_table(columns, rows, {"changed_at": moment})
