"""`llm-intercept replay`: a program's LLM calls are answered from a cassette, offline."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import click

from llm_intercept import environment
from llm_intercept.cassette.format import Cassette, read
from llm_intercept.cassette.player import Report, read_report
from llm_intercept.cli.cassette_proxy import Job, running
from llm_intercept.cli.output import count
from llm_intercept.cli.record import own_port, use, words_of
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.config import PREFIX
from llm_intercept.home import HOME_VARIABLE

PLACEHOLDER = "replayed-from-a-cassette"
_SHOWN = 10


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--pace",
    type=click.Choice(("fast", "original")),
    default="fast",
    show_default=True,
    help="As fast as possible, or with the recorded pauses.",
)
@click.option(
    "--ignore",
    metavar="FIELD",
    multiple=True,
    help="A field of JSON bodies that may differ: metadata.user_id, messages.*.id. May be repeated.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the proxy.  [default: a free one]")
@click.option("--serve", is_flag=True, help="Without CMD: print the variables, and answer until Ctrl-C.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("program", metavar="[CMD]...", nargs=-1, type=click.UNPROCESSED)
@pass_session
@click.pass_context
def command(
    ctx: click.Context,
    session: Session,
    pace: str,
    ignore: tuple[str, ...],
    port: int | None,
    serve: bool,
    file: Path,
    program: tuple[str, ...],
) -> None:
    """Answer a program's LLM calls from a cassette, without any provider.

    \b
    llm-intercept replay session.cassette -- claude -p 'hi'
    llm-intercept replay --ignore metadata --pace original session.cassette -- python agent.py
    llm-intercept replay --serve --port 8099 session.cassette

    A call is found by its method, host, path and body; equal calls are answered in their order. The
    first one that is not in the cassette is shown at the end, with how it differs from what is
    nearest to it, and the exit code is 1; else it is the program's. Nothing is written into the books.
    """
    words = words_of(program, serve)
    cassette = read(file)
    with tempfile.TemporaryDirectory(prefix="llm-intercept-") as folder:
        report = Path(folder) / "report.json"
        details = {"pace": pace, "ignore": ignore, "report": report}
        job = Job.model_validate(
            {"mode": "replay", "file": file.absolute(), "port": own_port(port), **details}
        )
        with running(job, _scratch(session, Path(folder))) as url:
            code = use(words, session.environ, _variables(session, cassette, url))
        found = read_report(report)
    click.echo(_summary(file, found), err=True)
    ctx.exit(1 if found.missed else code)


def _scratch(session: Session, folder: Path) -> Mapping[str, str]:
    """An environment with a home of its own: the certificates and providers are ours, the books are not."""
    session.authority()
    (folder / "certs").symlink_to(session.home.certs.absolute(), target_is_directory=True)
    environ = {name: value for name, value in session.environ.items() if not name.startswith(PREFIX)}
    providers = {
        name: settings.model_dump(mode="json", exclude_unset=True)
        for name, settings in session.settings.providers.items()
    }
    if providers:
        environ[f"{PREFIX}PROVIDERS"] = json.dumps(providers)
    return environ | {HOME_VARIABLE: str(folder)}


def _variables(session: Session, cassette: Cassette, url: str) -> dict[str, str]:
    """As for `run`; a client that has no key gets something in its place."""
    known = session.registry.providers
    names = {known[call.provider].env for call in cassette.calls if call.provider in known}
    values = environment.variables(
        url,
        str(session.bundle()),
        session.environ,
        token=PLACEHOLDER,
        key_variables=sorted(name for name in names if name),
    )
    return values | dict.fromkeys(environment.PROXY, url)


def _summary(file: Path, report: Report) -> str:
    plural = "" if report.answered == 1 else "s"
    lines = [f"llm-intercept: {count(report.answered)} call{plural} answered from {file}"]
    if report.left:
        lines.append(f"  {count(len(report.left))} of the cassette were not asked for:")
        lines += [f"    {title}" for title in report.left[:_SHOWN]]
    if report.missed:
        lines += [f"Error: {count(report.missed)} not found in it; the first:", "", report.first]
    return "\n".join(lines)
