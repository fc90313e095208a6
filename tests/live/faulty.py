"""`llm-intercept` with bugs: a script that is started in its place and takes the same arguments.

A call asks for its bug by the header `x-fault`. `Route.request` raises in place of what that hook
does, `Route.request late` after it; both under the guard that the hook is wrapped in. Other parts
fail where they meet the word that stands in `MARKS`.
"""

import errno
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from addons.gateway import addons
from llm_intercept import gateway, ledger
from llm_intercept.cli import main
from llm_intercept.store import bodies, journal
from llm_intercept.wire import tap
from llm_intercept.wire.dialects import openai_chat


def guarded(guard: str) -> list[tuple[type, str]]:
    """The hooks of all addons that stand under this guard, in the order of the pipeline."""
    found = [(type(addon), name, hook) for addon in addons for name, hook in vars(type(addon)).items()]
    return [(addon, name) for addon, name, hook in found if _guard(hook) == guard]


def _guard(hook: object) -> str:
    """`functools.wraps` hides the guard's name everywhere but in the code itself."""
    code = getattr(hook, "__code__", None)
    return code.co_qualname.partition(".")[0] if code is not None and code.co_name == "guarded" else ""


GATES = guarded("fail_closed")
OBSERVERS = guarded("fail_open")


# What each call asked for: a translated one goes on without the client's headers.
WANTED: WeakKeyDictionary[object, str] = WeakKeyDictionary()


class Injected(Exception):
    """No type that anybody expects."""


def spoil(addon: type, hook: str) -> None:
    """Puts the bug inside the guard's own closure."""
    guarded = getattr(addon, hook)
    [cell] = [
        c for n, c in zip(guarded.__code__.co_freevars, guarded.__closure__, strict=True) if n == "hook"
    ]
    inner = cell.cell_contents
    name = f"{addon.__name__}.{hook}"

    @functools.wraps(inner)
    def faulty(self: Any, flow: Any) -> Any:
        fault = WANTED.setdefault(flow, flow.request.headers.get("x-fault", ""))
        if fault == name:
            raise Injected(f"{name} {_everything(flow)}")
        result = inner(self, flow)
        if fault == f"{name} late":
            raise Injected(f"{name} {_everything(flow)}")
        return result

    cell.cell_contents = faulty


def _everything(flow: Any) -> str:
    """An exception may repeat whatever it was about."""
    request = flow.request
    answer = flow.response.headers if flow.response else ""
    return f"{request.method} {request.path} {dict(request.headers)} {request.raw_content!r} {answer}"


async def _fail() -> None:
    raise Injected("an awaited part")


def start_local(_: gateway.Gateway, provider: str) -> Any:
    return _fail() if provider == "sim" else None


def fail_on(owner: Any, name: str, is_meant: Callable[..., bool], error: Exception) -> None:
    inner = getattr(owner, name)

    @functools.wraps(inner)
    def faulty(*args: Any, **more: Any) -> Any:
        if is_meant(*args):
            error.args = (*error.args[:2], repr(args))
            raise error
        return inner(*args, **more)

    setattr(owner, name, faulty)


def spoil_parts() -> None:
    no_space = OSError(errno.ENOSPC, "No space left on device")
    fail_on(tap.Tap, "feed", lambda self, chunk, now: b"fault-tap" in chunk, Injected("tap"))
    fail_on(openai_chat, "read_event", lambda r, e, p: "fault-dialect" in str(p), Injected("dialect"))
    fail_on(openai_chat, "read_request", lambda body: b"fault-read" in body, Injected("read"))
    fail_on(journal.Journal, "_append", lambda self, ids, lines: b"fault-journal" in lines, no_space)
    fail_on(ledger.Ledger, "row", lambda self, exchange: exchange.model == "fault-ledger", Injected("ledger"))
    fail_on(bodies, "_packed", lambda body, capture: b"fault-bodies" in body.content, Injected("bodies"))


if __name__ == "__main__":
    for addon, hook in GATES + OBSERVERS:
        spoil(addon, hook)
    gateway.Gateway.start_local = start_local  # type: ignore[method-assign]
    spoil_parts()
    sys.exit(main())
