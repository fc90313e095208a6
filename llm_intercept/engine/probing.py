"""Cheap probes of targets whose breaker is open: the provider's list of models, asked for with the same key.

One that succeeds makes the breaker half-open, so that the next call is the trial and need not wait for it.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable

from llm_intercept.engine.health import Health, TargetKey
from llm_intercept.errors import InterceptError
from llm_intercept.home import Home
from llm_intercept.providers import Registry
from llm_intercept.settings import Settings
from llm_intercept.store.control import Control
from llm_intercept.store.credentials import StoredCredential

log = logging.getLogger(__name__)

type Ask = Callable[[str, str], Awaitable[bool]]
"""(provider, credential) -> whether it answers."""


async def probe_forever(health: Health, ask: Ask, every: float) -> None:
    """Until it is cancelled; `every` in seconds (`breaker.probe`, not 0)."""
    while True:
        await asyncio.sleep(every)
        await probe_once(health, ask)


async def probe_once(health: Health, ask: Ask) -> None:
    """Each key once, however many of its models are open."""
    by_key: dict[tuple[str, str], list[TargetKey]] = defaultdict(list)
    for target in health.open_targets():
        by_key[target.provider, target.credential].append(target)
    answers = await asyncio.gather(*(_asked(ask, *place) for place in by_key))
    for targets, answered in zip(by_key.values(), answers, strict=True):
        if answered:
            for target in targets:
                health.probed(target)


async def _asked(ask: Ask, provider: str, credential: str) -> bool:
    try:
        return await ask(provider, credential)
    except (InterceptError, OSError, ValueError) as error:
        log.warning("%s cannot be probed: %s", provider, error)
        return False


def asker(
    registry: Registry, control: Control, settings: Settings, home: Home, now: Callable[[], float]
) -> Ask:
    """Asks providers themselves. Not where there is nothing to ask with: a client's own key is not ours."""

    async def ask(name: str, credential: str) -> bool:
        from llm_intercept.keytest import run_test  # with an HTTP client that only probes need

        provider = registry.providers.get(name)
        key = _key(control, name, credential)
        if provider is None or (key is None and not provider.key_optional):
            return False
        found = await run_test(registry, provider, key, settings, home, now())
        return found.ok and found.status is not None

    return ask


def _key(control: Control, provider: str, name: str) -> StoredCredential | None:
    return next((key for key in control.keys(provider) if key.name == name), None)
