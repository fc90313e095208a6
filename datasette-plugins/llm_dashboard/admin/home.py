"""The summary: how much there is of everything, and what wants a look."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from datasette import Response

from llm_dashboard import access, clock, targets
from llm_dashboard.admin import cache, limits, maintenance
from llm_dashboard.admin.sections import BASE
from llm_dashboard.admin.visit import Visit
from llm_intercept import presence
from llm_intercept.manage import Management
from llm_intercept.manage.lists import Lists
from llm_intercept.store import pools
from llm_intercept.store.breakers import ResetKey
from llm_intercept.store.credentials import Credential
from llm_intercept.store.failures import FailureEntry
from llm_intercept.store.listeners import Listener
from llm_intercept.store.paging import TokenQuery
from llm_intercept.store.projects import Project
from llm_intercept.store.report_time import DAY

_SHOWN = 4  # of one kind


@dataclass(frozen=True, slots=True)
class Want:
    """Something that somebody should know: how bad, in words, and where to look."""

    tone: str
    label: str
    text: str
    href: str


@dataclass(frozen=True, slots=True)
class Found:
    """What an admin's summary is made of."""

    figures: dict[str, tuple[str, str]]
    keys: Sequence[Credential]
    asked: dict[ResetKey, int]
    failures: Sequence[FailureEntry]
    listeners: Sequence[Listener]


async def page(visit: Visit) -> Response:
    admin = visit.actor.role == "admin"
    found, shown, hits = await asyncio.gather(
        visit.ask(lambda m: _look(m, visit)), limits.standing(visit), _hits(visit)
    )
    wants = list(_full(shown))
    if admin:
        wants = [*await _ours(visit, found), *wants, *await _house(visit)]
    return await visit.page("home", figures={**found.figures, "cache": hits}, wants=wants)


def _look(m: Management, visit: Visit) -> Found:
    actor = visit.actor
    projects = Lists(m.desk).projects(actor, limit=100_000)
    figures = {
        "projects": _figure(len(projects), sum(not project.active for project in projects), "off"),
        "tokens": (f"{_working(m, visit, projects):,}", "working"),
        "limits": _figure(len(records := m.limits.list(actor)), sum(not r.enabled for r in records), "off"),
    }
    if actor.role != "admin":
        return Found(figures, (), {}, (), ())
    users, keys = m.users.list(actor), m.keys.list(actor)
    routes, listeners = m.routes.list(actor), m.listeners.list(actor)
    failures = [entry for entry in m.failures.list(actor) if entry.failures.enabled]
    figures |= {
        "users": _figure(len(users), sum(not user.active for user in users), "inactive"),
        "keys": _figure(len(keys), sum(not key.enabled for key in keys), "off"),
        "routes": _figure(len(routes), sum(not route.enabled for route in routes), "off"),
        "aliases": _figure(len(m.aliases.list(actor))),
        "listeners": _figure(len(listeners), sum(not each.running for each in listeners), "stopped"),
        "failures": (str(len(failures)), "simulated" if failures else "nothing simulated"),
    }
    return Found(figures, keys, dict(m.control.breakers.asked()), failures, listeners)


async def _hits(visit: Visit) -> tuple[str, str]:
    """What the cache did in a week, of the calls that one may see."""
    now = clock.now()
    scope = await access.scope(visit.datasette, visit.request)
    found = await cache.hits(visit, now - 7 * DAY, now, scope)
    return f"{found.cache_hits:,}", "hits in 7 days"


def _working(m: Management, visit: Visit, projects: Sequence[Project]) -> int:
    """Viewers see their own tokens alone, whatever else is in their projects."""
    if visit.actor.role == "viewer":
        return len(Lists(m.desk).tokens(visit.actor, TokenQuery(state="active"), limit=1000))
    return sum(project.tokens for project in projects)


def _figure(number: int, others: int = 0, what: str = "") -> tuple[str, str]:
    return f"{number:,}", f"{others:,} {what}" if others else ""


def _full(shown: Sequence[limits.Shown]) -> Iterator[Want]:
    """Limits in force that are full, or nearly."""
    tones = {"full": ("bad", "full"), "warn": ("warn", "nearly full")}
    found = [(each, gauge) for each in shown if each.record.enabled for gauge in each.gauges if gauge.tone]
    ordered = sorted(found, key=lambda pair: pair[1].tone)
    for each, gauge in ordered[:_SHOWN]:
        tone, label = tones[gauge.tone]
        soft = " It is soft: nothing is refused." if each.record.limit.soft else ""
        text = f"{gauge.line.text[:1].upper()}{gauge.line.text[1:]}: {gauge.words['remaining']} left.{soft}"
        yield Want("warn" if soft else tone, label, text, f"{BASE}/limits?q={each.record.id}")
    if len(ordered) > _SHOWN:
        yield Want("warn", "limits", "There are more that are full, or nearly.", f"{BASE}/limits")


async def _ours(visit: Visit, found: Found) -> list[Want]:
    """About keys, listeners and failures."""
    now, known = clock.now(), await visit.usage(pools.read_keys)
    wants = []
    if not found.keys:
        text = "No provider's key is stored: calls with a token reach nothing but the simulator."
        wants.append(Want("warn", "keys", text, f"{BASE}/keys/new"))
    lines = [targets.key_line(key, known, found.asked, now) for key in found.keys if key.enabled]
    for line in [line for line in lines if line.cooling_until][:_SHOWN]:
        text = f"The key {line.key.name} of {line.key.provider} is left alone for a while: {line.reason}"
        wants.append(Want("warn", "cooling", text, f"{BASE}/keys?state=cooling"))
    for listener in [each for each in found.listeners if each.problem][:_SHOWN]:
        text = f"The listener {listener.name} could not be started: {listener.problem}"
        wants.append(Want("bad", "listener", text, "/-/llm/listeners"))
    for entry in found.failures[:_SHOWN]:
        text = f"Failures are simulated for the {entry.scope} {entry.name}."
        wants.append(Want("warn", "on purpose", text, f"{BASE}/failures/{entry.scope}/{entry.name}/edit"))
    return wants


async def _house(visit: Visit) -> list[Want]:
    """Whether a proxy runs, and whether there is a backup."""
    proxy, newest = await asyncio.gather(
        asyncio.to_thread(presence.find, visit.home.path), asyncio.to_thread(maintenance.newest, visit.home)
    )
    wants = []
    if proxy is None:
        text = "No proxy is running for this home, so nothing is answered. `llm-intercept up` starts one."
        wants.append(Want("quiet", "proxy", text, "/-/llm/targets"))
    if maintenance.is_stale(newest):
        text = "The last backup is older than a week." if newest else "There is no backup in this home yet."
        wants.append(Want("quiet", "backup", text, f"{BASE}/maintenance"))
    return wants
