"""What operations work with: the doors to control.db and usage.db, settings, providers, the home folder."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from functools import cached_property

from datasette.app import Datasette

from llm_dashboard import access
from llm_dashboard import config as plugin
from llm_intercept import config
from llm_intercept.home import Home
from llm_intercept.manage import Management
from llm_intercept.providers import Registry
from llm_intercept.providers.base import Provider
from llm_intercept.settings import Settings
from llm_intercept.store.control import Control


class Stage:
    """One for each dashboard. Settings are read once: a change in config.toml needs a restart."""

    def __init__(self, datasette: Datasette, doors: access.Doors) -> None:
        self._datasette = datasette
        self._doors = doors
        self._opened: tuple[Control, Management] | None = None
        self.home = Home(doors.settings.home)
        self.busy = asyncio.Lock()  # with something that takes the whole disk
        self.proxy = doors.settings.proxy

    @cached_property
    def settings(self) -> Settings:
        return config.load(self.home, os.environ).settings

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.settings.providers)

    def provider(self, name: str) -> Provider | None:
        return self.registry.providers.get(name.lower())

    async def manage[T](self, question: Callable[[Management], T]) -> T:
        """In the one thread that has control.db."""
        return await self._doors.ask(lambda control: question(self._management(control)))

    async def usage[T](self, question: Callable[[sqlite3.Connection], T]) -> T:
        """In a thread of Datasette's, with a read-only connection."""
        found: T = await plugin.usage(self._datasette).execute_fn(question)
        return found

    def _management(self, control: Control) -> Management:
        if self._opened is None or self._opened[0] is not control:
            control.tokens.lifetimes = self.settings.tokens.lifetimes()
            made = Management(control, control.audit, self.registry, self.settings)
            self._opened = (control, made)
        return self._opened[1]


def of(datasette: Datasette) -> Stage | None:
    """None when the dashboard is not configured."""
    found: Stage | None = getattr(datasette, "_llm_stage", None)
    doors = access.doors(datasette)
    if found is None and doors is not None:
        found = datasette._llm_stage = Stage(datasette, doors)
    return found
