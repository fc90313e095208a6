"""Named listeners: the table of `control.db` applied to what this process listens on.

Each is a server instance of mitmproxy, beside the servers of its option `mode`: starting or stopping one
touches no other, and a port that cannot be had is an exception here and not an error log that ends a start.
What was running when the last proxy ended, however it ended, is started again.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping

from mitmproxy.proxy import server_hooks

from addons import doors
from addons.exchanges import Exchanges
from llm_intercept.environment import LOCAL_HOSTS
from llm_intercept.errors import InterceptError
from llm_intercept.store.listeners import Listener, State

logger = logging.getLogger("llm_intercept")

LOOK_SECONDS = 0.5


class Listeners:
    """Looks at the table twice a second; a look costs microseconds while nobody has changed it."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges
        self._served: dict[str, doors.Served] = {}
        self._watching: asyncio.Task[None] | None = None

    def running(self) -> None:
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def done(self) -> None:
        """Nothing new is accepted. The table stays as it is: that is what the next start reads."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        for served in self._served.values():
            with contextlib.suppress(*doors.FAILURES):
                await served.instance.stop()
        self._served.clear()

    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """As mitmproxy does for its own servers: nothing is sent in a circle."""
        if not self._served or data.server.address is None:
            return
        host, port = data.server.address[:2]
        for served in self._served.values():
            listener = served.listener
            if port == listener.port and host in (listener.host, *LOCAL_HOSTS):
                data.server.error = f"this call would come back to the listener {listener.name}"

    async def _watch(self) -> None:
        await asyncio.sleep(0)  # until all addons are running
        await self._look(self._start_left)
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._look(self._apply)

    async def _look(self, act: Callable[[Mapping[str, Listener]], Awaitable[None]]) -> None:
        try:
            await act(self._table())
        except (sqlite3.Error, InterceptError) as error:
            logger.warning("the table of listeners could not be applied: %s", error)

    def _table(self) -> Mapping[str, Listener]:
        control = self.exchanges.gateway.control
        control.refresh()
        return control.listening

    async def _start_left(self, table: Mapping[str, Listener]) -> None:
        left = [listener for listener in table.values() if listener.wanted == "running"]
        if left:
            logger.info("Found %d proxies that were left in running state", len(left))
        await asyncio.gather(*(self._start(listener, "Successfully restarted") for listener in left))

    async def _apply(self, table: Mapping[str, Listener]) -> None:
        for name, served in list(self._served.items()):
            listener = table.get(name)
            if listener is None or listener.id != served.listener.id or listener.wanted != "running":
                await self._stop(served)
        for listener in table.values():
            if listener.name in self._served:
                continue
            if listener.wanted == "running" and listener.state != "error":
                await self._start(listener, "Started")
            elif listener.wanted != "running" and listener.state == "running":
                self._report(listener, "stopped")

    async def _start(self, listener: Listener, words: str) -> None:
        try:
            self._served[listener.name] = await doors.opened(self.exchanges, listener)
        except doors.FAILURES as error:
            problem = doors.problem(self.exchanges, listener, error)
            logger.warning("proxy %s could not be started: %s", listener.name, problem)
            self._report(listener, "error", problem)
        else:
            logger.info("%s proxy %s on %s", words, listener.name, _where(listener))
            self._report(listener, "running")

    async def _stop(self, served: doors.Served) -> None:
        listener = served.listener
        del self._served[listener.name]
        with contextlib.suppress(*doors.FAILURES):
            await doors.shut(self.exchanges, served)
        logger.info("Stopped proxy %s on %s", listener.name, _where(listener))
        if (row := self._table().get(listener.name)) is not None and row.id == listener.id:
            self._report(listener, "stopped")

    def _report(self, listener: Listener, state: State, problem: str = "") -> None:
        control = self.exchanges.gateway.control
        was = control.listeners.get(listener.name).state
        control.listeners.set_state(listener.name, state, problem)
        if state != was or state != "stopped":  # one that has stopped may be found so a second time
            self.exchanges.gateway.watch.listener(listener, state, problem)


def _where(listener: Listener) -> str:
    return f"port {listener.port}" if listener.port is not None else listener.mode
