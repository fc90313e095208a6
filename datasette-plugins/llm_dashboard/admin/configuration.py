"""What is configured, and where each value comes from: read only, secrets hidden."""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

from datasette import Response

from llm_dashboard.admin.visit import Visit
from llm_intercept import config

_SECTIONLESS = "general"


@dataclass(frozen=True, slots=True)
class Line:
    """One setting."""

    name: str
    value: str
    source: str


async def page(visit: Visit) -> Response:
    loaded = await asyncio.to_thread(config.load, visit.home, os.environ)
    changed, search = visit.arg("changed") == "yes", visit.arg("q").lower()
    lines = [
        line
        for line in _lines(loaded)
        if (not changed or line.source != config.DEFAULT) and search in line.name.lower()
    ]
    groups: dict[str, list[Line]] = {}
    for line in lines:
        head, dot, _ = line.name.partition(".")
        groups.setdefault(head if dot else _SECTIONLESS, []).append(line)
    return await visit.page(
        "settings",
        groups=groups,
        file=visit.home.config_toml,
        exists=visit.home.config_toml.exists(),
        default=config.DEFAULT,
        changed=changed,
        q=visit.arg("q"),
    )


def _lines(loaded: config.Loaded) -> Iterator[Line]:
    return (Line(name, _shown(value), source) for name, value, source in config.values(loaded))


def _shown(value: object) -> str:
    return value if isinstance(value, str) else "not set" if value is None else json.dumps(value)
