"""The page of keys and targets: cool-downs, room left, breakers, what went on to another try."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from datasette import Forbidden, Response
from datasette.app import Datasette
from datasette.utils.asgi import Request

from llm_dashboard import access, clock, config
from llm_dashboard.authentication import actor_of
from llm_intercept import errors
from llm_intercept.manage.breakers import Breakers
from llm_intercept.manage.desk import Desk
from llm_intercept.policy import cooling
from llm_intercept.policy.actor import Actor
from llm_intercept.policy.cooling import Room
from llm_intercept.store import pools, report_tries
from llm_intercept.store.breakers import ResetKey
from llm_intercept.store.control import Control
from llm_intercept.store.credentials import Credential
from llm_intercept.store.pools import BreakerRow, KeyRow
from llm_intercept.store.report_terms import EVERYTHING
from llm_intercept.store.report_time import Window

PATH = "/-/llm/targets"
_DAY = 86_400_000_000
_STATES = {"closed": ("closed", "good"), "open": ("open", "bad"), "half_open": ("half-open", "warn")}
_LIMITS = ("requests", "tokens", "input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A stored key as the page shows it."""

    key: Credential
    cooling_until: int = 0  # epoch microseconds; 0: in use
    reason: str = ""
    seen: int = 0
    rooms: dict[str, Room] = field(default_factory=dict)
    denied: list[KeyRow] = field(default_factory=list)  # models that it is refused for
    asked: bool = False  # somebody wants it back, and the proxy has not got to it


@dataclass(frozen=True, slots=True)
class BreakerLine:
    row: BreakerRow
    label: str
    tone: str
    asked: bool


async def page(datasette: Datasette, request: Request) -> Response:
    access.require_admin(request)
    opened, now = access.doors(datasette), clock.now()
    if opened is None:
        return Response.redirect(datasette.urls.instance())
    run, day = config.usage(datasette).execute_fn, Window(now - _DAY, now + 1)
    (stored, asked), known, breakers, counted, failed_over = await asyncio.gather(
        opened.ask(_stored),
        run(pools.read_keys),
        run(pools.read_breakers),
        run(lambda conn: report_tries.again(conn, day, EVERYTHING)),
        run(lambda conn: report_tries.failovers(conn, day, EVERYTHING)),
    )
    context = {
        "keys": [key_line(key, known, asked, now) for key in stored],
        "breakers": breaker_lines(breakers, asked),
        "again": counted,
        "failovers": failed_over,
        "now": now,
    }
    return Response.html(await datasette.render_template("llm/targets.html", context, request=request))


def _stored(control: Control) -> tuple[list[Credential], Mapping[ResetKey, int]]:
    return control.credentials.list(), control.breakers.asked()


def key_line(key: Credential, known: Sequence[KeyRow], asked: Mapping[ResetKey, int], now: int) -> KeyLine:
    """What is over by now is not shown."""
    mine = [row for row in known if (row.provider, row.credential) == (key.provider, key.name)]
    whole = next((row for row in mine if not row.model), None)
    denied = [row for row in mine if row.model and row.cooling_until_us > now]
    if whole is None:
        return KeyLine(key, denied=denied)
    is_cooling = whole.cooling_until_us > now
    headroom = cooling.of_json(whole.headroom)
    rooms = {name: getattr(headroom, name, None) for name in _LIMITS}
    return KeyLine(
        key,
        whole.cooling_until_us if is_cooling else 0,
        whole.reason if is_cooling else "",
        whole.seen_us,
        {name.replace("_", " "): room for name, room in rooms.items() if room is not None},
        denied,
        is_cooling and _is_asked(asked, key.provider, key.name, "", whole.seen_us),
    )


def breaker_lines(rows: Sequence[BreakerRow], asked: Mapping[ResetKey, int]) -> list[BreakerLine]:
    """Those in trouble first, the latest first."""
    ordered = sorted(rows, key=lambda row: (row.state == "closed", -row.changed_us))
    return [
        BreakerLine(
            row,
            *_STATES.get(row.state, (row.state, "quiet")),
            row.state != "closed"
            and _is_asked(asked, row.provider, row.credential, row.model, row.changed_us),
        )
        for row in ordered
    ]


def _is_asked(asked: Mapping[ResetKey, int], provider: str, credential: str, model: str, since: int) -> bool:
    place = (provider, credential, model)
    return any(
        at > since and all(wanted in ("", is_) for wanted, is_ in zip(key, place, strict=True))
        for key, at in asked.items()
    )


async def reset(datasette: Datasette, request: Request) -> Response:
    """POST only. Datasette refuses one that comes from another site (Sec-Fetch-Site, Origin)."""
    access.require(request)
    opened = access.doors(datasette)
    if request.method == "POST" and opened is not None:
        form = await request.post_vars()
        place = tuple(form.get(name, "")[:300] for name in ("provider", "credential", "model"))
        if place[0]:
            who = actor_of(request)
            try:
                await opened.ask(lambda control: _reset(control, who, *place))
            except errors.Forbidden as error:
                raise Forbidden(str(error)) from error
    return Response.redirect(datasette.urls.path(PATH))


def _reset(control: Control, who: Actor, provider: str, credential: str, model: str) -> None:
    Breakers(Desk(control, control.audit)).reset(who, provider, credential, model)
