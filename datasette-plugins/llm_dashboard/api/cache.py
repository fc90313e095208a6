"""Stored answers: what they are, what they save, and deleting them before their time."""

from typing import Any

from pydantic import Field

from llm_dashboard.api.fields import Span, duration
from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_dashboard.api.paging import Page, Paged, page, place_of
from llm_dashboard.api.problem import Problem
from llm_dashboard.purging import purge as purge_answers
from llm_intercept.manage import Management
from llm_intercept.manage.cache import asked, document, sums, written
from llm_intercept.store.cache import Which

table = Table("cache", "Answers that are given again when the same is asked again.")
_LIST = "cache"


class CacheTotals(View):
    """Sums over stored answers."""

    entries: int
    expired: int = Field(description="how many of them are out of date, and will go by themselves")
    size: int = Field(description="bytes of the answers")
    stored_size: int = Field(description="bytes that they take, compressed")
    hits: int = Field(description="how often those that are still there were given again")
    saved_nanos: int = Field(description="what these hits would have cost, as far as a price is known")
    saved_usd: str
    oldest: str | None
    newest: str | None


class CachedAnswer(View):
    """A stored answer, without what was said."""

    key: str = Field(description="what is asked for, as a digest")
    project: str = Field(description="of the call that the provider answered, as are the next three")
    token: str
    request_id: str
    provider: str
    host: str
    model: str
    dialect: str
    operation: str
    stream: bool
    content_type: str
    size: int
    stored_size: int
    tokens: int = Field(description="that the call had taken")
    cost_nanos: int | None = Field(description="null: no price is known")
    cost_usd: str | None
    hits: int
    saved_nanos: int
    saved_usd: str
    stored_at: str
    used_at: str = Field(description="when it was stored or given last")
    expires_at: str


class CachedBody(CachedAnswer):
    """A stored answer."""

    headers: list[list[str]] = Field(description="those of the provider that are kept: name and value")
    body: str | None = Field(description="what was said; null unless asked for")
    encoding: str | None = Field(description="of the body: utf-8, or base64 where it is no text")


class Purged(View):
    """What was deleted, or would be."""

    dry_run: bool
    deleted: int


class _Answers(Model):
    """All of them hold at once."""

    project: str = Field("", max_length=64)
    provider: str = Field("", max_length=64)
    model: str = Field("", max_length=200, description="gpt-5*; * stands for anything")
    key: str = Field("", max_length=128, pattern=r"^[0-9A-Fa-f]*$", description="how it begins")
    expired: bool = Field(False, description="only those that are out of date")
    older_than: Span = Field("", description="only those stored so long ago: 12h, 7d")


class CacheFilters(_Answers):
    """Which answers are summed."""


class AnswerFilters(_Answers, Paged):
    """Which answers."""


class AnswerQuery(Model):
    """What of the answer."""

    body: bool = Field(False, description="with what was said")


class CachePurge(_Answers):
    """Which answers are deleted."""

    all: bool = Field(False, description="all of them: has to be said where nothing else is")
    dry_run: bool = Field(False, description="only say how many there are")


@table.get("/cache", "Show what the cache holds", CacheTotals, query=CacheFilters, command="cache stats")
def totals(management: Management, call: Call[CacheFilters, Nothing]) -> object:
    """Of all projects for admins; others see what came of the calls that they may see."""
    return sums(management.cache.totals(call.actor, _which(call.query, call.now_us)))


@table.get(
    "/cache/answers",
    "List stored answers",
    Page[CachedAnswer],
    query=AnswerFilters,
    command="cache list",
    gives={"key": "/items/0/key"},
)
def list_(management: Management, call: Call[AnswerFilters, Nothing]) -> object:
    """Newest first."""
    query = call.query
    place = place_of(query.cursor, _LIST, int)
    before = int(place[0]) if place else None
    which = _which(query, call.now_us)
    found = management.cache.entries(call.actor, which, query.limit + 1, before)
    shown = page(found, query.limit, _LIST, lambda entry: [entry.id])
    return {**shown, "items": [document(entry) for entry in found[: query.limit]]}


@table.get(
    "/cache/answers/{key}", "Show a stored answer", CachedBody, query=AnswerQuery, command="cache show"
)
def get(management: Management, call: Call[AnswerQuery, Nothing]) -> object:
    """By its key, or by the beginning of its key if no other begins so."""
    shown = management.cache.show(call.actor, call.path["key"])
    body: dict[str, Any] = written(shown.body) if call.query.body else {"body": None, "encoding": None}
    return {**document(shown.entry), "headers": [list(pair) for pair in shown.headers], **body}


@table.post(
    "/cache/purge", "Delete stored answers", Purged, body=CachePurge, where="here", command="cache purge"
)
async def purge(call: Call[Nothing, CachePurge]) -> object:
    """At once. Admins delete any; members those of their projects. Leaves a row in the audit log."""
    body, which = call.body, _which(call.body, call.now_us)
    if body.all == (which != Which()):
        text = "Say which answers are to go, or `all` and nothing else; nothing was deleted."
        raise Problem("unusable", text, "all")
    if body.dry_run:
        deleted = await call.stage.manage(lambda management: management.cache.count(call.actor, which))
    else:
        deleted = await purge_answers(call.stage.manage, call.actor, which, call.stage.home.cache_db)
    return {"dry_run": body.dry_run, "deleted": deleted}


def _which(given: _Answers, now_us: int) -> Which:
    return asked(
        now_us / 1e6,
        project=given.project,
        provider=given.provider,
        model=given.model,
        key=given.key,
        older_than=duration(given.older_than),
        expired=given.expired,
    )
