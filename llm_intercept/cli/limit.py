"""`llm-intercept limit`."""

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from decimal import Decimal
from typing import Any

import click

from llm_intercept.cli.output import json_option, print_json, print_table
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import ConfigError
from llm_intercept.policy.limit_texts import moment, money, sentence, subject
from llm_intercept.policy.limits import NANOS, PERIODS, SCOPES, Limit, is_glob
from llm_intercept.policy.windows import SECONDS, Counter, span
from llm_intercept.store.limits import LimitRecord, checked
from llm_intercept.store.reservations import Counters

_LIST = {"id": "id", "limit": "limit", "kind": "kind", "thresholds": "tells at", "enabled": "in force"}
_USAGE = {
    "id": "id",
    "who": "who",
    "measure": "of",
    "amount": "amount",
    "used": "used",
    "reserved": "reserved",
    "remaining": "remaining",
    "resets": "resets",
}
_EACH = tuple(scope.replace("_", "-") for scope in SCOPES if scope != "global")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}
_AMOUNT = re.compile(r"\$?([0-9][0-9_,]*(?:\.[0-9]+)?)([kmb]?)", re.IGNORECASE)


@click.group
def command() -> None:
    """Say who may take how much: requests, tokens, money, calls at the same time.

    \b
    llm-intercept limit set --project demo --cost 5 --per day --timezone Europe/Berlin
    llm-intercept limit set --each token --requests 60 --per minute
    llm-intercept limit set --model 'gpt-4o*' --tokens 2M --per month --soft
    llm-intercept limit set --global --concurrency 20
    llm-intercept limit usage
    llm-intercept limit change lim_... --amount 10

    Before a call is made, the most that it can take is reserved on every limit that applies to it; afterwards
    the real figure takes its place. A call that is refused counts against nothing.
    """


def _amount(scale: int) -> Callable[[str], int]:
    """`60`, `100k`, `1.5M`, `$5`; a whole number of whatever `scale` says one is."""

    def read(text: str) -> int:
        found = _AMOUNT.fullmatch(text.strip())
        if found is None:
            raise click.BadParameter(f"{text!r} is not an amount; write it like 60, 100k or 2.5M")
        number = Decimal(found[1].replace(",", "").replace("_", "")) * _UNITS[found[2].lower()] * scale
        if number != number.to_integral_value():
            raise click.BadParameter(f"{text!r} has more decimals than can be counted")
        return int(number)

    return read


_WHO = (
    click.option("--global", "everything", is_flag=True, help="Everybody together."),
    click.option("--project", help="One project, or all that match a pattern, together."),
    click.option("--token", help="One token by name or id, or project/name; patterns such as 'demo/*'."),
    click.option("--user", help="One user."),
    click.option("--listener", help="One listener."),
    click.option("--ip", "client_ip", help="One client address, or a network such as 10.0.0.0/8."),
    click.option("--model", help="One model, as its provider names it, or a pattern."),
    click.option("--provider", help="One provider."),
    click.option("--each", type=click.Choice(_EACH), help="Every one of these by itself."),
)
_WHAT = (
    click.option("--requests", type=_amount(1), metavar="AMOUNT", help="How many calls."),
    click.option("--tokens", type=_amount(1), metavar="AMOUNT", help="How many tokens, input and output."),
    click.option("--cost", type=_amount(NANOS), metavar="AMOUNT", help="How many US dollars."),
    click.option("--concurrency", type=_amount(1), metavar="AMOUNT", help="How many calls at the same time."),
)


def _options[F: Callable[..., Any]](function: F) -> F:
    for option in reversed((*_WHO, *_WHAT)):
        function = option(function)
    return function


@command.command("set")
@_options
@click.option("--per", type=click.Choice(PERIODS), help="In which time; `total`: ever.")
@click.option("--timezone", default="UTC", show_default=True, help="Where days, weeks and months begin.")
@click.option("--soft/--hard", default=False, help="Soft: tells of it and refuses nothing.  [default: hard]")
@click.option("--reserve", type=int, help="Reserve so many tokens of a stream's output at a time.")
@click.option("--threshold", type=int, multiple=True, help="Percentages to tell of.  [default: 80, 100]")
@json_option
@pass_session
def set_(session: Session, /, as_json: bool, threshold: tuple[int, ...], **given: Any) -> None:
    """Set a limit, from the next call on; setting it again changes its amount and keeps its count.

    It counts from now on: calls made before it was set do not count.

    \b
    llm-intercept limit set --token laptop --requests 1000 --per total
    llm-intercept limit set --each user --cost 20 --per month --threshold 50 --threshold 90
    """
    scope, name = _who(session, given)
    measure, amount = _what(given)
    if measure != "concurrency" and given["per"] is None:
        raise click.UsageError(f"say in which time: --per {', '.join(PERIODS)}")
    values: dict[str, object] = {
        "scope": scope,
        "name": name,
        "measure": measure,
        "amount": amount,
        "per": given["per"] or "total",
        "timezone": given["timezone"],
        "soft": given["soft"],
        "reserve": given["reserve"],
    }
    if threshold:
        values["thresholds"] = threshold
    record = session.manage.limits.set(session.actor, checked(values))
    if as_json:
        print_json(_document(record))
    else:
        click.echo(f"{_capital(record.text)}{', softly' if record.limit.soft else ''} ({record.id}).")


@command.command
@click.argument("limit_id", metavar="ID")
@click.option("--amount", help="How much: 60, 100k, 2.5M; of cost in US dollars.")
@click.option("--timezone", help="Where days, weeks and months begin.")
@click.option("--soft/--hard", default=None, help="Soft: tells of it and refuses nothing.")
@click.option("--reserve", type=int, help="Reserve so many tokens of a stream's output at a time; 0: all.")
@click.option(
    "--threshold", type=int, multiple=True, help="Percentages to tell of, in place of those before."
)
@json_option
@pass_session
def change(session: Session, /, limit_id: str, as_json: bool, **given: Any) -> None:
    """Change a limit by its id: what is not said stays, its count too, and whether it is suspended.

    \b
    llm-intercept limit change lim_... --amount 10
    llm-intercept limit change lim_... --soft --threshold 50 --threshold 90
    """
    values = {name: value for name, value in given.items() if value not in (None, ())}
    if not values:
        raise click.UsageError("say what to change: --amount, --timezone, --soft, --reserve or --threshold")
    if "threshold" in values:
        values["thresholds"] = values.pop("threshold")
    if "amount" in values:
        measure = session.control.limits.get(limit_id).limit.measure
        values["amount"] = _amount(NANOS if measure == "cost" else 1)(values["amount"])
    _done(session.manage.limits.change(session.actor, limit_id, **values), "Changed", as_json)


@command.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """All limits."""
    found = session.control.limits.list()
    if as_json:
        print_json([_document(record) for record in found])
    elif found:
        print_table(_LIST, [_row(record) for record in found])
    else:
        click.echo("There is no limit. `llm-intercept limit set --help` shows how to set one.")


@command.command
@click.argument("limit_id", metavar="ID")
@json_option
@pass_session
def show(session: Session, limit_id: str, as_json: bool) -> None:
    """One limit, and where it stands."""
    record = session.control.limits.get(limit_id)
    usage = _usage(session, [record])
    if as_json:
        print_json({**_document(record), "usage": usage})
        return
    print_table(_LIST, [_row(record)])
    if usage:
        click.echo()
        _print_usage(usage)


@command.command
@click.argument("limit_id", metavar="ID")
@json_option
@pass_session
def remove(session: Session, limit_id: str, as_json: bool) -> None:
    """Delete a limit and what it has counted."""
    record = session.manage.limits.delete(session.actor, limit_id)
    _done(record, "Removed", as_json)


@command.command
@click.argument("limit_id", metavar="ID")
@json_option
@pass_session
def enable(session: Session, limit_id: str, as_json: bool) -> None:
    """Put a limit in force again."""
    _done(session.manage.limits.enable(session.actor, limit_id), "In force again", as_json)


@command.command
@click.argument("limit_id", metavar="ID")
@json_option
@pass_session
def disable(session: Session, limit_id: str, as_json: bool) -> None:
    """Suspend a limit: it neither refuses nor counts."""
    _done(session.manage.limits.disable(session.actor, limit_id), "Suspended", as_json)


@command.command
@click.argument("limit_id", metavar="[ID]", required=False)
@json_option
@pass_session
def usage(session: Session, limit_id: str | None, as_json: bool) -> None:
    """What is used and reserved, what remains, and when it resets."""
    actor, limits = session.actor, session.manage.limits
    found = _usage(session, [limits.get(actor, limit_id)] if limit_id else limits.list(actor))
    if as_json:
        print_json(found)
    elif found:
        _print_usage(found)
    else:
        click.echo("Nothing has been counted yet.")


def _who(session: Session, given: Mapping[str, Any]) -> tuple[str, str]:
    named = [(scope, given[scope]) for scope in SCOPES if scope != "global" and given[scope]]
    each = [(given["each"].replace("-", "_"), "")] if given["each"] else []
    asked = named + each + ([("global", "")] if given["everything"] else [])
    if len(asked) != 1:
        raise click.UsageError("say whom it is for, once: --project NAME, --each token, --global, ...")
    scope, name = asked[0]
    if scope == "provider" and name and not is_glob(name):
        name = session.provider(name).name
    return scope, name


def _what(given: Mapping[str, Any]) -> tuple[str, int]:
    asked = [
        (name, given[name])
        for name in ("requests", "tokens", "cost", "concurrency")
        if given[name] is not None
    ]
    if len(asked) != 1:
        raise click.UsageError("say how much of what, once: --requests, --tokens, --cost or --concurrency")
    measure, amount = asked[0]
    if not amount and measure == "concurrency":
        raise ConfigError(
            "with no call at a time there is no call at all; suspend the token or project instead"
        )
    return measure, amount


def _usage(session: Session, records: list[LimitRecord]) -> list[dict[str, Any]]:
    """A line for every counter; a limit without one has been counted on by nobody."""
    by_id = {record.id: record.limit for record in records}
    with closing(Counters(session.home.limits_db)) as counters:
        found = counters.read()
    lines = []
    for key, counter in found.items():
        id_, _, member = key.partition(":")
        if id_ in by_id:
            counter.expire(session.now)
            lines.append(_line(id_, by_id[id_], member, counter, session.now))
    counted = {line["id"] for line in lines}
    for id_, limit in by_id.items():
        if id_ not in counted and (limit.name or limit.scope == "global"):
            lines.append(_line(id_, limit, "", Counter(), session.now))
    return lines


def _line(id_: str, limit: Limit, member: str, counter: Counter, now: float) -> dict[str, Any]:
    return {
        "id": id_,
        "who": subject(limit, member),
        "text": sentence(limit, member),
        "measure": limit.measure,
        "per": limit.per,
        "amount": limit.amount,
        "used": counter.used,
        "reserved": counter.reserved,
        "remaining": max(0, limit.amount - counter.taken),
        "resets": _resets(limit, now),
    }


def _resets(limit: Limit, now: float) -> str | None:
    if limit.measure == "concurrency" or limit.per == "total":
        return None
    if limit.per in SECONDS:
        return f"{limit.per} by {limit.per}"
    return moment(span(limit.per, limit.timezone, now)[1], limit.timezone)


def _print_usage(lines: list[dict[str, Any]]) -> None:
    figures = ("amount", "used", "reserved", "remaining")
    shown = [
        line
        | {name: money(line[name]) if line["measure"] == "cost" else f"{line[name]:,}" for name in figures}
        for line in lines
    ]
    print_table(_USAGE, [line | {"measure": f"{line['measure']} {_per(line)}".strip()} for line in shown])


def _per(line: Mapping[str, Any]) -> str:
    if line["measure"] == "concurrency":
        return ""
    return "in total" if line["per"] == "total" else f"a {line['per']}"


def _done(record: LimitRecord, what: str, as_json: bool) -> None:
    if as_json:
        print_json(_document(record))
    else:
        click.echo(f"{what}: {record.text} ({record.id}).")


def _document(record: LimitRecord) -> dict[str, object]:
    more = {"enabled": record.enabled, "text": record.text}
    times = {"created_at": record.created_at, "changed_at": record.changed_at}
    return {"id": record.id, **record.limit.model_dump(), **more, **times}


def _row(record: LimitRecord) -> dict[str, object]:
    limit = record.limit
    zone = f" ({limit.timezone})" if limit.per in ("day", "week", "month") else ""
    return {
        "id": record.id,
        "limit": record.text + zone,
        "kind": "soft" if limit.soft else "hard",
        "thresholds": ", ".join(f"{percent} %" for percent in limit.thresholds),
        "enabled": "yes" if record.enabled else "no",
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
