"""`llm-intercept provider`: where traffic may go, and whether the stored key opens the door."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import click
from pydantic import SecretStr

from llm_intercept.cli.output import json_option, print_json, print_table
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import InterceptError, NotFound
from llm_intercept.keytest import KeyTest, run_test
from llm_intercept.providers.base import Provider
from llm_intercept.store.credentials import StoredCredential


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
    registry = session.registry
    rows = [
        _row(provider, registry.base_url(provider), keys.get(name))
        for name, provider in sorted(registry.providers.items())
    ]
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


def _row(provider: Provider, set_url: str | None, hint: str | None) -> dict[str, object]:
    return {
        "name": provider.name,
        "title": provider.title,
        "dialect": provider.dialect,
        "base_url": set_url or provider.base_url,
        "hosts": list(provider.hosts),
        "env": provider.env,
        "key": hint,
        "key_optional": provider.key_optional,
    }


_of_which_key = (
    click.option(
        "--name", "key", default="", metavar="NAME", help="Which of its keys.  [default: that in use]"
    ),
    click.option("--key-env", metavar="NAME", help="A key that is not stored, from this variable."),
    click.option("--base-url", metavar="URL", help="Where that key is for, if not at the provider itself."),
)


def _key_options[F: Callable[..., Any]](function: F) -> F:
    for option in reversed(_of_which_key):
        function = option(function)
    return function


@command.command
@click.argument("name", metavar="PROVIDER")
@_key_options
@json_option
@pass_session
def test(session: Session, /, name: str, as_json: bool, **which: str | None) -> None:
    """Ask PROVIDER for its list of models with a stored key, or one that is not stored. Costs nothing.

    \b
    llm-intercept provider test openai
    llm-intercept provider test openai --name second
    llm-intercept provider test openai --key-env NEW_KEY --base-url https://relay.example.com/v1
    """
    _report(_asked(session, name, which), as_json)


@command.command
@click.argument("name", metavar="PROVIDER")
@_key_options
@json_option
@pass_session
def models(session: Session, /, name: str, as_json: bool, **which: str | None) -> None:
    """Print the models that PROVIDER lists for a key.

    \b
    llm-intercept provider models openai
    llm-intercept provider models ollama --base-url http://gpu-box:11434
    """
    found = _asked(session, name, which)
    if not found.ok:
        raise InterceptError(found.sentence)
    if as_json:
        print_json({"provider": found.provider, "models": list(found.models)})
    else:
        click.echo("\n".join(found.models) or f"{found.provider} lists no models.")


def _asked(session: Session, name: str, which: Mapping[str, str | None]) -> KeyTest:
    provider = session.provider(name)
    credential = _credential(session, provider, which)
    return asyncio.run(
        run_test(session.registry, provider, credential, session.settings, session.home, session.now)
    )


def _credential(
    session: Session, provider: Provider, which: Mapping[str, str | None]
) -> StoredCredential | None:
    if which["key_env"] or which["base_url"]:
        if which["key"]:
            raise click.UsageError("--name is for a stored key, --key-env and --base-url for another one")
        value = session.environ.get(which["key_env"] or "", "")
        if which["key_env"] and not value.strip():
            raise NotFound(f"the environment variable {which['key_env']} is not set or empty")
        return StoredCredential(provider.name, "unsaved", SecretStr(value), which["base_url"])
    if which["key"]:
        return session.control.credentials.opened(provider.name, which["key"])
    found = session.control.credential(provider.name)
    if found is None and not provider.key_optional:
        raise NotFound(
            f"there is no key for {provider.name}; `llm-intercept key add {provider.name}` stores one"
        )
    return found


def _report(found: KeyTest, as_json: bool) -> None:
    if as_json:
        print_json(asdict(found))
        if not found.ok:
            click.get_current_context().exit(1)
    elif found.ok:
        click.echo(found.sentence)
    else:
        raise InterceptError(found.sentence)
