"""`llm-intercept record`: as `run`, and everything that goes to providers is written into a cassette."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from llm_intercept import environment
from llm_intercept.cassette.format import Cassette, read
from llm_intercept.cli.cassette_proxy import Job, free_port, running, stopping
from llm_intercept.cli.clients import key_variables
from llm_intercept.cli.output import count
from llm_intercept.cli.ports import claim
from llm_intercept.cli.run import bill, identity, settled, supervise
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import Conflict, NotFound


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--project", help="The project that the calls belong to.  [default: default]")
@click.option("--force", is_flag=True, help="Replace a cassette that exists.")
@click.option("--no-websockets", is_flag=True, help="Refuse WebSockets, so that clients use plain calls.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the proxy.  [default: a free one]")
@click.option("--serve", is_flag=True, help="Without CMD: print the variables, and record until Ctrl-C.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("program", metavar="[CMD]...", nargs=-1, type=click.UNPROCESSED)
@pass_session
@click.pass_context
def command(
    ctx: click.Context,
    session: Session,
    project: str | None,
    force: bool,
    no_websockets: bool,
    port: int | None,
    serve: bool,
    file: Path,
    program: tuple[str, ...],
) -> None:
    """Run a program and record its LLM calls into a cassette.

    \b
    llm-intercept record session.cassette -- claude -p 'hi'
    llm-intercept record --force tests/agent.cassette.gz -- python agent.py
    llm-intercept replay session.cassette -- claude -p 'hi'

    The calls are real, and are in the books as those of `run`. The cassette has every request and
    answer with its pace, and no key or token; the name decides whether it is gzip (.gz). The
    program's exit code is returned.
    """
    words = words_of(program, serve)
    path = file.absolute()
    if path.exists() and not force:
        raise Conflict(f"{file} exists already; choose another name, or replace it with --force")
    if not path.parent.is_dir():
        raise NotFound(f"there is no folder {path.parent} to write {path.name} into")
    job = Job(mode="record", file=path, port=own_port(port), replace=force, sockets=not no_websockets)
    started = session.now_us
    with identity(session, project, None) as who:
        with running(job.model_copy(update={"mark": who.mark}), session.environ) as url:
            names = key_variables(session)
            values = environment.variables(
                url, str(session.bundle()), session.environ, token=who.token, key_variables=names
            )
            code = use(words, session.environ, values)
        click.echo(_summary(file, read(path)), err=True)
        if who.name:
            click.echo(bill(settled(session, started, who)), err=True)
    ctx.exit(code)


def words_of(program: Sequence[str], serve: bool) -> Sequence[str]:
    """The program's own command line; none with --serve."""
    words = program[1:] if program[:1] == ("--",) else program
    if bool(words) == serve:
        raise click.UsageError("give either a program to run, or --serve")
    return words


def own_port(port: int | None) -> int:
    if port is None:
        return free_port()
    claim("127.0.0.1", port, "--port")
    return port


def use(words: Sequence[str], environ: Mapping[str, str], values: Mapping[str, str]) -> int:
    """Runs the program with these variables, or prints them and waits; the exit code."""
    if words:
        return supervise(words, {**environ, **values})
    with stopping() as stopped:
        click.echo(environment.render(values, "sh"))
        stopped.wait()
    return 0


def _summary(file: Path, cassette: Cassette) -> str:
    calls = len(cassette.calls)
    lines = [f"llm-intercept: {count(calls)} call{'' if calls == 1 else 's'} in {file}"]
    noted = [call for call in cassette.calls if call.answer is None]
    lines += [f"  call {call.number} cannot be replayed: {call.request.title}: {call.note}" for call in noted]
    return "\n".join(lines)
