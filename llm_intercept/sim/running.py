"""Starting and stopping the simulator inside an event loop that is already running."""

from dataclasses import dataclass

from aiohttp import web

from llm_intercept.settings import SimSettings
from llm_intercept.sim.app import create_app
from llm_intercept.sim.serve import SIMULATOR, Simulator

_GRACE = 0.5  # seconds that open answers get when it stops


@dataclass(frozen=True, slots=True)
class Running:
    """A listening simulator; `address` is its base URL without a trailing slash."""

    address: str
    host: str
    port: int
    simulator: Simulator
    _runner: web.AppRunner

    async def stop(self) -> None:
        """Closes the listener and what is still open."""
        await self._runner.cleanup()


async def start(settings: SimSettings, host: str = "127.0.0.1", port: int = 0) -> Running:
    """Listens on `host:port` (0 = any free port); OSError if that is taken."""
    app = create_app(settings)
    runner = web.AppRunner(
        app, handler_cancellation=True, shutdown_timeout=_GRACE, auto_decompress=False, access_log=None
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    bound = runner.addresses[0][1]
    shown = f"[{host}]" if ":" in host else host
    return Running(f"http://{shown}:{bound}", host, bound, app[SIMULATOR], runner)
