"""`llm-intercept route test`: one small real call, and what became of it at each target."""

import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

from llm_intercept import resources
from llm_intercept.cli.clients import require_ready
from llm_intercept.cli.output import json_option, milliseconds, print_json, print_table
from llm_intercept.cli.route_call import Way, body, way
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import InterceptError, NotFound
from llm_intercept.policy.facts import Facts
from llm_intercept.policy.routing import Route
from llm_intercept.store import report_rows
from llm_intercept.store.projects import DEFAULT_PROJECT
from llm_intercept.store.report_terms import EVERYTHING
from llm_intercept.tools.probes import REQUEST_ID

_TOKEN_LIFETIME = timedelta(minutes=30)
_TIMEOUT_SECONDS = 620  # a little more than the proxy itself waits for a provider
_ROW_SECONDS, _ROW_PAUSE = 10.0, 0.05
_GLOB = frozenset("*?[")
_COLUMNS = {
    "number": "#",
    "target": "target",
    "key": "key",
    "status": "status",
    "ttfb_ms": "first byte",
    "duration_ms": "in all",
    "reason": "why",
    "error": "error",
}
_FORMATS = {"ttfb_ms": milliseconds, "duration_ms": milliseconds}


@dataclass(frozen=True, slots=True)
class _Plan:
    """`route` is the one that should take the call; "" where only a model was named."""

    route: str
    model: str
    project: str


@click.command("test")
@click.argument("name", metavar="ROUTE|MODEL")
@click.option("--model", default="", help="The model to ask for, where the route is for several.")
@click.option("--project", default="", help="Of which project the call is.  [default: default]")
@click.option(
    "--token",
    default="",
    metavar="TOKEN",
    help="The text of a token to call with.  [default: one made for this]",
)
@click.option("--provider", default="", help="Which provider is called.  [default: whose model it is]")
@click.option("--dialect", default="", help="In which dialect: anthropic, openai_chat, gemini, ...")
@json_option
@pass_session
def test_route(
    session: Session,
    name: str,
    model: str,
    project: str,
    token: str,
    provider: str,
    dialect: str,
    as_json: bool,
) -> None:
    """Make one small call through the running proxy, and print each attempt. It costs what a call costs.

    \b
    llm-intercept route test safe
    llm-intercept route test claude-sonnet-4-5 --project demo
    """
    plan = _plan(session, name, model, project)
    if not plan.route and not Facts(session.registry.providers, resources.model_catalogue).known(plan.model):
        click.echo(f"Note: there is no route {name!r}, and no list knows such a model", err=True)
    require_ready(session.proxy_url)
    how = way(session, plan.model, provider, dialect)
    with _token(session, plan, token) as text:
        status, request_id, error = _call(session.proxy_url, how, plan.model, text)
    row = _row_of(session, request_id)
    if as_json:
        print_json({"status": status, "error": error, "expected_route": plan.route, **row})
    else:
        _print(plan, status, row)
    if status >= 400:
        raise InterceptError(f"the call failed with {status}: {error}")


def _plan(session: Session, name: str, model: str, project: str) -> _Plan:
    """What is a route's name is taken as one."""
    stored = next((r for r in session.control.routes.list() if r.name.lower() == name.lower()), None)
    if stored is None:
        return _Plan("", name, project or DEFAULT_PROJECT)
    if stored.route is None:
        raise InterceptError(f"the route {stored.name}: {stored.problem}")
    match = stored.route.match
    chosen = model or _one(match.models) or _one(match.aliases) or _any(stored.route)
    return _Plan(stored.name, chosen, project or _one(match.projects) or DEFAULT_PROJECT)


def _one(names: tuple[str, ...]) -> str:
    """The first that is a name and not a pattern."""
    return next((name for name in names if not _GLOB & set(name)), "")


def _any(route: Route) -> str:
    """A model for a route that is for all of them: one that a target names."""
    named = next((target.model for target in route.targets if target.model), "")
    match = route.match
    if not named or match.models or match.aliases or match.tiers:
        raise click.UsageError(f"the route {route.name} is for several models; name one with --model")
    return named


@contextmanager
def _token(session: Session, plan: _Plan, given: str) -> Iterator[str]:
    if given:
        yield given
        return
    lifetime = session.control.tokens.lifetimes.within(_TOKEN_LIFETIME)
    tokens, actor, name = session.manage.tokens, session.actor, f"route-test-{secrets.token_hex(4)}"
    made = tokens.create(actor, plan.project, name, lifetime=lifetime)
    try:
        yield made.text
    finally:
        tokens.revoke(actor, made.token.id)


def _call(proxy: str, how: Way, model: str, token: str) -> tuple[int, str, str]:
    """(status, id of the call, what went wrong)."""
    headers = {
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "anthropic-version": "2023-06-01",
    }
    content = json.dumps(body(how.dialect, model)).encode()
    request = urllib.request.Request(f"{proxy}/{how.provider}{how.path}", content, headers)
    # Never by way of a proxy: the environment may already name this very one.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            answer.read()
            return answer.status, answer.headers.get(REQUEST_ID, ""), ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get(REQUEST_ID, ""), _message(error.read())
    except OSError as error:
        raise InterceptError(f"the proxy at {proxy} ended the call: {error}") from None


def _message(content: bytes) -> str:
    text = content.decode("utf-8", "replace")
    try:
        found: Any = json.loads(text)
    except ValueError:
        return text[:300]
    while isinstance(found, dict) and (inner := found.get("error") or found.get("message")):
        found = inner
    return str(found)[:300]


def _row_of(session: Session, request_id: str) -> dict[str, Any]:
    """The row of the call; it is written a moment after the answer."""
    deadline = time.monotonic() + _ROW_SECONDS
    while True:
        try:
            return report_rows.request(session.usage, request_id, EVERYTHING)
        except NotFound:
            if not request_id or time.monotonic() > deadline:
                raise InterceptError(
                    "the call left no row in usage.db: is that another home's proxy?"
                ) from None
            time.sleep(_ROW_PAUSE)


def _print(plan: _Plan, status: int, row: dict[str, Any]) -> None:
    by = f"by the route {row['route']}" if row["route"] else "by no route"
    took = milliseconds(row["duration_ms"] or 0.0)
    count = len(row["tries"])
    click.echo(f"{plan.model}: {status} {by}, {count} attempt{'' if count == 1 else 's'}, {took}")
    if plan.route and row["route"] != plan.route:
        explain = f"`llm-intercept route explain {plan.model}`"
        click.echo(f"{plan.route} did not take the call: {explain} says why, `route list` if it is enabled.")
    if row["tries"]:
        print_table(_COLUMNS, map(_line, row["tries"]), _FORMATS)


def _line(attempt: dict[str, Any]) -> dict[str, object]:
    return {
        "number": str(attempt["number"]),
        "target": f"{attempt['provider']}/{attempt['model']}",
        "key": attempt["credential"] or "none",
        "status": str(attempt["status"] or attempt["outcome"]),
        "ttfb_ms": attempt["ttfb_ms"],
        "duration_ms": attempt["duration_ms"],
        "reason": attempt["reason"],
        "error": attempt["error_message"],
    }
