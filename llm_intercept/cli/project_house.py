"""`llm-intercept project export` and `project delete`; the other commands are in `project.py`."""

from dataclasses import asdict
from pathlib import Path

import click

from llm_intercept.cli.house import progress, record
from llm_intercept.cli.output import count, json_option, print_json
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.manage.projects import thing_of
from llm_intercept.manage.removal import Books, Removal
from llm_intercept.tools import project_archive


@click.command
@click.argument("name")
@click.argument("target", metavar="FILE.tar|FOLDER", type=click.Path(path_type=Path))
@json_option
@pass_session
def export(session: Session, name: str, target: Path, as_json: bool) -> None:
    """Write everything of a project into an archive.

    The project with its members, tokens (without their texts), limits, the routes that name it, its calls
    with their tries, sums, and what was captured of them; each as JSON, with a manifest.

    \b
    llm-intercept project export demo demo.tar.gz
    """
    project = session.manage.projects.get(session.actor, name)
    done = project_archive.export(
        session.control, _removal(session), session.home, project, target, session.now
    )
    record(session, "project.export", thing_of(project), done.counts)
    if as_json:
        print_json(asdict(done))
    else:
        calls, bodies = done.counts["requests"], done.counts["bodies"]
        click.echo(f"{done.path}: {count(calls)} calls, {count(bodies)} captured bodies.")


@click.command
@click.argument("name")
@click.option("--everything", is_flag=True, help="With tokens, members, limits and captured bodies.")
@click.option(
    "--with-calls", is_flag=True, help="Delete its calls and sums too, instead of the names in them."
)
@click.option("--confirm", metavar="NAME", help="The project's name again, where nobody can be asked.")
@json_option
@pass_session
def delete(
    session: Session, name: str, everything: bool, with_calls: bool, confirm: str | None, as_json: bool
) -> None:
    """Delete a project for good. `project set NAME --inactive` only switches it off.

    Its calls stay in the books without a name: project, token, user, address and session are taken out of
    them; what was captured is deleted, as are stored answers. The audit log keeps what was done, and by whom.

    \b
    llm-intercept project export demo demo.tar.gz
    llm-intercept project delete demo --everything
    llm-intercept project delete demo --everything --with-calls --confirm demo
    """
    if not everything:
        raise click.UsageError(
            "this deletes tokens, members, limits and captured bodies: say --everything, or switch "
            f"the project off with `llm-intercept project set {name} --inactive`"
        )
    removal = _removal(session)
    project = removal.check(session.actor, name)
    answer = confirm or click.prompt(f"Type the name of the project to delete it ({project.name})", err=True)
    if answer != project.name:
        raise click.UsageError("that is not its name; nothing was deleted")
    done = removal.delete(
        session.actor, project.name, with_calls=with_calls, progress=lambda n: progress(f"{n:,} calls")
    )
    if as_json:
        print_json(asdict(done))
    else:
        fate = "deleted" if with_calls else "made anonymous"
        click.echo(f"Deleted {done.project} with {done.tokens} tokens; {count(done.calls)} calls {fate}.")


def _removal(session: Session) -> Removal:
    return Removal(session.manage.desk, Books.of(session.home))
