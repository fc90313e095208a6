"""Deleting stored answers from a page or by the API: in a thread of its own, so that others need not wait."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from llm_intercept.errors import StoreError
from llm_intercept.manage import Actor, Management
from llm_intercept.manage.cache import delete
from llm_intercept.store.cache import Which

type Ask = Callable[[Callable[[Management], Any]], Awaitable[Any]]


async def purge(ask: Ask, actor: Actor, which: Which, cache_db: Path) -> int:
    """How many went, of those that are the actor's to delete. Leaves its row, whatever comes of it."""
    own = await ask(lambda management: management.cache.may_purge(actor, which))
    try:
        deleted = await asyncio.to_thread(delete, cache_db, own)
    except StoreError as error:
        failure = error
        await ask(lambda management: management.cache.not_purged(actor, own, failure))
        raise
    await ask(lambda management: management.cache.purged(actor, own, deleted))
    return deleted
