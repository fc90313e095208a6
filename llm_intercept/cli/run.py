"""`llm-intercept run`: a program with everything set, and its bill."""

import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType

import click

from llm_intercept import environment
from llm_intercept.cli.clients import key_variables, require_ready
from llm_intercept.cli.output import count, dollars
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.policy.tokens import Valid, brought_by
from llm_intercept.store import report_runs, reports
from llm_intercept.store.projects import DEFAULT_PROJECT

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # what a shell returns
# A run token that was not revoked, because the machine went down, ends by itself.
RUN_TOKEN_LIFETIME = timedelta(days=7)
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_SETTLE_SECONDS, _SETTLE_ROUNDS = 0.2, 10


@dataclass(frozen=True, slots=True)
class Identity:
    """The token that a run's calls carry, and its name; none where its calls are not in our books."""

    token: str
    project: str = ""
    name: str = ""

    @property
    def mark(self) -> str:
        """What is on the rows of calls that have a token of their own."""
        return brought_by(self.project, self.name) if self.name else ""


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--project", help="The project that the calls belong to.  [default: default]")
@click.option("--token", metavar="TOKEN", help="Use this token instead of one made for this run.")
@click.option("--proxy", metavar="URL", help="A proxy elsewhere.  [default: the one of the settings]")
@click.option("--quiet", is_flag=True, help="Do not print the bill.")
@click.argument("program", metavar="CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_session
@click.pass_context
def command(
    ctx: click.Context,
    session: Session,
    project: str | None,
    token: str | None,
    proxy: str | None,
    quiet: bool,
    program: tuple[str, ...],
) -> None:
    """Run a program whose LLM calls go through the proxy; prints the bill.

    \b
    llm-intercept run -- claude -p 'hi'
    llm-intercept run --project demo -- python agent.py

    The program is not changed: it gets the variables for proxy and certificates. All its calls are
    attributed to a token made for this run and revoked at its end. Where the program has a key of its
    own, that key is used; where it has none and we have one stored, ours is. Its exit code is returned.
    """
    if project and token:
        raise click.UsageError("a token belongs to a project already: give either --project or --token")
    url = proxy or session.proxy_url
    require_ready(url)
    started = session.now_us
    with identity(session, project, token) as who:
        values = environment.variables(
            url,
            str(session.bundle()),
            session.environ,
            token=who.token,
            key_variables=key_variables(session),
        )
        code = supervise(program, {**session.environ, **values})
        if not quiet and who.name:
            click.echo(bill(settled(session, started, who)), err=True)
    ctx.exit(code)


@contextmanager
def identity(session: Session, project: str | None, token: str | None) -> Iterator[Identity]:
    if token:
        yield _given(session, token)
        return
    name = f"run-{secrets.token_hex(4)}"
    tokens, actor = session.manage.tokens, session.actor
    lifetime = session.control.tokens.lifetimes.within(RUN_TOKEN_LIFETIME)
    made = tokens.create(actor, project or DEFAULT_PROJECT, name, lifetime=lifetime)
    try:
        yield Identity(made.text, made.token.project, name)
    finally:
        tokens.revoke(actor, made.token.id)


def _given(session: Session, token: str) -> Identity:
    state = session.control.token(token, session.now)
    if not isinstance(state, Valid):
        return Identity(token)  # a token of another proxy: its calls are in that one's books
    return Identity(token, state.principal.project, state.principal.token)


def supervise(program: Sequence[str], environ: Mapping[str, str]) -> int:
    """Its exit code, as a shell gives it. A terminal's Ctrl-C reaches the program by itself; we wait."""
    with _forwarding() as started:
        try:
            process = subprocess.Popen(program, env=dict(environ))
        except FileNotFoundError:
            click.echo(f"Error: there is no program {program[0]}", err=True)
            return NOT_FOUND
        except OSError as error:
            click.echo(f"Error: {program[0]} cannot be started: {error.strerror}", err=True)
            return NOT_EXECUTABLE
        started(process)
        code = process.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def _forwarding() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Sends our signals on to the program. In place before it starts: it may be ready before we are."""
    running: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        if running:
            running[0].send_signal(number)
        else:
            early.append(number)

    def started(process: subprocess.Popen[bytes]) -> None:
        running.append(process)
        for number in early:
            process.send_signal(number)

    # A handler, not SIG_IGN: what is ignored stays ignored in the program.
    wait = {signal.SIGINT: signal.signal(signal.SIGINT, lambda number, frame: None)}
    before = wait | {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield started
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def settled(session: Session, started: int, who: Identity) -> reports.Summary:
    """The totals, once two readings agree: rows are written a moment after their calls."""
    found: reports.Summary | None = None
    for _ in range(_SETTLE_ROUNDS):
        time.sleep(_SETTLE_SECONDS)
        latest = report_runs.taken(session.usage, started, who.project, who.name)
        if latest == found:
            break
        found = latest
    return found or reports.Summary()


def bill(found: reports.Summary) -> str:
    """One line: calls, tokens, cost, errors."""
    hits = f" ({count(found.cache_hits)} out of the cache)" if found.cache_hits else ""
    parts = [
        _plural(found.requests, "call") + hits,
        f"{count(found.input_tokens)} tokens in, {count(found.output_tokens)} out",
        dollars(found.cost_nanos) + (f" ({found.unpriced} unpriced)" if found.unpriced else ""),
    ]
    if found.errors:
        parts.append(_plural(found.errors, "error"))
    return "llm-intercept: " + " · ".join(parts)


def _plural(number: int, noun: str) -> str:
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"
