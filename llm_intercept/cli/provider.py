"""`llm-intercept provider`: where traffic may go, and whether the stored key opens the door."""

import asyncio
from dataclasses import asdict

import click

from llm_intercept.cli.output import json_option, print_json, print_table
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import InterceptError, NotFound
from llm_intercept.keytest import KeyTest, run_test
from llm_intercept.providers.base import Provider


@click.group
def command() -> None:
    """List the providers, and try their keys.

    Providers are built in or written into config.toml:

    \b
    [providers.relay]
    dialect = "openai"
    base_url = "https://llm.example.com/v1"
    """


@command.command("list")
@click.option("--with-key", is_flag=True, help="Only those with a stored key, and those that need none.")
@json_option
@pass_session
def list_(session: Session, with_key: bool, as_json: bool) -> None:
    """The providers, where their traffic goes and which of them have a key."""
    keys = {c.provider: c.hint for c in reversed(session.control.credentials.list()) if c.enabled}
    rows = [_row(provider, keys.get(name)) for name, provider in sorted(session.registry.providers.items())]
    if with_key:
        rows = [row for row in rows if row["key"] or row["key_optional"]]
    if as_json:
        print_json(rows)
        return
    print_table(
        {
            "name": "provider",
            "title": "title",
            "dialect": "dialect",
            "base_url": "base URL",
            "env": "variable",
            "key": "key",
        },
        [{**row, "key": row["key"] or ("needs none" if row["key_optional"] else None)} for row in rows],
    )


def _row(provider: Provider, hint: str | None) -> dict[str, object]:
    return {
        "name": provider.name,
        "title": provider.title,
        "dialect": provider.dialect,
        "base_url": provider.base_url,
        "hosts": list(provider.hosts),
        "env": provider.env,
        "key": hint,
        "key_optional": provider.key_optional,
    }


@command.command
@click.argument("name", metavar="PROVIDER")
@json_option
@pass_session
def test(session: Session, name: str, as_json: bool) -> None:
    """Ask PROVIDER for its list of models with the stored key. Costs nothing."""
    provider = session.provider(name)
    credential = session.control.credential(provider.name)
    if credential is None and not provider.key_optional:
        raise NotFound(
            f"there is no key for {provider.name}; `llm-intercept key add {provider.name}` stores one"
        )
    found = asyncio.run(
        run_test(session.registry, provider, credential, session.settings, session.home, session.now)
    )
    _report(found, as_json)


def _report(found: KeyTest, as_json: bool) -> None:
    if as_json:
        print_json(asdict(found))
        if not found.ok:
            click.get_current_context().exit(1)
    elif found.ok:
        click.echo(found.sentence)
    else:
        raise InterceptError(found.sentence)
