"""mitmproxy's master for `llm-intercept proxy`: the same work with less of mitmproxy's own.

mitmproxy walks through all addons at each of a call's events, and a second time to say that the flow
was updated. With as many addons as ours that is a fifth of a call's cost; here the hooks that exist are
looked up once. The hooks, their order and what happens when one raises stay the same.
"""

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from typing import Any

from mitmproxy import flow, hooks, http, options, optmanager
from mitmproxy.addonmanager import AddonManager, safecall
from mitmproxy.addons.termlog import TermLog
from mitmproxy.exceptions import AddonHalt, AddonManagerError
from mitmproxy.master import Master
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler
from mitmproxy.utils import asyncio_utils

from llm_intercept.cli import lean_memory


class LeanMaster(Master):
    """With the terminal's log as its first addon."""

    def __init__(self) -> None:
        super().__init__(LeanOptions())
        self.addons: LeanAddons = LeanAddons(self)
        self._termlog_addon = TermLog()
        self.addons.add(self._termlog_addon)
        # A check for mitmproxy's developers (it stands under `if __debug__`): a tenth of a call's cost.
        http.MessageData.__post_init__ = _unchecked  # type: ignore[method-assign]
        http.Headers.get_all = _get_all  # type: ignore[method-assign, assignment]
        http.Headers.get = _get  # type: ignore[method-assign, assignment]
        http.Headers.__contains__ = _contains  # type: ignore[method-assign, assignment]
        Context.fork = _forked  # type: ignore[method-assign, assignment]
        hooks.Hook.args = _args  # type: ignore[method-assign, assignment]
        asyncio_utils.set_task_debug_info = _named
        ProxyConnectionHandler.handle_hook = _handle_hook  # type: ignore[method-assign]

    async def run(self) -> None:
        lean_memory.settle()
        with lean_memory.trimmed(lean_memory.trimmer()):
            await super().run()


def _unchecked(message: http.MessageData) -> None:
    """Takes the fields of a message as they are."""


def _key(name: str | bytes) -> bytes:
    return (name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")).lower()


def _get_all(headers: http.Headers, name: str | bytes) -> list[str]:
    """The same values, in a third of the time: headers are asked twenty times in a call, once for a chunk."""
    wanted = _key(name)
    size = len(wanted)
    found = [value for field, value in headers.fields if len(field) == size and field.lower() == wanted]
    return [value.decode("utf-8", "surrogateescape") for value in found]


def _get(headers: http.Headers, name: str | bytes, default: Any = None) -> Any:
    """Without an exception for each header that is not there."""
    found = _get_all(headers, name)
    return ", ".join(found) if found else default


def _contains(headers: http.Headers, name: object) -> bool:
    wanted = _key(name) if isinstance(name, str | bytes) else b""
    size = len(wanted)
    for field, _ in headers.fields:  # noqa: SIM110 (a generator takes twice as long)
        if len(field) == size and field.lower() == wanted:
            return True
    return False


_FIELDS: dict[type[hooks.Hook], tuple[str, ...]] = {}


def _args(hook: hooks.Hook) -> list[Any]:
    """The names of a class's fields are looked up once."""
    names = _FIELDS.get(type(hook))
    if names is None:
        names = _FIELDS[type(hook)] = tuple(f.name for f in fields(hook))  # type: ignore[arg-type]
    return [getattr(hook, name) for name in names]


def _named(task: asyncio.Task[Any], *, name: str, client: tuple[Any, ...] | None = None) -> None:
    """What mitmproxy says of a task in its log; most are over by now, and nothing is said of them."""
    if not task.done():
        task.created = time.time()  # type: ignore[attr-defined]
        task.set_name(name)
        if client:  # what was said of it before stays
            task.client = client  # type: ignore[attr-defined]


async def _handle_hook(self: ProxyConnectionHandler, hook: StartHook) -> None:
    """With its watchdog stopped by hand: a context manager costs more than most hooks."""
    watchdog = self.timeout_watchdog
    watchdog.can_timeout.clear()
    watchdog.blocker += 1
    try:
        await self.master.addons.handle_lifecycle(hook)
        message = hook.args()[0]
        if isinstance(message, flow.Flow) and message.intercepted:
            await message.wait_for_resume()
    finally:
        watchdog.blocker -= 1
        if not watchdog.blocker:
            watchdog.register_activity()
            watchdog.can_timeout.set()


def _forked(context: Context) -> Context:
    """Without the server connection that is made there and replaced at once."""
    forked = object.__new__(Context)
    forked.__dict__.update(context.__dict__)
    forked.layers = context.layers.copy()
    return forked


class LeanOptions(options.Options):
    """What cannot be changed in place is given out as it is: mitmproxy copies it deeply, for every chunk."""

    def __getattr__(self, name: str) -> Any:
        option = self._options.get(name)
        if option is not None:
            value = option._default if option.value is optmanager.unset else option.value
            if value is None or isinstance(value, (bool, int, str)):
                return value
        return super().__getattr__(name)


class LeanAddons(AddonManager):
    """For addons that have all their hooks when they are added."""

    def __init__(self, master: Master) -> None:
        super().__init__(master)
        self._calls: dict[str, list[tuple[Callable[..., Any], ...]]] = {}

    def add(self, *addons: object) -> None:
        super().add(*addons)
        self._calls.clear()

    def remove(self, addon: object) -> None:
        super().remove(addon)
        self._calls.clear()

    def clear(self) -> None:
        super().clear()
        self._calls.clear()

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        message = event.args()[0]
        await self._call(event.name, message)
        if isinstance(message, flow.Flow) and self._of(hooks.UpdateHook.name):
            await self._call(hooks.UpdateHook.name, [message])

    async def trigger_event(self, event: hooks.Hook) -> None:
        await self._call(event.name, *event.args())

    async def _call(self, name: str, *args: object) -> None:
        for calls in self._of(name):
            try:
                for call in calls:
                    pending = call(*args)
                    if pending is not None and inspect.isawaitable(pending):
                        await pending
            except AddonHalt:
                return
            except Exception:
                with safecall():
                    raise

    def _of(self, name: str) -> list[tuple[Callable[..., Any], ...]]:
        """The hooks of each addon and those inside it, which one that raises keeps from being called."""
        calls = self._calls.get(name)
        if calls is None:
            hook = object.__new__(hooks.all_hooks[name])
            found = (tuple(self._find(addon, hook)) for addon in self.chain)
            calls = self._calls[name] = [one for one in found if one]
        return calls

    def _find(self, addon: object, hook: hooks.Hook) -> Iterator[Callable[..., Any]]:
        try:
            for _, call in self._iter_hooks(addon, hook):
                yield call
        except AddonManagerError as error:  # something of that name that cannot be called
            yield partial(_complain, str(error))


def _complain(text: str, *args: object) -> None:
    raise AddonManagerError(text)
