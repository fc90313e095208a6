"""`llm-intercept listener`: named listeners, which the running proxy starts and stops."""

import time
from typing import Any
from urllib.parse import urlsplit

import click

from llm_intercept import presence
from llm_intercept.cli import listener_output as output
from llm_intercept.cli.output import json_option
from llm_intercept.cli.ports import is_free
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import Conflict
from llm_intercept.policy import listeners as rules
from llm_intercept.store.listeners import Listener

ANSWER_SECONDS = 8.0
_LOOK_SECONDS = 0.05
_AS_SET = "default"


@click.group
def command() -> None:
    """Listen on more ports, each with defaults of its own.

    \b
    llm-intercept listener create team-a --project team-a --start
    llm-intercept listener create groq --port 8101 --provider groq --start
    llm-intercept listener show groq
    llm-intercept listener set groq --cache on

    Listeners belong to the running proxy and are started and stopped without a restart. Those that run
    are started again with the next proxy.
    """


@command.command
@click.argument("name")
@click.option("--port", type=int, help="Port to listen on.  [default: the first that is free from 8001 on]")
@click.option("--mode", default="regular", show_default=True, help=f"One of {rules.FORMS}.")
@click.option("--provider", default="", help="For calls whose path names no provider.")
@click.option("--project", default="", help="For calls without a project token.")
@click.option(
    "--auth", type=click.Choice(["open", "required"]), help="Whether calls need a token.  [default: as set]"
)
@click.option(
    "--cache",
    type=click.Choice(["off", "opt-in", "on"]),
    help="Which answers are stored: none, those of calls that ask for it, all.  [default: as set]",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Off loopback every call needs a project token."
)
@click.option("--start", is_flag=True, help="Start it as well.")
@json_option
@pass_session
def create(
    session: Session,
    name: str,
    port: int | None,
    mode: str,
    provider: str,
    project: str,
    auth: str | None,
    cache: str | None,
    host: str,
    start: bool,
    as_json: bool,
) -> None:
    """Make a listener.

    \b
    llm-intercept listener create team-a --project team-a --start
    llm-intercept listener create openai --mode reverse:https://api.openai.com --start
    llm-intercept listener create office --mode upstream:http://proxy.example:3128
    llm-intercept listener create curl --mode local:curl
    """
    parsed = rules.parse(mode)
    listener = session.manage.listeners.create(
        session.actor,
        name,
        is_free=lambda number: is_free(host, number, udp=parsed.transport == "udp"),
        reserved=_reserved(session),
        port=port,
        mode=mode,
        host=host,
        provider=provider,
        project=project,
        auth=auth or "",
        cache=cache or "",
    )
    if start:
        _start(session, listener.name, as_json)
    elif as_json:
        output.as_json(session, listener)
    else:
        click.echo(f"Created the listener {listener.name} on {output.address(listener)}.")
        click.echo(f"Next: llm-intercept listener start {listener.name}")


@command.command("set")
@click.argument("name")
@click.option("--provider", help='For calls whose path names no provider; "" for none.')
@click.option("--project", help='For calls without a project token; "" for none.')
@click.option("--auth", type=click.Choice(["open", "required", _AS_SET]), help="Whether calls need a token.")
@click.option(
    "--cache", type=click.Choice(["off", "opt-in", "on", _AS_SET]), help="Which answers are stored."
)
@click.option("--name", "new_name", metavar="NAME", help="Another name; what is simulated for it goes along.")
@click.option("--port", type=int, help="Another port.")
@click.option("--mode", help=f"Another mode: {rules.FORMS}.")
@click.option("--host", help="Another address to listen on.")
@json_option
@pass_session
def set_(session: Session, /, name: str, as_json: bool, **given: Any) -> None:
    """Change a listener. Its defaults count from the next call on, also while it is running.

    Its name, port, mode and host can be changed only while it is stopped.

    \b
    llm-intercept listener set groq --cache on --project team-a
    llm-intercept listener set groq --auth default --project ''
    """
    if all(value is None for value in given.values()):
        raise click.UsageError(
            "say what to change: --provider, --project, --auth, --cache, --name, --port, ..."
        )
    listener = session.manage.listeners.change(
        session.actor,
        name,
        is_free_at=lambda host, port, udp: is_free(host, port, udp=udp),
        reserved=_reserved(session),
        **{
            key: "" if value == _AS_SET and key in ("auth", "cache") else value
            for key, value in given.items()
        },
    )
    if as_json:
        output.as_json(session, listener)
    else:
        output.table(session, [listener])


@command.command("start")
@click.argument("name")
@json_option
@pass_session
def start_(session: Session, name: str, as_json: bool) -> None:
    """Start a listener: now, or with the next proxy where none is running."""
    _start(session, name, as_json)


@command.command
@click.argument("name")
@json_option
@pass_session
def stop(session: Session, name: str, as_json: bool) -> None:
    """Stop a listener; calls that are under way go on to their end."""
    alive = presence.find(session.home.path) is not None
    listener = session.manage.listeners.stop(session.actor, name, alive=alive)
    if alive:
        listener = _answered(session, listener, "stopped")
    if listener.state == "running":
        raise Conflict(f"the proxy has not stopped {listener.name} within {ANSWER_SECONDS:g} seconds")
    if as_json:
        output.as_json(session, listener)
    else:
        click.echo(f"Stopped the listener {listener.name}.")


@command.command
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_session
def delete(session: Session, name: str, yes: bool, as_json: bool) -> None:
    """Delete a listener that is stopped."""
    listener = session.control.listeners.get(name)
    if not (yes or listener.running):
        click.confirm(f"Delete the listener {listener.name} on {output.address(listener)}?", abort=True)
    session.manage.listeners.delete(session.actor, listener.name)
    if as_json:
        output.as_json(session, listener)
    else:
        click.echo(f"Deleted the listener {listener.name}.")


@command.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """All listeners with their state and defaults."""
    found = session.control.listeners.list()
    if as_json:
        output.all_as_json(session, found)
    elif not found:
        click.echo("No listeners yet: llm-intercept listener create NAME --project PROJECT --start")
    else:
        output.table(session, found)


@command.command
@click.argument("name")
@json_option
@pass_session
def show(session: Session, name: str, as_json: bool) -> None:
    """One listener, and how to point a client at it."""
    listener = session.control.listeners.get(name)
    if as_json:
        output.as_json(session, listener)
        return
    output.table(session, [listener])
    if listener.problem:
        click.echo(f"\nIt could not be started: {listener.problem}")
    click.echo(f"\n{output.how_to_connect(session, listener)}")


def _start(session: Session, name: str, as_json: bool) -> None:
    listener = session.manage.listeners.start(session.actor, name)
    alive = presence.find(session.home.path) is not None
    if alive:
        listener = _answered(session, listener, "running")
    if listener.state == "error":
        raise Conflict(f"{listener.name} could not be started: {listener.problem}")
    if as_json:
        output.as_json(session, listener)
    elif listener.state == "running" and alive:
        click.echo(f"The listener {listener.name} is running on {output.address(listener)}.")
        click.echo(f"How to connect: llm-intercept listener show {listener.name}")
    elif alive:
        click.echo(f"The proxy has not answered yet; see llm-intercept listener show {listener.name}")
    else:
        click.echo(f"No proxy is running: {listener.name} starts with the next one (llm-intercept up).")


def _answered(session: Session, listener: Listener, wanted: str) -> Listener:
    """As the proxy reports it, once it has; as it stands after a few seconds otherwise."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while listener.state not in (wanted, "error") and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        listener = session.control.listeners.get(listener.name)
    return listener


def _reserved(session: Session) -> dict[int, str]:
    settings = session.settings
    ports = {settings.dashboard.port: "the dashboard", settings.port: "the proxy itself"}
    actual = urlsplit(session.proxy_url).port
    return ports | ({actual: "the proxy itself"} if actual else {})
