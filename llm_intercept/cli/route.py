"""`llm-intercept route`: where calls may go. The longer commands have modules of their own."""

import click

from llm_intercept.cli import route_words
from llm_intercept.cli.output import json_option, print_json
from llm_intercept.cli.route_breakers import show_breakers
from llm_intercept.cli.route_explain import explain
from llm_intercept.cli.route_set import set_route
from llm_intercept.cli.route_try import test_route
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.store.routes import StoredRoute


@click.group
def command() -> None:
    """Say where calls may go: targets, their order, and what happens when one fails.

    The routes are asked in order; the first that is for a call decides. Calls that no route takes go
    where they were sent, with all keys of that provider.

    \b
    llm-intercept route set safe --model 'claude-*' --to anthropic/ --to gemini/gemini-2.5-pro
    llm-intercept route explain claude-sonnet-4-5 --project demo
    llm-intercept route test safe
    """


command.add_command(set_route)
command.add_command(explain)
command.add_command(test_route)
command.add_command(show_breakers)


@command.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """All routes, in the order in which they are asked."""
    found = session.control.routes.list()
    if as_json:
        print_json([route_words.record(stored) for stored in found])
    elif not found:
        click.echo("No routes yet: llm-intercept route set NAME --to PROVIDER/MODEL")
    else:
        route_words.table(found)


@command.command
@click.argument("name")
@json_option
@pass_session
def show(session: Session, name: str, as_json: bool) -> None:
    """One route. The member `route` of its JSON is what `route set --from` takes."""
    _print(session.control.routes.get(name), as_json)


@command.command
@click.argument("name")
@json_option
@pass_session
def remove(session: Session, name: str, as_json: bool) -> None:
    """Delete a route for good; from the next call on."""
    removed = session.manage.routes.delete(session.actor, name)
    if as_json:
        print_json(route_words.record(removed))
    else:
        click.echo(f"Removed the route {removed.name}.")


@command.command
@click.argument("name")
@json_option
@pass_session
def enable(session: Session, name: str, as_json: bool) -> None:
    """Ask a disabled route again, from the next call on."""
    _print(session.manage.routes.enable(session.actor, name), as_json)


@command.command
@click.argument("name")
@json_option
@pass_session
def disable(session: Session, name: str, as_json: bool) -> None:
    """Keep a route but do not ask it, from the next call on."""
    _print(session.manage.routes.disable(session.actor, name), as_json)


@command.command
@click.argument("name")
@click.argument("position", type=int)
@json_option
@pass_session
def move(session: Session, name: str, position: int, as_json: bool) -> None:
    """Ask the route NAME at another place; the first is 1."""
    _print(session.manage.routes.move(session.actor, name, position), as_json)


def _print(stored: StoredRoute, as_json: bool) -> None:
    if as_json:
        print_json(route_words.record(stored))
    else:
        route_words.describe(stored)
