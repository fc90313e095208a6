"""Where limits stand: a line for each counter, as commands, pages and the management API show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_intercept.policy.actor import Actor
from llm_intercept.policy.limit_texts import moment, sentence, subject
from llm_intercept.policy.limits import Limit
from llm_intercept.policy.windows import SECONDS, Counter, span
from llm_intercept.store.limits import LimitRecord


@dataclass(frozen=True, slots=True)
class UsageLine:
    """One counter. `amount` and what follows are in the measure's unit, for cost nano-dollars."""

    id: str
    who: str
    text: str
    measure: str
    per: str
    amount: int
    used: int
    reserved: int
    remaining: int
    resets: str | None


def usage_of(
    records: Sequence[LimitRecord], counters: Mapping[str, Counter], now: float, actor: Actor
) -> list[UsageLine]:
    """Of limits that the actor may see; who is no admin sees no other member's count."""
    by_id = {record.id: record.limit for record in records}
    lines = []
    for key, counter in counters.items():
        id_, _, member = key.partition(":")
        if id_ in by_id and _is_seen(actor, by_id[id_], member):
            counter.expire(now)
            lines.append(line_of(id_, by_id[id_], member, counter, now))
    counted = {line.id for line in lines}
    for id_, limit in by_id.items():
        if id_ not in counted and (limit.name or limit.scope == "global"):
            lines.append(line_of(id_, limit, "", Counter(), now))
    return lines


def _is_seen(actor: Actor, limit: Limit, member: str) -> bool:
    if actor.role == "admin" or not member:
        return True
    return limit.scope == "user" and member.lower() == actor.name.lower()


def line_of(id_: str, limit: Limit, member: str, counter: Counter, now: float) -> UsageLine:
    return UsageLine(
        id=id_,
        who=subject(limit, member),
        text=sentence(limit, member),
        measure=limit.measure,
        per=limit.per,
        amount=limit.amount,
        used=counter.used,
        reserved=counter.reserved,
        remaining=max(0, limit.amount - counter.taken),
        resets=_resets(limit, now),
    )


def _resets(limit: Limit, now: float) -> str | None:
    if limit.measure == "concurrency" or limit.per == "total":
        return None
    if limit.per in SECONDS:
        return f"{limit.per} by {limit.per}"
    return moment(span(limit.per, limit.timezone, now)[1], limit.timezone)
