"""The options that say which calls a report is about, shared by `usage` and `export`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import click

from llm_intercept.cli.session import Session
from llm_intercept.store.report_days import checked_zone, local_window
from llm_intercept.store.report_terms import EVERYTHING, Filters
from llm_intercept.store.report_time import Window

CACHE_RESULTS = ("hit", "stored", "miss", "bypass")
_OPTIONS = (
    click.option(
        "--since",
        default="",
        metavar="WHEN",
        help="From: 7d, 24h, today, 2026-11-01, 2026-11-01T10:30 (UTC).",
    ),
    click.option("--until", default="", metavar="WHEN", help="To, in the same words; a day counts whole."),
    click.option("--project", default="", help="Only calls of this project."),
    click.option("--token", default="", metavar="NAME", help="Only calls with this token."),
    click.option("--provider", default="", help="Only calls to this provider."),
    click.option("--model", default="", help="Only calls of this model."),
    click.option("--user", default="", metavar="NAME", help="Only calls with tokens of this user."),
    click.option("--outcome", default="", help="Only those that ended so: ok, timeout, ...; error for all."),
    click.option("--status", default="", help="Only calls with this status: 429, 4xx."),
    click.option("--listener", default="", metavar="NAME", help="Only calls that came by this listener."),
    click.option("--key", "credential", default="", metavar="NAME", help="Only calls with this key."),
    click.option("--stream/--no-stream", default=None, help="Only streams, or only others."),
    click.option(
        "--cache",
        type=click.Choice(CACHE_RESULTS),
        metavar="RESULT",
        help=f"Only calls for which the cache of answers said {', '.join(CACHE_RESULTS)}.",
    ),
    click.option("--timezone", default="UTC", show_default=True, help="Whose days these are: Europe/Berlin."),
)
_NAMED = ("project", "token", "provider", "model", "user", "outcome", "status", "listener", "credential")
_STATUS = re.compile(r"[1-5](?:[0-9]{2}|xx)")


@dataclass(frozen=True, slots=True)
class Span:
    """What the options asked for."""

    window: Window
    filters: Filters
    zone: tzinfo


def span_options[F: Callable[..., Any]](function: F) -> F:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def read_span(session: Session, options: Mapping[str, Any]) -> Span:
    asked = {name: options[name] for name in _NAMED}
    if asked["status"] and not _STATUS.fullmatch(asked["status"]):
        raise click.UsageError(f"--status takes a number such as 429, or 4xx, not {asked['status']!r}")
    stream = {None: "", True: "yes", False: "no"}[options["stream"]]
    zone = checked_zone(options["timezone"])
    window = local_window(options["since"], options["until"], zone, session.now_us)
    return Span(window, Filters(EVERYTHING, stream=stream, cache=options["cache"] or "", **asked), zone)
