"""Carrying an operation out: where its handler runs, once for each key, and only on what is meant."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from llm_dashboard.api.operation import Answer, Call, Operation
from llm_dashboard.api.problem import Problem
from llm_intercept.errors import InterceptError
from llm_intercept.manage import Management
from llm_intercept.store.idempotency import Idempotency
from llm_intercept.store.report_terms import Scope
from llm_intercept.store.scopes import scope_of

MOST_KEY = 200


@dataclass(frozen=True, slots=True)
class Conditions:
    """What headers say about the request. `text` is what it asked for, to be compared with a later one."""

    key: str = ""
    text: str = ""
    if_match: str = ""
    if_none_match: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """A whole answer."""

    status: int
    body: str
    headers: tuple[tuple[str, str], ...] = ()


def shaped(operation: Operation, found: object) -> Done:
    """What a handler returned, as its operation declares it."""
    answer = found if isinstance(found, Answer) else Answer(found)
    body = operation.answer.model_validate(answer.value, from_attributes=True).model_dump_json()
    return Done(answer.status or operation.status, body, answer.headers)


async def run(
    operation: Operation, call: Call[Any, Any], sibling: Operation | None, given: Conditions
) -> Done:
    """`sibling` is the operation that shows what this one changes."""
    if operation.where == "usage":
        scope = await seen_by(call)
        counted = await call.stage.usage(lambda conn: operation.handler(conn, call, scope))
        return _tagged(shaped(operation, counted), given)
    if operation.where == "here":
        return shaped(operation, await operation.handler(call))
    if operation.changes:
        return await call.stage.manage(
            lambda management: _change(management, operation, call, sibling, given)
        )
    found = await call.stage.manage(lambda management: operation.handler(management, call))
    return _tagged(shaped(operation, found), given)


async def seen_by(call: Call[Any, Any]) -> Scope:
    """Whose calls the actor may see."""
    actor = call.actor
    return await call.stage.manage(
        lambda management: scope_of(management.control.database, actor.role, actor.user_id)
    )


def _tagged(done: Done, given: Conditions) -> Done:
    """With an ETag; 304 for whoever has it already."""
    tag = etag(done.body)
    headers = (*done.headers, ("etag", tag))
    if given.if_none_match and tag in _tags(given.if_none_match):
        return Done(304, "", headers)
    return replace(done, headers=headers)


def etag(body: str) -> str:
    return f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'


def _tags(header: str) -> list[str]:
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]


def _change(
    management: Management,
    operation: Operation,
    call: Call[Any, Any],
    sibling: Operation | None,
    given: Conditions,
) -> Done:
    """In one transaction with what is compared before and kept after. What is raised is raised outside of it:
    the audit row of a change that was refused stays."""
    failed: InterceptError | Problem
    with management.control.database.write():
        try:
            return _once(management, operation, call, sibling, given)
        except (InterceptError, Problem) as error:
            failed = error
    raise failed


def _once(
    management: Management,
    operation: Operation,
    call: Call[Any, Any],
    sibling: Operation | None,
    given: Conditions,
) -> Done:
    if not given.key:
        _compare(management, call, sibling, given)
        return shaped(operation, operation.handler(management, call))
    kept, actor = Idempotency(management.control.database), call.actor
    place = "\n".join(
        (actor.kind, actor.user_id, actor.name, given.key, operation.method, given.text.split("\n")[0])
    )
    asked = management.control.database.vault.digest(given.text)
    before = kept.find(place)
    if before is not None:
        if before.request != asked:
            raise Problem(
                "idempotency_conflict",
                "This Idempotency-Key was used for another request.",
                "idempotency-key",
            )
        return Done(before.status, before.body, (("idempotent-replayed", "true"),))
    done = shaped(operation, operation.handler(management, call))
    kept.keep(place, asked, done.status, done.body)
    return done


def _compare(
    management: Management, call: Call[Any, Any], sibling: Operation | None, given: Conditions
) -> None:
    if not given.if_match or given.if_match.strip() == "*":
        return
    if sibling is None:
        raise Problem("invalid_header", "If-Match is for changes of one object only.", "if-match")
    show: Callable[..., object] = sibling.handler
    now = shaped(sibling, show(management, replace(call, query=sibling.query(), body=sibling.body())))
    if etag(now.body) not in _tags(given.if_match):
        raise Problem("precondition_failed", "It has changed since it was read; read it again.", "if-match")
