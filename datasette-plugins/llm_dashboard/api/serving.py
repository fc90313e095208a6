"""The one view behind every path of the API: all that every operation shares, from request to answer."""

import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
from datasette import Response
from datasette.app import Datasette
from datasette.utils.asgi import Request

from llm_dashboard import clock
from llm_dashboard.api import operations, reading, running, stage
from llm_dashboard.api.caller import NOBODY, Caller, caller_of
from llm_dashboard.api.operation import Call, Operation
from llm_dashboard.api.problem import Problem, of_error
from llm_dashboard.api.rate import Rates
from llm_dashboard.api.wording import Wording
from llm_intercept.errors import InterceptError
from llm_intercept.identifiers import new_request_id
from llm_intercept.policy.apitokens import allows
from llm_intercept.secrecy import said, traced

logger = logging.getLogger(__name__)
PREFIX = "/-/api"
ROUTE = r"^/-/api(?P<rest>/.+)$"
_JSON = "application/json; charset=utf-8"
_WORDING = Wording(operations.ALL)

type Send = Callable[[dict[str, Any]], Awaitable[None]]


async def serve(datasette: Datasette, request: Request, send: Send) -> Response | None:
    found, id_ = stage.of(datasette), new_request_id(clock.now(), os.urandom(8))
    if found is None:
        return problem(Problem("no_such_operation", "This dashboard is not configured."), id_)
    try:
        return await _answered(datasette, found, request, send, id_)
    except Problem as error:
        return problem(error, id_)
    except InterceptError as error:
        return problem(_WORDING.told(of_error(error)), id_)


def problem(error: Problem, request_id: str) -> Response:
    body = orjson.dumps(error.document(request_id)).decode()
    return _response(error.status, body, request_id, error.headers)


def fault(request: Request, exception: Exception) -> Response | None:
    """A fault of ours, in the same shape; None for other pages than the API's."""
    if not _rest(request):
        return None
    id_ = new_request_id(clock.now(), os.urandom(8))
    logger.error("%s %s failed (%s): %s", request.method, said(request.path), id_, traced(exception))
    return problem(Problem("internal", "Something went wrong here; the log of the dashboard has it."), id_)


def _response(status: int, body: str, id_: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    shared = {"x-request-id": id_, "cache-control": "private, no-store"}
    return Response(body, status=status, headers=shared | dict(headers), content_type=_JSON)


def _rest(request: Request) -> str:
    return str(request.url_vars.get("rest", ""))


async def _answered(
    datasette: Datasette, found: stage.Stage, request: Request, send: Send, id_: str
) -> Response | None:
    ip = (request.scope.get("client") or [""])[0]
    _count(found, datasette, f"ip {ip}")
    method = "GET" if request.method == "HEAD" else request.method
    operation, path = _resolved(method, _rest(request))
    caller = caller_of(request)
    if operation.scope != "none":
        _admit(operation, caller, request)
    if caller is not None:
        _count(found, datasette, f"actor {caller.actor.kind} {caller.actor.user_id} {caller.actor.name}")
    call = await _read(found, operation, caller, path, request, id_)
    if operation.where == "stream":
        await operation.handler(call, await running.seen_by(call), request, send, id_)
        return None
    given = _conditions(operation, request, call)
    done = await running.run(operation, call, operations.sibling(operation), given)
    body = "" if request.method == "HEAD" else done.body
    return _response(done.status, body, id_, done.headers)


def _resolved(method: str, rest: str) -> tuple[Operation, Mapping[str, str]]:
    """The operation of a path. Of two paths that fit, the one with fixed words is meant, by every method."""
    for found in operations.BY_PATH:
        path = reading.parsed_path(found[0], rest)
        if path is None:
            continue
        for operation in found:
            if operation.method == method:
                return operation, path
        allowed = ", ".join(operation.method for operation in found)
        raise Problem(
            "method_not_allowed",
            f"{method} does nothing here; use {allowed.replace(', ', ' or ')}.",
            headers=(("allow", allowed),),
        )
    raise Problem("no_such_operation", "There is no such operation; /-/api/docs lists them.")


def _admit(operation: Operation, caller: Caller | None, request: Request) -> None:
    if caller is None:
        raise Problem(
            "unauthenticated",
            _nobody(request.headers.get("authorization", "")),
            headers=(("www-authenticate", 'Bearer realm="llm-intercept"'),),
        )
    if caller.scope and not allows(caller.scope, operation.scope):
        raise Problem(
            "scope_missing",
            f"This needs an API token with the scope `{operation.scope}`, not `{caller.scope}`.",
        )


def _nobody(sent: str) -> str:
    """Why it is nobody, as far as that helps; of what was sent only its kind is told."""
    _, _, token = sent.partition(" ")
    if token.startswith("llm_api_"):
        return (
            "This API token does not work: it is not known, has expired or was revoked, or its user is off."
        )
    if token.startswith("lli_"):
        return "This is the token of a project, for calls; the API takes `Authorization: Bearer llm_api_...`."
    return "Log in, or send `Authorization: Bearer llm_api_...`."


def _count(found: stage.Stage, datasette: Datasette, key: str) -> None:
    rates: Rates | None = getattr(datasette, "_llm_api_rates", None)
    if rates is None:
        rates = datasette._llm_api_rates = Rates(found.settings.dashboard.api_rate)
    wait = rates.take(key, time.monotonic())
    if wait:
        raise Problem(
            "rate_limited",
            f"Too many requests; wait {wait} s (setting dashboard.api_rate).",
            headers=(("retry-after", str(wait)),),
        )


async def _read(
    found: stage.Stage,
    operation: Operation,
    caller: Caller | None,
    path: Mapping[str, str],
    request: Request,
    id_: str,
) -> Call[Any, Any]:
    query = reading.parsed_query(operation, request.query_string)
    raw = await reading.body_of(request)
    body = reading.parsed_body(operation, raw, request.headers.get("content-type", ""))
    actor = replace(caller.actor if caller else NOBODY, request_id=id_)
    return Call(actor, path, query, body, found, clock.now(), raw)


def _conditions(operation: Operation, request: Request, call: Call[Any, Any]) -> running.Conditions:
    key = request.headers.get("idempotency-key", "").strip()
    if key and not operation.creates:
        key = ""  # the others are the same when they are done twice
    if len(key) > running.MOST_KEY:
        raise Problem(
            "invalid_header",
            f"An Idempotency-Key has at most {running.MOST_KEY} characters.",
            "idempotency-key",
        )
    return running.Conditions(
        key=key,
        text=f"{_rest(request)}\n{request.query_string}\n{call.raw.decode('utf-8', 'replace')}",
        if_match=request.headers.get("if-match", ""),
        if_none_match=request.headers.get("if-none-match", "") if not operation.changes else "",
    )
