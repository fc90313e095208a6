"""Stored answers: what they save, the list of them, one of them with what it says, and deleting them."""

from dataclasses import dataclass
from urllib.parse import urlencode

from datasette import Response

from llm_dashboard import clock, conversation
from llm_dashboard.admin.forms import worded
from llm_dashboard.admin.visit import Visit
from llm_dashboard.formats import count
from llm_dashboard.purging import purge as purge_answers
from llm_intercept.errors import ConfigError
from llm_intercept.manage import Management
from llm_intercept.manage.cache import Shown, asked
from llm_intercept.policy.tokens import parse_duration
from llm_intercept.store import reports
from llm_intercept.store.cache import Entry, Totals, Which
from llm_intercept.wire.tap import Tap

PATH = "/-/llm/manage/cache"
PAGE = 50
_NAMES = ("model", "project", "provider", "key", "older", "state")
_MOST_SHOWN = 200_000  # characters of a body


@dataclass(frozen=True, slots=True)
class Line:
    """An answer of the list. `saved_nanos` None: no price is known."""

    entry: Entry
    expired: bool
    saved_nanos: int | None


def line(entry: Entry, now: int) -> Line:
    saved = None if entry.cost_nanos is None else entry.hits * entry.cost_nanos
    return Line(entry, entry.expires_us <= now, saved)


def wanted(chosen: dict[str, str], now: int) -> Which:
    """ConfigError for what cannot be read."""
    return asked(
        now / 1e6,
        project=chosen["project"],
        provider=chosen["provider"],
        model=chosen["model"],
        key=chosen["key"],
        older_than=parse_duration(chosen["older"]) if chosen["older"] else None,
        expired=chosen["state"] == "expired",
    )


def _chosen(visit: Visit) -> dict[str, str]:
    return {name: visit.arg(name) for name in _NAMES}


async def page(visit: Visit) -> Response:
    chosen, now, problem = _chosen(visit), clock.now(), ""
    before = int(visit.arg("before")) if visit.arg("before").isdigit() else None
    which = Which()
    try:
        which = wanted(chosen, now)
    except ConfigError as error:
        problem = worded(error)

    def look(m: Management) -> tuple[Totals, list[Entry], list[str]]:
        place = None if before is None else min(before, 2**62)
        found = m.cache.entries(visit.actor, which, PAGE + 1, place)
        projects = [project.name for project in m.projects.list(visit.actor)]
        return m.cache.totals(visit.actor, which), found, projects

    totals, found, projects = await visit.ask(look)
    query = urlencode({name: value for name, value in chosen.items() if value})
    return await visit.page(
        "cache",
        400 if problem else 200,
        totals=totals,
        lines=[line(entry, now) for entry in found[:PAGE]],
        projects=projects,
        providers=sorted(visit.stage.registry.providers),
        chosen=chosen,
        filtered=any(chosen.values()),
        query=query,
        problem=problem,
        paging=before is not None,
        next=found[PAGE - 1].id if len(found) > PAGE else 0,
        settings=visit.stage.settings.cache,
        file=visit.home.config_toml,
        proxy=visit.stage.proxy,
    )


async def entry(visit: Visit) -> Response:
    """One with what was said."""
    shown = await visit.ask(lambda m: m.cache.show(visit.actor, visit.var("id")))
    text, messages = said(shown)
    return await visit.page(
        "cache_entry",
        line=line(shown.entry, clock.now()),
        entry=shown.entry,
        headers=shown.headers,
        messages=messages,
        raw=text[:_MOST_SHOWN],
        cut=len(text) > _MOST_SHOWN,
        may_purge=visit.actor.role != "viewer",
    )


def said(shown: Shown) -> tuple[str, list[conversation.Message]]:
    """The body as text, and the messages in it; a binary stream is read by its dialect."""
    try:
        text = shown.body.decode()
    except UnicodeDecodeError:
        tap = Tap(shown.entry.dialect, shown.entry.operation, shown.entry.content_type, headers={})
        tap.feed(shown.body, 0.0)
        parts = "".join(tap.close().text_parts)
        found = [conversation.Message("assistant", [conversation.Part("text", parts)])] if parts else []
        return "", found
    return conversation.pretty(text), conversation.read(text)


async def purge(visit: Visit) -> Response:
    """Those that the query string says; asked for once more."""
    chosen = _chosen(visit)
    which, back = wanted(chosen, clock.now()), f"{PATH}?{urlencode({k: v for k, v in chosen.items() if v})}"
    if visit.posting:
        gone = await purge_answers(visit.ask, visit.actor, which, visit.home.cache_db)
        return visit.to(PATH, f"{_number(gone)} deleted.")
    number = await visit.ask(lambda m: m.cache.count(visit.actor, which))
    if not number:
        return visit.to(back, "There is nothing to delete among them.", bad=True)
    return await visit.page(
        "confirm",
        title=f"Delete {_answers(number)}?",
        names=list(_described(chosen)),
        sentences=[
            "Whoever asks the same again is answered by the provider, and pays for it. "
            "What has been saved so far stays in the reports.",
            *(["Only those of your projects go."] if visit.actor.role != "admin" else []),
        ],
        button="Delete",
        back=back,
        place="Cache",
    )


def _described(chosen: dict[str, str]) -> list[str]:
    """What they have in common."""
    texts = {
        "project": "of the project {}",
        "provider": "from {}",
        "model": "of models like {}",
        "key": "whose key begins with {}",
        "older": "stored more than {} ago",
    }
    found = [text.format(chosen[name]) for name, text in texts.items() if chosen[name]]
    return [*found, *(["out of date"] if chosen["state"] == "expired" else [])]


def _answers(number: int) -> str:
    return "one stored answer" if number == 1 else f"{count(number)} stored answers"


def _number(number: int) -> str:
    text = _answers(number)
    return f"{text[:1].upper()}{text[1:]} {'is' if number == 1 else 'are'}"


async def hits(visit: Visit, since: int, until: int, scope: reports.Scope) -> reports.Summary:
    """What the cache did in some time, of the calls that somebody may see; without latencies."""
    span, filters = reports.Window(since, until), reports.Filters(scope)
    names = ("cache_hits", "cache_asked", "saved_nanos")
    found = await visit.usage(lambda conn: reports.collect(conn, span, filters, (), names))
    return reports.Summary(**{name: int(value) for name, value in found.get((), {}).items()})
