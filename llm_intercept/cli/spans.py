"""The options that say which calls a report is about, shared by `usage` and `export`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from llm_intercept.cli.session import Session
from llm_intercept.store.report_terms import EVERYTHING, Filters
from llm_intercept.store.report_time import Window, window

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
)


@dataclass(frozen=True, slots=True)
class Span:
    """What the options asked for."""

    window: Window
    filters: Filters


def span_options[F: Callable[..., Any]](function: F) -> F:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def read_span(session: Session, options: dict[str, str]) -> Span:
    asked = {name: options[name] for name in ("project", "token", "provider", "model")}
    return Span(window(options["since"], options["until"], session.now_us), Filters(EVERYTHING, **asked))
