"""The page of named listeners: how each stands, its defaults, its calls, and how to point a client at it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from datasette import Response
from datasette.app import Datasette
from datasette.utils.asgi import Request

from llm_dashboard import access, clock, config
from llm_intercept import presence
from llm_intercept.config import is_loopback
from llm_intercept.policy import listeners as rules
from llm_intercept.store import report_rows
from llm_intercept.store.listeners import Listener
from llm_intercept.store.report_terms import EVERYTHING, Row
from llm_intercept.store.report_time import Window

_DAY = 86_400_000_000
_TONES = {"running": "good", "error": "bad", "stopped": "quiet"}
_TOKENS = {"": "as in settings", "open": "optional", "required": "required"}


@dataclass(frozen=True, slots=True)
class Line:
    """A listener as the page shows it; `calls` are those of the last 24 hours, None for none."""

    listener: Listener
    kind: rules.Kind
    standing: str
    tone: str
    tokens: str
    calls: Row | None


async def page(datasette: Datasette, request: Request) -> Response:
    access.require_admin(request)
    opened, now = access.doors(datasette), clock.now()
    if opened is None:
        return Response.redirect(datasette.urls.instance())
    home, day = opened.settings.home, Window(now - _DAY, now + 1)
    stored, calls, proxy = await asyncio.gather(
        opened.ask(lambda control: control.listeners.list()),
        config.usage(datasette).execute_fn(lambda conn: report_rows.by_listener(conn, day, EVERYTHING)),
        asyncio.to_thread(presence.find, home),
    )
    words, state = (request.args.get(name, "").strip() for name in ("q", "state"))
    lines = [line(listener, proxy is not None, calls) for listener in stored]
    context = {
        "lines": [each for each in lines if _fits(each, words, state)],
        "home": home,
        "proxy": proxy,
        "states": sorted({each.standing for each in lines}),
        "chosen": {"q": words, "state": state},
        "filtered": bool(words or state),
        "now": now,
    }
    return Response.html(await datasette.render_template("llm/listeners.html", context, request=request))


def _fits(line: Line, words: str, state: str) -> bool:
    listener = line.listener
    whole = f"{listener.name} {listener.mode} {listener.project} {listener.provider}".lower()
    return state in ("", line.standing) and all(word in whole for word in words.lower().split())


def line(listener: Listener, alive: bool, calls: Mapping[str, Row]) -> Line:
    standing, mode = listener.standing(alive), rules.parse(listener.mode)
    exposed = mode.has_port and not is_loopback(listener.host)
    tokens = "required" if exposed else _TOKENS[listener.auth]
    return Line(listener, mode.kind, standing, _TONES.get(standing, "warn"), tokens, calls.get(listener.name))
