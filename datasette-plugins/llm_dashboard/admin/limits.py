"""Limits: where each stands, setting and changing them, switching them off, removing them."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal

from datasette import Response

from llm_dashboard.admin.forms import Field, Form, Section, amount, plain_options, whole
from llm_dashboard.admin.visit import Visit
from llm_intercept.errors import ConfigError
from llm_intercept.manage.limit_usage import UsageLine, usage_of
from llm_intercept.policy.limit_texts import quantity
from llm_intercept.policy.limits import MEASURES, NANOS, PERIODS, SCOPES, Limit
from llm_intercept.policy.windows import Counter
from llm_intercept.store.limits import LimitRecord
from llm_intercept.store.reservations import Counters

PATH = "/-/llm/manage/limits"
SHOWN = 5  # counters of one limit, the fullest
_SCOPE_LABELS = {"global": "Everybody together", "client_ip": "Client address", "user": "User"}
_PERIOD_LABELS = {"minute": "a minute", "hour": "an hour", "day": "a day", "week": "a week"}
_PERIOD_LABELS |= {"month": "a month", "total": "in total"}
_MEASURE_LABELS = {
    "requests": "Calls",
    "tokens": "Tokens, input and output",
    "cost": "US dollars",
    "concurrency": "Calls at the same time",
}
_BLAME = (("with no call at a time", "amount"),)
_FULL, _NEARLY = 1.0, 0.8
_EACH = "each"


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
    records, now = await visit.ask(lambda m: (m.limits.list(visit.actor), m.now()))
    counters = await asyncio.to_thread(_read, visit)
    every = visit.actor.role == "admin"
    kept, left = _fullest(counters, now) if every else (counters, {})
    lines = usage_of(records, kept, now, visit.actor)
    shown = [
        Shown(record, [gauge(line) for line in lines if line.id == record.id], left.get(record.id, 0))
        for record in records
    ]
    return await visit.page("limits", limits=shown)


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
    form = Form(await _sections(visit), {"whom": "one", "timezone": "UTC", "thresholds": "80, 100"})
    form.values |= {name: visit.arg(name) for name in ("scope", "name") if visit.arg(name)}
    if visit.posting:
        form.take(await visit.posted())
        limit = _limit(form)
        record = (
            await visit.submit(form, lambda m: m.limits.set(visit.actor, limit), _BLAME) if limit else None
        )
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
    form = Form([Section("Limit", _figures(record.limit.measure)), _TELLING], _values(record.limit))
    if visit.posting:
        form.take(await visit.posted())
        limit = _limit(form, record.limit)
        changed = await visit.submit(form, lambda m: m.limits.set(visit.actor, limit)) if limit else None
        if changed is not None:
            return visit.to(PATH, f"{changed.text[:1].upper()}{changed.text[1:]}, from the next call on.")
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


async def _sections(visit: Visit) -> list[Section]:
    projects = await visit.ask(lambda m: [project.name for project in m.projects.list(visit.actor)])
    scopes = [(scope, _SCOPE_LABELS.get(scope, scope.capitalize())) for scope in SCOPES]
    whom = (("one", "The one that is named below"), (_EACH, "Every one by itself"))
    who = (
        Field("scope", "For", "select", options=scopes),
        Field("whom", "Which", "select", "Everybody together needs no name.", options=whom),
        Field(
            "name",
            "Name",
            help="As it is written on calls: a token as project/name, an address or a network. With * all "
            "that match together.",
            options=plain_options(projects),
            placeholder="team-a",
        ),
    )
    what = (
        Field(
            "measure",
            "Of what",
            "select",
            "Dollars and tokens count the worst case until a call has ended.",
            options=[(measure, _MEASURE_LABELS[measure]) for measure in MEASURES],
        ),
        *_figures("requests"),
        Field(
            "per",
            "In which time",
            "select",
            "A minute and an hour slide; the others begin at midnight, on Monday, on the first.",
            options=[(period, _PERIOD_LABELS[period]) for period in PERIODS],
        ),
    )
    return [Section("Whom it is for", who), Section("How much", what), _TELLING]


def _figures(measure: str) -> tuple[Field, ...]:
    about = "Such as 5 or 12.50, in US dollars." if measure == "cost" else "Such as 60, 100k or 2.5M."
    return (
        Field("amount", "Amount", "number", about, placeholder="60", required=True),
        Field(
            "timezone", "Time zone", help="Where days, weeks and months begin.", placeholder="Europe/Berlin"
        ),
    )


_TELLING = Section(
    "Telling",
    (
        Field("thresholds", "Tell at", help="Percentages, with commas.", placeholder="80, 100"),
        Field("soft", "Soft: tell of it, and refuse nothing", "check"),
    ),
    "metrics, log and web hooks hear of it",
    folded=False,
)


def _limit(form: Form, known: Limit | None = None) -> Limit | None:
    """None if something is wrong, which the form then says."""
    measure = known.measure if known else form.text("measure")
    found = form.read("amount", amount(NANOS if measure == "cost" else 1))
    thresholds = form.read(
        "thresholds", lambda text: [whole(part.strip().rstrip("%")) for part in text.split(",")]
    )
    values = {
        "amount": found,
        "timezone": form.text("timezone") or "UTC",
        "soft": form.ticked("soft"),
        "thresholds": thresholds or (),
    }
    if form.failed:
        return None
    if known is not None:
        return form.model(Limit, known.model_dump() | values)
    scope, name = form.text("scope"), form.text("name")
    named = scope != "global" and form.text("whom") != _EACH
    if named and not name:
        form.errors["name"] = "Say whose limit it is, or choose every one by itself."
        return None
    if measure == "concurrency" and not found:
        form.refused(ConfigError("with no call at a time there is no call at all"), _BLAME)
        return None
    per = "total" if measure == "concurrency" else form.text("per")
    mine = {"scope": scope, "name": name if named else "", "measure": measure, "per": per}
    return form.model(Limit, values | mine)


def _values(limit: Limit) -> dict[str, str]:
    shown = f"{Decimal(limit.amount) / NANOS:f}" if limit.measure == "cost" else f"{limit.amount:,}"
    return {
        "amount": shown,
        "timezone": limit.timezone,
        "soft": "yes" if limit.soft else "",
        "thresholds": ", ".join(map(str, limit.thresholds)),
    }
