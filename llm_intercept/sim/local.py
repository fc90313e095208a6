"""The simulator inside the proxy's own process, started by the first call that needs it."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING

from llm_intercept.settings import SimSettings

if TYPE_CHECKING:
    from llm_intercept.sim.running import Running

NAME = "sim"


def located(settings: SimSettings, home: Path) -> SimSettings:
    """The same, the scenario's file as seen from the home folder."""
    if not settings.scenario:
        return settings
    return settings.model_copy(update={"scenario": str(home / Path(settings.scenario).expanduser())})


class Local:
    """Servers that live in this process, by provider name."""

    def __init__(self, settings: SimSettings, home: Path) -> None:
        self._settings = located(settings, home)
        self._running: Running | None = None
        self._starting: asyncio.Task[None] | None = None

    def address(self, provider: str) -> str | None:
        """The base URL of a local server that is up."""
        return self._running.address if provider == NAME and self._running else None

    def start(self, provider: str) -> Awaitable[None] | None:
        """None when there is nothing to wait for; concurrent first calls share one start."""
        if provider != NAME or self._running is not None:
            return None
        if self._starting is None or self._starting.done():
            self._starting = asyncio.get_running_loop().create_task(self._start())
        return asyncio.shield(self._starting)

    async def _start(self) -> None:
        from llm_intercept.sim.running import (
            start,
        )  # an HTTP server's worth of imports: only for those who use it

        self._running = await start(self._settings)

    async def stop(self) -> None:
        if self._running is not None:
            await self._running.stop()
            self._running = None
