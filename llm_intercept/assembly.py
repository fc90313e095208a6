"""Parts of the gateway that belong together, put together: the composition root's other half."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from llm_intercept.engine.affinity import Affinity
from llm_intercept.engine.health import Health
from llm_intercept.engine.probing import asker, probe_forever
from llm_intercept.engine.resets import Resets
from llm_intercept.home import Home
from llm_intercept.policy.models import ModelMap
from llm_intercept.policy.pricing import Pricing
from llm_intercept.providers import Registry
from llm_intercept.router import Router, blended_price
from llm_intercept.settings import Settings
from llm_intercept.store import journal, pools, speeds
from llm_intercept.store.control import Control
from llm_intercept.store.issuers import Issuers
from llm_intercept.tools.housekeeping import Daily, Housekeeper, Wishes


def mint(length: int) -> str:
    """Random text that can stand in a URL: for ids that we make up in providers' places."""
    return secrets.token_urlsafe(length)[:length]


@dataclass(slots=True)
class Base:
    """What everything else is built on."""

    home: Home
    settings: Settings
    registry: Registry
    control: Control
    pricing: Pricing


@dataclass(slots=True)
class Routing:
    """Who may answer: what is known of keys and targets, and the router that asks it."""

    health: Health
    issuers: Issuers
    router: Router


def routing(base: Base, models: ModelMap, chance: Callable[[], float]) -> Routing:
    """With what was known before a restart."""
    health = Health(base.settings.breaker, time.time)
    health.restore(*pools.read(base.home.usage_db), speeds.read(base.home.usage_db, time.time_ns() // 1000))
    issuers = Issuers(base.home.usage_db)
    router = Router(
        base.control,
        base.registry,
        models,
        health,
        Resets(health),
        Affinity(issuers.of),
        base.settings,
        partial(blended_price, base.pricing, base.registry.providers),
        chance,
        time.time,
    )
    return Routing(health, issuers, router)


def explaining(base: Base, models: ModelMap) -> Router:
    """As the running proxy has it, from what that has written down; nothing is taken from it.

    Where a strategy draws lots, explanations draw the middle one, so that two of them agree.
    """
    found = routing(base, models, lambda: 0.5)
    found.health.resume(journal.under_way(base.home.journal))
    return found.router


async def probing(base: Base, health: Health) -> None:
    """Looks after targets whose breaker is open, until it is cancelled; nothing unless settings say so."""
    every = base.settings.breaker.probe
    if every:
        ask = asker(base.registry, base.control, base.settings, base.home, time.time)
        await probe_forever(health, ask, every)


def daily(base: Base) -> Callable[[], Iterator[object] | None] | None:
    """The cleaning up that happens once a day; None if settings leave it to the command."""
    settings = base.settings
    if not settings.retention.daily:
        return None
    wishes = Wishes(settings.retention, settings.capture.retention_days)
    vault = base.control.database.vault
    return Daily(base.home, lambda: Housekeeper(base.home, vault, wishes)).begin
