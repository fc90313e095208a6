"""mitmproxy's master for `llm-intercept proxy`: the same work with less of mitmproxy's own.

mitmproxy walks through all addons at each of a call's events, and a second time to say that the flow
was updated. With as many addons as ours that is a fifth of a call's cost; here the hooks that exist are
looked up once. The hooks, their order and what happens when one raises stay the same.
"""

import gc
import inspect
from collections.abc import Callable
from typing import Any

from mitmproxy import flow, hooks, http, options, optmanager
from mitmproxy.addonmanager import AddonManager, safecall
from mitmproxy.addons.termlog import TermLog
from mitmproxy.exceptions import AddonHalt
from mitmproxy.master import Master


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

    async def run(self) -> None:
        # What is loaded by now stays; a full collection that looks through it stops every stream for 0.1 s.
        gc.collect()
        gc.freeze()
        await super().run()


def _unchecked(message: http.MessageData) -> None:
    """Takes the fields of a message as they are."""


def _get_all(headers: http.Headers, name: str | bytes) -> list[str]:
    """The same values, in half the time: headers are asked twenty times in a call, once for every chunk."""
    wanted = (name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")).lower()
    found = [value for field, value in headers.fields if field.lower() == wanted]
    return [value.decode("utf-8", "surrogateescape") for value in found]


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
        self._calls: dict[str, list[Callable[..., Any]]] = {}

    def add(self, *addons: object) -> None:
        super().add(*addons)
        self._calls.clear()

    def remove(self, addon: object) -> None:
        super().remove(addon)
        self._calls.clear()

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        message = event.args()[0]
        await self._call(event.name, message)
        if isinstance(message, flow.Flow):
            await self._call(hooks.UpdateHook.name, [message])

    async def trigger_event(self, event: hooks.Hook) -> None:
        await self._call(event.name, *event.args())

    async def _call(self, name: str, *args: object) -> None:
        calls = self._calls.get(name)
        if calls is None:
            calls = self._calls[name] = self._find(name)
        for call in calls:
            try:
                pending = call(*args)
                if pending is not None and inspect.isawaitable(pending):
                    await pending
            except AddonHalt:
                return
            except Exception:
                with safecall():
                    raise

    def _find(self, name: str) -> list[Callable[..., Any]]:
        hook = object.__new__(hooks.all_hooks[name])
        return [call for addon in self.chain for _, call in self._iter_hooks(addon, hook)]
