"""Connections of clients that outlast their client: a part of `upstream.py`, for calls that are still read.

mitmproxy ends everything that belongs to a client's connection with that connection. `install` makes the
task that serves a client last until the calls that were kept are over; the connection itself is closed and
forgotten before.
"""

import asyncio
from typing import cast
from weakref import WeakKeyDictionary, WeakSet

from mitmproxy.connection import Client, Connection, ConnectionState
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy import events
from mitmproxy.proxy.server import ConnectionHandler

LOOK_SECONDS = 0.05
GRACE_SECONDS = 10.0  # for what waits in hooks; nobody waits for a layer that has crashed

_kept: WeakKeyDictionary[Client, WeakSet[HTTPFlow]] = WeakKeyDictionary()
_handle_connection = ConnectionHandler.handle_connection


def keep(client: Client, flow: HTTPFlow) -> None:
    """This call is not to end with its client; `flow.metadata["drain"]` says for how long."""
    _kept.setdefault(client, WeakSet()).add(flow)


def install() -> None:
    ConnectionHandler.handle_connection = _to_its_end  # type: ignore[method-assign]


async def _to_its_end(self: ConnectionHandler, connection: Connection) -> None:
    try:
        await _handle_connection(self, connection)
    finally:
        if connection in self.transports:
            await _forget(self, connection)
        flows = _kept.pop(cast(Client, connection), None) if connection is self.client else None
        if flows is not None and any(flow.live for flow in flows):
            await _read(flows)


async def _forget(handler: ConnectionHandler, connection: Connection) -> None:
    """It was cancelled while it waited for another event to be handled, where mitmproxy counts on no wait."""
    connection.state = ConnectionState.CLOSED
    await handler.server_event(events.ConnectionClosed(connection))
    ends = handler.transports.pop(connection, None)
    if ends is not None and ends.writer is not None:
        ends.writer.close()


async def _read(flows: WeakSet[HTTPFlow]) -> None:
    """This task may have been cancelled already: that was about the connection."""
    reading = asyncio.ensure_future(_all_read(flows))
    while not reading.done():
        try:
            await asyncio.shield(reading)
        except asyncio.CancelledError:
            continue


async def _all_read(flows: WeakSet[HTTPFlow]) -> None:
    now = asyncio.get_running_loop().time
    until = now() + max(float(flow.metadata["drain"].split()[0]) for flow in flows) + GRACE_SECONDS
    while any(flow.live for flow in flows) and now() < until:
        await asyncio.sleep(LOOK_SECONDS)
