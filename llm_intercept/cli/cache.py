"""`llm-intercept cache`: stored answers, shown and deleted."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from llm_intercept.cli.output import (
    Formatter,
    count,
    dollars,
    json_option,
    moment,
    print_json,
    print_table,
)
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import ConfigError
from llm_intercept.manage.cache import asked, document, sums, written
from llm_intercept.policy.tokens import parse_duration
from llm_intercept.store.cache import Entry, Totals, Which

_COLUMNS = {
    "key": "key",
    "stored_at": "stored (UTC)",
    "project": "project",
    "provider": "provider",
    "model": "model",
    "operation": "operation",
    "size": "bytes",
    "hits": "hits",
    "saved_nanos": "saved",
    "expires_at": "good until",
}
_FORMATS: dict[str, Formatter] = {
    "stored_at": moment,
    "expires_at": moment,
    "saved_nanos": dollars,
    "size": count,
    "hits": count,
}
_SHORT = 16
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # of a terminal


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except (ConfigError, OverflowError) as error:
        raise click.BadParameter(str(error)) from None


_FILTERS = (
    click.option("--project", default="", metavar="NAME", help="Of calls of this project."),
    click.option("--provider", default="", metavar="NAME", help="That this provider gave."),
    click.option("--model", default="", metavar="NAME", help="Of this model; 'gpt-5*' for several."),
    click.option("--key", default="", metavar="HEX", help="Whose key begins so."),
    click.option("--older-than", type=_duration, metavar="DURATION", help="Stored so long ago: 12h, 7d."),
    click.option("--expired", is_flag=True, help="Only those that are out of date."),
)


def _filters[F: Callable[..., Any]](function: F) -> F:
    for option in reversed(_FILTERS):
        function = option(function)
    return function


@click.group
def command() -> None:
    """Show and delete stored answers: what was asked once is not paid for again.

    A client asks for it with a header, which every SDK can send along:

    \b
    client = OpenAI(default_headers={"Cache-Control": "max-age=3600"})
    client = Anthropic(default_headers={"Cache-Control": "max-age=3600"})
    curl -H 'Cache-Control: max-age=3600' ...

    Then the answer is stored for an hour and given to whoever asks the same in this project; that counts
    against no limit. `no-cache, max-age=3600` asks the provider anew, `no-store` keeps a call out of it.

    For all calls, without a header: in config.toml

    \b
    [cache]
    mode = "on"     # "opt-in": as above, the default; "off": nothing is stored

    or for one project: `llm-intercept project set demo --cache on`.
    """


@command.command
@_filters
@json_option
@pass_session
def stats(session: Session, /, as_json: bool, **given: Any) -> None:
    """How many there are, how large, how often they were given, and what that saved.

    \b
    llm-intercept cache stats
    llm-intercept cache stats --project demo --model 'gpt-5*'
    """
    found = session.manage.cache.totals(session.actor, _which(session, given))
    if as_json:
        print_json(sums(found))
    else:
        _print_totals(found)


@command.command("list")
@_filters
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option("--cursor", type=click.IntRange(1, (1 << 63) - 1), metavar="ID", help="Go on after this one.")
@json_option
@pass_session
def list_(session: Session, /, limit: int, cursor: int | None, as_json: bool, **given: Any) -> None:
    """The answers that fit, newest first.

    \b
    llm-intercept cache list --project demo --limit 10
    llm-intercept cache list --expired --json
    """
    found = session.manage.cache.entries(session.actor, _which(session, given), limit + 1, cursor)
    shown, following = found[:limit], found[limit - 1].id if len(found) > limit else None
    if as_json:
        print_json({"answers": [document(entry) for entry in shown], "cursor": following})
    elif not shown:
        click.echo("No stored answer fits. How answers come to be stored: llm-intercept cache --help")
    else:
        print_table(_COLUMNS, [_line(entry) for entry in shown], _FORMATS)
        if following is not None:
            click.echo(f"\nThere is more: --cursor {following}", err=True)


@command.command
@click.argument("key")
@click.option("--body", is_flag=True, help="With what was said.")
@json_option
@pass_session
def show(session: Session, key: str, body: bool, as_json: bool) -> None:
    """One answer by its key, or by the beginning of its key. A client is told it in the header Cache-Status.

    \b
    llm-intercept cache show 4f1c09ab
    llm-intercept cache show 4f1c09ab --body
    """
    shown = session.manage.cache.show(session.actor, key)
    facts = {**document(shown.entry), "headers": [list(pair) for pair in shown.headers]}
    if as_json:
        print_json(facts | (written(shown.body) if body else {}))
        return
    for name, value in facts.items():
        if name != "headers":
            click.echo(f"{name:<14}{'-' if value is None else value}")
    for name, value in shown.headers:
        click.echo(f"{'header':<14}{_plain(name)}: {_plain(value)}")
    if body:
        click.echo(f"\n{_plain(written(shown.body)['body'])}")


@command.command
@_filters
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--dry-run", is_flag=True, help="Only say how many would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_session
def purge(
    session: Session, /, everything: bool, dry_run: bool, yes: bool, as_json: bool, **given: Any
) -> None:
    """Delete stored answers; who asks the same again asks the provider. Leaves a row in the audit log.

    What is out of date goes by itself when room is needed, and with `llm-intercept cleanup`.

    \b
    llm-intercept cache purge --model 'gpt-4o*' --older-than 7d
    llm-intercept cache purge --project demo --yes
    llm-intercept cache purge --all --dry-run
    """
    which = _which(session, given)
    if everything == (which != Which()):
        options = "--project, --provider, --model, --key, --older-than or --expired"
        raise click.UsageError(f"say which: {options}; or --all by itself")
    cache = session.manage.cache
    number = cache.count(session.actor, which)
    if not (dry_run or yes or number == 0):
        click.confirm(f"Delete {_answers(number)}?", abort=True, err=True)
    deleted = number if dry_run else cache.purge(session.actor, which)
    if as_json:
        print_json({"dry_run": dry_run, "deleted": deleted})
    else:
        click.echo(f"{_answers(deleted)} would go." if dry_run else f"Deleted {_answers(deleted)}.")


def _which(session: Session, given: dict[str, Any]) -> Which:
    return asked(session.now, **given)


def _answers(number: int) -> str:
    return f"{number:,} stored answer{'' if number == 1 else 's'}"


def _line(entry: Entry) -> dict[str, Any]:
    return {**document(entry), "key": entry.key[:_SHORT]}


def _plain(text: str) -> str:
    """What a provider wrote, without what would move a terminal's cursor."""
    return _CONTROLS.sub("\ufffd", text.replace("\r\n", "\n"))


def _print_totals(found: Totals) -> None:
    """Bytes as they were said, and as they lie in the file."""
    facts = sums(found)
    rows = {
        "answers": count(found.entries),
        "out of date": count(found.expired),
        "bytes": f"{count(found.size)} ({count(found.stored)} compressed)",
        "hits": count(found.hits),
        "saved": dollars(found.saved_nanos),
        "oldest": moment(facts["oldest"] or "-"),
        "newest": moment(facts["newest"] or "-"),
    }
    for name, value in rows.items():
        click.echo(f"{name:<14}{value}")
