"""The installation: its settings and its logs. Settings are changed in config.toml or the environment."""

import asyncio
import os
from typing import Any, Literal

from pydantic import Field, JsonValue

from llm_dashboard.api.fields import span, time_zone
from llm_dashboard.api.maintenance import house, table
from llm_dashboard.api.operation import Call, Nothing, View
from llm_dashboard.api.paging import Paged, page, place_of
from llm_intercept import config, logsearch
from llm_intercept.logsearch import Line, Search

_LOGS = "logs"


class SettingView(View):
    """A setting."""

    name: str
    value: JsonValue = Field(description="secrets are stars")
    source: str = Field(description="default, config.toml, or the variable that it comes from")


class SettingsView(View):
    """All settings, as the next start would read them."""

    file: str = Field(description="where config.toml is, or would be")
    items: list[SettingView]


class LogFilters(Paged):
    """Which lines. All of them hold at once."""

    text: str = Field("", max_length=300, description="in upper or lower case")
    kind: Literal["", "requests", "events", "audit"] = ""
    level: Literal["", "debug", "info", "warning", "error", "critical"] = Field(
        "", description="events of at least this level"
    )
    since: str = Field("", max_length=40, description="7d, 24h, today, 2026-11-01")
    until: str = Field("", max_length=40, description="in the same words; a day counts whole")
    timezone: str = Field("UTC", max_length=60)


class Lines(View):
    """A page of lines, as they stand in the files."""

    items: list[dict[str, JsonValue]]
    next_cursor: str | None


@table.get(
    "/maintenance/settings",
    "Show settings",
    SettingsView,
    where="here",
    command="config show",
    commands=("config path",),
)
async def settings(call: Call[Nothing, Nothing]) -> object:
    """Every setting, its value and where that comes from. Admins only."""
    await call.stage.manage(lambda management: house(management).may_look(call.actor))
    loaded = await asyncio.to_thread(config.load, call.stage.home, os.environ)
    items = [
        {"name": name, "value": value, "source": source} for name, value, source in config.values(loaded)
    ]
    return {"file": str(call.stage.home.config_toml), "items": items}


@table.get(
    "/maintenance/logs",
    "Search the logs",
    Lines,
    query=LogFilters,
    where="here",
    command="logs search",
    commands=("logs tail",),
)
async def logs(call: Call[LogFilters, Nothing]) -> object:
    """The newest line first. Admins only."""
    await call.stage.manage(lambda management: house(management).may_look(call.actor))
    asked = call.query
    found = span(("since", asked.since), ("until", asked.until), time_zone(asked.timezone), call.now_us)
    wanted = Search(asked.text, asked.kind or None, asked.level or None, found.since / 1e6, found.until / 1e6)
    place = place_of(asked.cursor, _LOGS, int, int)
    return await asyncio.to_thread(_page, call, wanted, place)


def _page(call: Call[LogFilters, Nothing], wanted: Search, place: tuple[str | int, ...] | None) -> object:
    """A line is told by its time and its number among those of the same time: new ones do not move it."""
    found = list(reversed(_numbered(logsearch.search(call.stage.home.logs, wanted))))
    if place is not None:
        found = [one for one in found if one[0] < place]
    shown: Any = page(found[: call.query.limit + 1], call.query.limit, _LOGS, lambda one: one[0])
    return {**shown, "items": [content for _, content in shown["items"]]}


def _numbered(lines: list[Line]) -> list[tuple[tuple[int, int], dict[str, Any]]]:
    numbered: list[tuple[tuple[int, int], dict[str, Any]]] = []
    last, number = -1, 0
    for seconds, content, _ in lines:
        moment = int(seconds * 1e6)
        number = number + 1 if moment == last else 0
        last = moment
        numbered.append(((moment, number), content))
    return numbered
