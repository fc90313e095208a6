"""Security headers on every answer, and quiet access logs for what the page itself polls."""

import importlib
import logging
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from llm_intercept.secrecy import traced

logger = logging.getLogger(__name__)
LIVE_PATH = "/-/llm/live.json"

type Scope = MutableMapping[str, Any]
type App = Callable[[Scope, Callable[..., Awaitable[Any]], Callable[..., Awaitable[None]]], Awaitable[None]]

_COMMON = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_SHARED = (
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_STRICT = f"default-src 'none'; script-src 'self'; style-src 'self'; {_SHARED}".encode()
# Datasette's own pages carry inline scripts and styles.
_INLINE = "script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
_CORE = f"default-src 'self'; {_INLINE}; {_SHARED}".encode()


def wrap(app: App, base: str) -> App:
    async def secured(scope: Scope, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        extra = [*_COMMON, (b"content-security-policy", _STRICT if _is_ours(scope["path"], base) else _CORE)]

        async def sending(event: MutableMapping[str, Any]) -> None:
            if event["type"] == "http.response.start":
                event = {**event, "headers": [*event.get("headers", []), *extra]}
            await send(event)

        await app(scope, receive, sending)

    return secured


def _is_ours(path: str, base: str) -> bool:
    inside = "/" + path.removeprefix(base).lstrip("/")
    return inside == "/" or inside.startswith(("/-/llm/", "/-/api"))


class QuietPolling(logging.Filter):
    """Leaves a line for what a person opened, not for what their page fetches by itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        return LIVE_PATH not in line and "/-/static" not in line


class BareAddresses(logging.Filter):
    """Queries stay out of access logs: the codes of one-time links are in them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_bare(part) for part in record.args)
        return True


def _bare(part: object) -> object:
    return part.partition("?")[0] if isinstance(part, str) and part.startswith("/") else part


class QuietStart(logging.Filter):
    """The server's own words on its start: who starts it says where it is."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING


def no_variables_in_errors() -> None:
    """Where `rich` is installed, Datasette prints every error with the values of all variables on the way to
    it: passwords in forms, cookies, tokens. Without it, it prints a traceback of what is a fault: ours has no
    keys in what the exception says.
    """
    handler = importlib.import_module("datasette.handle_exception")
    handler.rich = None  # type: ignore[attr-defined]
    handler.traceback = Tracebacks  # type: ignore[attr-defined]


class Tracebacks:
    """In the place of the module `traceback`."""

    @staticmethod
    def print_exc() -> None:
        error = sys.exception()
        if error is not None:
            logger.error("a page failed: %s", traced(error))


def quiet_access_log() -> None:
    kinds = (
        ("uvicorn.access", QuietPolling),
        ("uvicorn.access", BareAddresses),
        ("uvicorn.error", QuietStart),
    )
    for name, kind in kinds:
        log = logging.getLogger(name)
        if not any(isinstance(known, kind) for known in log.filters):
            log.addFilter(kind())
