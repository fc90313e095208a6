"""`llm-intercept usage`: the numbers of `store/reports.py`, as tables and as JSON."""

from dataclasses import asdict
from datetime import UTC
from typing import Any

import click

from llm_intercept.cli.output import (
    count,
    dollars,
    json_option,
    milliseconds,
    percent,
    print_json,
    print_table,
)
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.cli.spans import Span, read_span, span_options
from llm_intercept.store import reports
from llm_intercept.store.export import usd
from llm_intercept.store.report_days import over_time
from llm_intercept.store.report_terms import Dimension, RowDimension
from llm_intercept.store.report_time import Interval

EMPTY = "No calls in this time. Make one: llm-intercept run -- CMD..., and look again."

type By = Dimension | RowDimension | Interval


@click.group
def command() -> None:
    """Calls, tokens, money and time, by whatever you ask for.

    \b
    llm-intercept usage summary --since today
    llm-intercept usage by-model --since 7d --project demo
    llm-intercept usage daily --since 2026-11-01 --until 2026-11-30 --json
    """


def _facts(found: reports.Summary) -> dict[str, object]:
    return {
        **asdict(found),
        "total_tokens": found.total_tokens,
        "cost_usd": usd(found.cost_nanos),
        "cache_hit_rate": found.cache_hit_rate,
        "saved_usd": usd(found.saved_nanos),
    }


@command.command
@span_options
@json_option
@pass_session
def summary(session: Session, /, as_json: bool, **options: Any) -> None:
    """Totals."""
    span = read_span(session, options)
    found = reports.summary(session.usage, span.window, span.filters)
    if as_json:
        print_json(_facts(found))
    elif not found.requests:
        click.echo(EMPTY)
    else:
        click.echo("\n".join(f"{name:<13}{text}" for name, text in _paragraph(found).items()))


def _paragraph(found: reports.Summary) -> dict[str, str]:
    counts = {name: count(value) for name, value in asdict(found).items() if isinstance(value, int)}
    unpriced = f"; {counts['unpriced']} calls without a known price are not in it" if found.unpriced else ""
    return {
        "Calls": "{requests}, {errors} of them errors, {streams} streamed".format(**counts),
        "Tokens in": "{input_tokens}, of which {cache_read_tokens} read from a provider's cache"
        " and {cache_write_tokens} written to it".format(**counts),
        "Tokens out": "{output_tokens}, of which {reasoning_tokens} reasoning".format(**counts),
        "Cost": dollars(found.cost_nanos) + unpriced,
        **_cache(found),
        "Duration": _spread(found.duration_ms_p50, found.duration_ms_p95),
        "First token": _spread(found.ttft_ms_p50, found.ttft_ms_p95),
    }


def _cache(found: reports.Summary) -> dict[str, str]:
    """Only where the cache of answers was asked."""
    if found.cache_hit_rate is None:
        return {}
    hits, asked = count(found.cache_hits), count(found.cache_asked)
    rate, saved = percent(found.cache_hit_rate), dollars(found.saved_nanos)
    return {"Cache": f"{hits} of {asked} calls answered out of it ({rate}), which saved {saved}"}


def _spread(median: float | None, high: float | None) -> str:
    if median is None or high is None:
        return "-"
    return f"{milliseconds(median)} median, {milliseconds(high)} at the 95th percentile"


_COLUMNS = {
    "requests": "calls",
    "errors": "errors",
    "input_tokens": "tokens in",
    "cache_read_tokens": "cached",
    "output_tokens": "tokens out",
    "cost_nanos": "cost",
    "duration_ms_p50": "p50",
    "duration_ms_p95": "p95",
    "ttft_ms_p50": "first token",
}
_CACHE_COLUMNS = {"cache_hits": "hits", "saved_nanos": "saved"}  # where there is something to show
_FORMATS = dict.fromkeys((*_COLUMNS, *_CACHE_COLUMNS), count) | {
    "cost_nanos": dollars,
    "saved_nanos": dollars,
    **dict.fromkeys(("duration_ms_p50", "duration_ms_p95", "ttft_ms_p50"), milliseconds),
}


def _lines(session: Session, span: Span, by: By) -> list[reports.Line]:
    if (by == "day" or by == "hour") and span.zone is not UTC:
        found = over_time(session.usage, span.window, by, span.filters, span.zone)
        return [line for line in found if line.summary.requests]
    return reports.breakdown(session.usage, span.window, by, span.filters)


def _breakdown(name: str, by: By, text: str) -> None:
    @command.command(name, help=text)
    @span_options
    @json_option
    @pass_session
    def breakdown(session: Session, /, as_json: bool, **options: Any) -> None:
        span = read_span(session, options)
        lines = _lines(session, span, by)
        if as_json:
            print_json([{by: line.key, **_facts(line.summary)} for line in lines])
        elif not lines:
            click.echo(EMPTY)
        else:
            rows = [{by: line.key or "(none)", **asdict(line.summary)} for line in lines]
            cached = _CACHE_COLUMNS if any(line.summary.cache_asked for line in lines) else {}
            print_table({by: by, **_COLUMNS, **cached}, rows, _FORMATS)


_breakdown("daily", "day", "One line for each day (UTC, or of --timezone).")
_breakdown("hourly", "hour", "One line for each hour (UTC, or of --timezone).")
_breakdown("by-model", "model", "One line for each model, the most expensive first.")
_breakdown("by-project", "project", "One line for each project.")
_breakdown("by-provider", "provider", "One line for each provider.")
_breakdown("by-token", "token", "One line for each token; `own:...` stands for a client's own key.")
_breakdown("by-user", "user", "One line for each user, or label on the tokens.")
_breakdown("by-key", "credential", "One line for each provider's key, by its name.")

_RECENT = {
    "ts": "time (UTC)",
    "project": "project",
    "token": "token",
    "provider": "provider",
    "model": "model",
    "status": "status",
    "outcome": "outcome",
    "input_tokens": "in",
    "output_tokens": "out",
    "cost_nanos": "cost",
    "duration_ms": "time",
}
_RECENT_FORMATS = {
    "input_tokens": count,
    "output_tokens": count,
    "cost_nanos": dollars,
    "duration_ms": milliseconds,
}


@command.command
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--errors", "only_errors", is_flag=True, help="Only calls that count as errors.")
@span_options
@json_option
@pass_session
def recent(session: Session, /, limit: int, only_errors: bool, as_json: bool, **options: Any) -> None:
    """The last calls, newest first."""
    span = read_span(session, options)
    if only_errors:
        found = reports.errors(session.usage, span.window, span.filters, limit)
    else:
        since, until = span.window.since, span.window.until
        found = reports.recent(session.usage, span.filters, since - 1, limit, until)
    if as_json:
        print_json(found)
    elif not found:
        click.echo(EMPTY)
    else:
        cached = {"cache": "cache"} if any(row["cache"] for row in found) else {}
        print_table({**_RECENT, **cached}, found, _RECENT_FORMATS)
