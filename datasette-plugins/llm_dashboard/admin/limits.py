"""Limits: where each stands, setting and changing them, switching them off, removing them."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from datasette import Response

from llm_dashboard.admin import filtering, limit_forms
from llm_dashboard.admin.forms import Form
from llm_dashboard.admin.visit import Visit
from llm_intercept.manage.limit_usage import UsageLine, usage_of
from llm_intercept.policy.limit_texts import quantity
from llm_intercept.policy.windows import Counter
from llm_intercept.store.limits import LimitRecord
from llm_intercept.store.reservations import Counters

PATH = "/-/llm/manage/limits"
SHOWN = 5  # counters of one limit, the fullest
_FULL, _NEARLY = 1.0, 0.8
_STATES = ("hard", "soft", "suspended", "nearly full", "full")


@dataclass(frozen=True, slots=True)
class Gauge:
    """One counter. `used` and `held` are shares of the amount, together at most 1."""

    line: UsageLine
    used: float
    held: float
    tone: str
    words: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Shown:
    """A limit with its fullest counters; `more` are not shown."""

    record: LimitRecord
    gauges: Sequence[Gauge]
    more: int


async def page(visit: Visit) -> Response:
    shown = await standing(visit)
    records = [each.record for each in shown]
    chosen = filtering.chosen(visit, "scope", "measure", "state")
    return await visit.page(
        "limits",
        limits=[limit for limit in shown if _fits(limit, chosen)],
        scopes=filtering.different(record.limit.scope for record in records),
        measures=filtering.different(record.limit.measure for record in records),
        states=_STATES,
        chosen=chosen,
        filtered=any(chosen.values()),
    )


async def standing(visit: Visit) -> list[Shown]:
    """Every limit that is to be seen, with where it stands."""
    records, now = await visit.ask(lambda m: (m.limits.list(visit.actor), m.now()))
    counters = await asyncio.to_thread(_read, visit)
    every = visit.actor.role == "admin"
    kept, left = _fullest(counters, now) if every else (counters, {})
    by_limit: dict[str, list[Gauge]] = {}
    for line in usage_of(records, kept, now, visit.actor):
        by_limit.setdefault(line.id, []).append(gauge(line))
    return [Shown(record, by_limit.get(record.id, []), left.get(record.id, 0)) for record in records]


def _fits(shown: Shown, chosen: Mapping[str, str]) -> bool:
    record = shown.record
    return (
        filtering.has_words(chosen["q"], record.text, record.id)
        and filtering.fits(chosen["scope"], record.limit.scope)
        and filtering.fits(chosen["measure"], record.limit.measure)
        and (not chosen["state"] or chosen["state"] in _states(shown))
    )


def _states(shown: Shown) -> set[str]:
    """By which it is found: whether it is in force, and how full its fullest counter is."""
    record, tones = shown.record, {each.tone for each in shown.gauges}
    found = {"suspended"} if not record.enabled else {"soft" if record.limit.soft else "hard"}
    return found | {name for name, tone in (("nearly full", "warn"), ("full", "full")) if tone in tones}


def _read(visit: Visit) -> Mapping[str, Counter]:
    with closing(Counters(visit.home.limits_db)) as counters:
        return counters.read()


def _fullest(counters: Mapping[str, Counter], now: float) -> tuple[dict[str, Counter], dict[str, int]]:
    """Those to be shown, and how many of each limit are not: one for each token may be thousands."""
    by_limit: dict[str, list[tuple[str, Counter]]] = {}
    for key, counter in counters.items():
        counter.expire(now)
        by_limit.setdefault(key.partition(":")[0], []).append((key, counter))
    kept: dict[str, Counter] = {}
    for found in by_limit.values():
        kept.update(sorted(found, key=lambda pair: -pair[1].taken)[:SHOWN])
    return kept, {id_: len(found) - SHOWN for id_, found in by_limit.items() if len(found) > SHOWN}


def gauge(line: UsageLine) -> Gauge:
    """What calls under way hold is what is used, where calls at the same time are counted."""
    if line.measure == "concurrency":
        line = replace(line, used=line.used + line.reserved, reserved=0)
    whole_ = max(line.amount, 1)
    used = min(line.used / whole_, 1.0)
    held = min(line.reserved / whole_, 1.0 - used)
    taken = (line.used + line.reserved) / whole_
    tone = "full" if taken >= _FULL else "warn" if taken >= _NEARLY else ""
    figures = {name: getattr(line, name) for name in ("amount", "used", "reserved", "remaining")}
    words = {name: _figure(line.measure, value) for name, value in figures.items()}
    return Gauge(line, used, held, tone, words)


def _figure(measure: str, value: int) -> str:
    return quantity(measure, value) if measure == "cost" else f"{value:,}"


async def new(visit: Visit) -> Response:
    start = {"whom": "one", "timezone": "UTC", "thresholds": "80, 100"}
    form = Form(await limit_forms.sections(visit), start)
    form.values |= {name: visit.arg(name) for name in ("scope", "name") if visit.arg(name)}
    if visit.posting:
        form.take(await visit.posted())
        limit, record = limit_forms.read(form), None
        if limit is not None:
            record = await visit.submit(form, lambda m: m.limits.set(visit.actor, limit), limit_forms.BLAME)
        if record is not None:
            return visit.to(PATH, f"{record.text[:1].upper()}{record.text[1:]}, from the next call on.")
    return await visit.form(
        form,
        title="New limit",
        about="Before a call is made, the most that it can take is reserved on every limit that applies to "
        "it; afterwards the real figure takes its place. A refused call counts against nothing.",
        submit="Set limit",
        back=PATH,
        place="Limits",
    )


async def edit(visit: Visit) -> Response:
    record = await visit.ask(lambda m: m.limits.get(visit.actor, visit.var("id")))
    form = Form(limit_forms.changing(record.limit), limit_forms.values(record.limit))
    if visit.posting:
        form.take(await visit.posted())
        limit = limit_forms.read(form, record.limit)
        values = limit.model_dump() if limit else {}
        changed = limit and await visit.submit(
            form, lambda m: m.limits.change(visit.actor, record.id, **values)
        )
        if changed is not None:
            since = "from the next call on" if changed.enabled else "and still suspended"
            return visit.to(PATH, f"{changed.text[:1].upper()}{changed.text[1:]}, {since}.")
    return await visit.form(
        form,
        title=f"{record.text[:1].upper()}{record.text[1:]}",
        about="What it has counted stays. Whom it is for, what it counts and in which time make it "
        "this limit; for another one, set another one.",
        submit="Save",
        back=PATH,
        place="Limits",
        also=[
            (
                "Remove",
                "For good, with what it has counted. To lift it for a while, suspend it in the list.",
                f"{PATH}/{record.id}/delete",
                "Remove limit",
            )
        ],
    )


async def switch(visit: Visit) -> Response:
    if not visit.posting:
        return visit.to(PATH)
    on, id_ = visit.var("action") == "enable", visit.var("id")
    record = await visit.ask(lambda m: (m.limits.enable if on else m.limits.disable)(visit.actor, id_))
    said = "In force again" if on else "Suspended, so that it neither refuses nor counts"
    return visit.to(PATH, f"{said}: {record.text}.")


async def delete(visit: Visit) -> Response:
    record = await visit.ask(lambda m: m.limits.get(visit.actor, visit.var("id")))
    if visit.posting:
        await visit.ask(lambda m: m.limits.delete(visit.actor, record.id))
        return visit.to(PATH, f"Removed: {record.text}.")
    return await visit.page(
        "confirm",
        title="Remove this limit?",
        sentences=[
            f"{record.text[:1].upper()}{record.text[1:]}.",
            "From the next call on nothing of it holds, and what it has counted is forgotten.",
        ],
        button="Remove",
        back=f"{PATH}/{record.id}/edit",
        place="Limits",
    )
