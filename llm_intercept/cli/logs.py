"""`llm-intercept logs`: reads the JSONL files of `llm_intercept/logs.py`, rotated ones included."""

import time
from collections import deque
from pathlib import Path
from typing import Any, TextIO

import click

from llm_intercept import logsearch
from llm_intercept.cli.output import dollars, milliseconds
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.logsearch import LEVELS, Kind, Line, Search, log_files, parsed, stamp
from llm_intercept.store.report_time import parse_when

_POLL_SECONDS = 0.25

json_option = click.option("--json", "as_json", is_flag=True, help="Print the lines as they are.")
kind_option = click.option(
    "--kind",
    type=click.Choice(["requests", "events", "audit"]),
    help="Only one line for each call, only events, or only the audit log.",
)


@click.group
def command() -> None:
    """Follow and search the structured logs.

    \b
    llm-intercept logs tail -f
    llm-intercept logs search timeout --since 24h --level warning
    """


@command.command
@click.option("-n", "--lines", default=20, show_default=True, type=click.IntRange(0), help="How many.")
@click.option("-f", "--follow", is_flag=True, help="Go on as lines are written.")
@kind_option
@json_option
@pass_session
def tail(session: Session, lines: int, follow: bool, kind: str | None, as_json: bool) -> None:
    """The last lines."""
    folder = session.home.logs
    files = {base: paths[-1] for base, paths in log_files(folder, kind).items()}
    ends = {path: _end(path) for path in files.values()}
    last = [
        line for paths in log_files(folder, kind).values() for line in deque(logsearch.lines(paths), lines)
    ]
    for line in sorted(last, key=lambda item: item[0])[-lines:] if lines else []:
        _print(line, as_json)
    if follow:
        _follow(folder, kind, ends, as_json)


@command.command
@click.argument("text")
@click.option("--level", type=click.Choice(LEVELS), help="Only events of at least this level.")
@click.option("--since", default="", metavar="WHEN", help="From: 7d, 24h, today, 2026-11-01.")
@click.option("--until", default="", metavar="WHEN", help="To, in the same words.")
@kind_option
@json_option
@pass_session
def search(
    session: Session, text: str, level: str | None, since: str, until: str, kind: Kind | None, as_json: bool
) -> None:
    """The lines in which TEXT occurs, upper or lower case, oldest first."""
    start = parse_when(since, session.now_us) / 1e6 if since else 0.0
    end = parse_when(until, session.now_us, end=True) / 1e6 if until else float("inf")
    found = logsearch.search(session.home.logs, Search(text, kind, level, start, end))
    for line in found:
        _print(line, as_json)
    if not found:
        click.echo(f"No line contains {text!r}.", err=True)


def _print(line: Line, as_json: bool) -> None:
    click.echo(line[2] if as_json else _readable(line[1]))


def _readable(content: dict[str, Any]) -> str:
    moment = stamp(content)[:23].replace("+00:00", "")
    if "action" in content:
        return f"{moment}  {_action(content)}".rstrip()
    if "outcome" in content:
        return f"{moment}  {_call(content)}".rstrip()
    known = ("ts", "timestamp", "level", "name", "message")
    rest = " ".join(f"{key}={value}" for key, value in content.items() if key not in known)
    level = str(content.get("level", "")).upper()
    return f"{moment}  {level:<8}{content.get('message', '')}  {rest}".rstrip()


def _action(content: dict[str, Any]) -> str:
    about, who = content["object"], content["actor"]["name"]
    what = f"{about['kind']} {about['name']}".strip()
    return "  ".join([f"{content['outcome']:<8}", content["action"], what, who, content["detail"]])


def _call(content: dict[str, Any]) -> str:
    who = "/".join(str(content[key]) for key in ("project", "token") if content.get(key))
    what = "/".join(str(content[key]) for key in ("provider", "model") if content.get(key))
    parts = [f"{content['outcome']:<8}", str(content.get("status", "-")), who, what]
    parts.append(f"{content.get('input_tokens', 0)}+{content.get('output_tokens', 0)} tokens")
    parts.append(dollars(content.get("cost_nanos", 0)))
    parts.append(milliseconds(content.get("duration_ms", 0)))
    if cache := content.get("cache"):
        parts.append(f"cache {cache}")
    return "  ".join([*parts, str(content.get("error_message", ""))])


def _end(path: Path) -> int:
    return path.stat().st_size


def _follow(folder: Path, kind: str | None, ends: dict[Path, int], as_json: bool) -> None:
    """Until interrupted. A file that has become shorter was rotated and is read from its start."""
    while True:
        for paths in log_files(folder, kind).values():
            path = paths[-1]
            size = _end(path)
            start = ends.get(path, 0)
            with path.open(encoding="utf-8", errors="replace") as file:
                file.seek(start if start <= size else 0)
                _print_whole_lines(file, as_json)
                ends[path] = file.tell()
        time.sleep(_POLL_SECONDS)


def _print_whole_lines(file: TextIO, as_json: bool) -> None:
    while True:
        place = file.tell()
        text = file.readline()
        if not text.endswith("\n"):
            file.seek(place)
            return
        line = parsed(text)
        if line is not None:
            _print(line, as_json)
