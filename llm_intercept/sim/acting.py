"""Doing what a scenario's rule says, as far as it comes before an answer of the simulator's own."""

import asyncio
import re
import socket
import struct

from aiohttp import web

from llm_intercept.sim.errors import ErrorShape
from llm_intercept.sim.multipart import buffer, fields, parts
from llm_intercept.sim.scenario import Rule
from llm_intercept.sim.script import Asked
from llm_intercept.sim.serve import BadRequest, Call, pause, refuse
from llm_intercept.sim.wording import failure_of

_KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")
_SIGNED = re.compile(r"Credential=([^/]+)/")


def asked(call: Call) -> Asked:
    """What the rules of a scenario look at."""
    request = call.request
    return Asked(request.method, request.path, call.dialect, _model(call), credential(request))


def credential(request: web.Request) -> str:
    """The key as it came; of a request signed for AWS, the id of the key."""
    given = request.headers.get("authorization", "")
    if signed := _SIGNED.search(given):
        return signed[1]
    found = [request.headers.get(name, "") for name in _KEY_HEADERS]
    return given.partition(" ")[2] or next(filter(None, found), "") or request.query.get("key", "")


def _model(call: Call) -> str:
    if call.path_model:
        return call.path_model
    kind = call.header("content-type")
    if kind.startswith("multipart/"):
        data = buffer(call.file)
        return fields(data, list(parts(data, kind))).get("model", "")
    try:
        return str(call.json().get("model") or "")
    except BadRequest:
        return ""


async def act(call: Call, rule: Rule, shape: ErrorShape) -> web.StreamResponse | None:
    """None: the call is answered, and the rest of the rule shows in how."""
    await pause(rule.delay)
    match rule.then:
        case "error" | "overflow" | "signature":
            return refuse(call, failure_of(rule, call.dialect), shape)
        case "refuse" | "reset":
            await _leave(call, rule.then == "reset")
        case "hang" if rule.after_events is None and rule.after_bytes is None:
            await asyncio.Event().wait()
    return None


async def _leave(call: Call, reset: bool) -> None:
    """Closes the connection without a byte; the handler is cancelled once it is closed."""
    transport = call.request.transport
    if transport is not None and reset:
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    elif transport is not None:
        transport.close()
    await asyncio.Event().wait()
