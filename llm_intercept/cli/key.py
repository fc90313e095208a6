"""`llm-intercept key`: provider keys go in and never come out."""

import sys
from typing import Any

import click
from pydantic import SecretStr

from llm_intercept.cli.output import json_option, moment, print_json, print_table, records
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import NotFound
from llm_intercept.store.credentials import Credential

name_option = click.option(
    "--name", default="default", show_default=True, help="Which of the provider's keys."
)


@click.group
def command() -> None:
    """Store the keys of providers, encrypted.

    A key can be added, disabled and removed, and is shown only as `sk-...last4`. Several keys of one
    provider share its calls by their weights; when one is refused or used up, the next takes its place.
    A pool is a name that targets of routes can ask for; a key without one belongs to every pool.
    """


@command.command
@click.argument("provider")
@click.option("--key-env", metavar="NAME", help="Take the key from this environment variable.")
@click.option("--key-stdin", is_flag=True, help="Read the key from standard input.")
@name_option
@click.option(
    "--base-url", metavar="URL", help="Use this key elsewhere: a regional endpoint, a relay, a local server."
)
@click.option("--weight", default=1, show_default=True, help="Its share beside the provider's other keys.")
@click.option("--pool", metavar="NAME", default="", help="The pool it belongs to.  [default: every pool]")
@json_option
@pass_session
def add(
    session: Session,
    provider: str,
    key_env: str | None,
    key_stdin: bool,
    name: str,
    base_url: str | None,
    weight: int,
    pool: str,
    as_json: bool,
) -> None:
    """Store a key for PROVIDER. Without an option it is asked for.

    \b
    llm-intercept key add openai --key-env OPENAI_API_KEY
    llm-intercept key add vertex --key-stdin < service-account.json
    echo "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" | llm-intercept key add bedrock --key-stdin
    llm-intercept key add azure --base-url https://NAME.openai.azure.com --key-env AZURE_OPENAI_API_KEY
    llm-intercept key add openai --name second --weight 3 --pool team --key-env SECOND_KEY
    """
    if key_env and key_stdin:
        raise click.UsageError("give either --key-env or --key-stdin")
    known = session.provider(provider)
    keyless = known.key_optional and base_url is not None and not (key_env or key_stdin)
    secret = SecretStr("") if keyless else _read(session, known.title, key_env, key_stdin)
    stored = session.manage.keys.create(
        session.actor, known.name, secret, name=name, base_url=base_url, weight=weight, pool=pool
    )
    if as_json:
        print_json(stored)
        return
    click.echo(f"Stored {stored.hint} for {known.title} as {stored.name!r}.")
    click.echo(f"Try it: llm-intercept provider test {known.name}")


def _read(session: Session, title: str, key_env: str | None, key_stdin: bool) -> SecretStr:
    if key_env:
        value = session.environ.get(key_env, "")
        if not value.strip():
            raise NotFound(f"the environment variable {key_env} is not set or empty")
        return SecretStr(value)
    if key_stdin:
        return SecretStr(sys.stdin.read())
    if not sys.stdin.isatty():
        raise click.UsageError("say where the key comes from: --key-env NAME or --key-stdin")
    return SecretStr(click.prompt(f"Key for {title}", hide_input=True))


@command.command("list")
@click.option("--provider", help="Only the keys of this provider.")
@json_option
@pass_session
def list_(session: Session, provider: str | None, as_json: bool) -> None:
    """The stored keys, in the order in which they are used."""
    found = session.control.credentials.list(session.provider(provider).name if provider else None)
    if as_json:
        print_json(found)
    elif not found:
        click.echo("No keys yet: llm-intercept key add openai --key-env OPENAI_API_KEY")
    else:
        print_table(_COLUMNS, map(_row, records(found)), {"created_at": moment})


def _row(record: dict[str, object]) -> dict[str, object]:
    return record | {"enabled": "yes" if record["enabled"] else "no", "pool": record["pool"] or "every"}


_COLUMNS = {
    "provider": "provider",
    "name": "name",
    "hint": "key",
    "enabled": "enabled",
    "weight": "weight",
    "pool": "pool",
    "base_url": "base URL",
    "created_at": "stored",
}


@command.command("set")
@click.argument("provider")
@name_option
@click.option("--weight", type=int, help="Its share beside the provider's other keys.")
@click.option("--pool", metavar="NAME", help="The pool it belongs to; '' for every pool.")
@click.option("--key-env", metavar="NAME", help="Replace the key by the one in this environment variable.")
@click.option("--key-stdin", is_flag=True, help="Replace the key by one read from standard input.")
@click.option(
    "--base-url", metavar="URL", help="Where the new key is used; '' for the provider's own address."
)
@json_option
@pass_session
def set_(
    session: Session,
    /,
    provider: str,
    name: str,
    key_env: str | None,
    key_stdin: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Change a key's weight or pool, or replace the key itself, from the next call on.

    A base URL can be changed together with the key only.

    \b
    llm-intercept key set openai --name second --weight 3
    llm-intercept key set anthropic --pool team
    llm-intercept key set openai --key-env NEW_OPENAI_KEY
    """
    if key_env and key_stdin:
        raise click.UsageError("give either --key-env or --key-stdin")
    new = bool(key_env or key_stdin)
    if not new and all(value is None for value in given.values()):
        raise click.UsageError(
            "say what to change: --weight or --pool, or the key by --key-env or --key-stdin"
        )
    known = session.provider(provider)
    secret = _read(session, known.title, key_env, key_stdin) if new else None
    changed = session.manage.keys.change(session.actor, known.name, name, secret=secret, **given)
    if as_json:
        print_json(changed)
    else:
        click.echo(f"{changed.hint}: weight {changed.weight}, {_pool(changed)}.")


def _pool(credential: Credential) -> str:
    return f"in the pool {credential.pool!r}" if credential.pool else "in every pool"


@command.command
@click.argument("provider")
@name_option
@pass_session
def remove(session: Session, provider: str, name: str) -> None:
    """Delete a key for good."""
    _say("Removed", session.manage.keys.delete(session.actor, provider, name))


@command.command
@click.argument("provider")
@name_option
@pass_session
def disable(session: Session, provider: str, name: str) -> None:
    """Keep a key but do not use it, from the next call on."""
    _say("Disabled", session.manage.keys.disable(session.actor, provider, name))


@command.command
@click.argument("provider")
@name_option
@pass_session
def enable(session: Session, provider: str, name: str) -> None:
    """Use a disabled key again."""
    _say("Enabled", session.manage.keys.enable(session.actor, provider, name))


def _say(what: str, credential: Credential) -> None:
    click.echo(f"{what} {credential.hint} of {credential.provider} ({credential.name}).")
