"""What commands start from: the environment, and what it leads to, opened on first use."""

import os
import pwd
import sqlite3
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import click

from llm_intercept import bundle, ca, config, environment, presence
from llm_intercept.errors import NotFound
from llm_intercept.home import Home
from llm_intercept.manage import Actor, Management
from llm_intercept.providers import Registry
from llm_intercept.providers.base import Provider
from llm_intercept.settings import Settings
from llm_intercept.store import report_terms
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault


class Session:
    """One invocation. Whatever needs the home creates what is missing in it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    @cached_property
    def home(self) -> Home:
        return Home.find(self.environ)

    @cached_property
    def loaded(self) -> config.Loaded:
        return config.load(self.home, self.environ)

    @property
    def settings(self) -> Settings:
        return self.loaded.settings

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.settings.providers)

    @cached_property
    def control(self) -> Control:
        self.home.ensure()
        vault = Vault.load(self.home.secret_key, self.environ)
        return Control(self.home.control_db, vault, lifetimes=self.settings.tokens.lifetimes())

    @cached_property
    def manage(self) -> Management:
        """For everything that changes something: it leaves a row in the audit log."""
        return Management(self.control, self.control.audit, self.registry, self.settings)

    @cached_property
    def actor(self) -> Actor:
        return local_actor()

    @cached_property
    def usage(self) -> sqlite3.Connection:
        self.home.ensure()
        return report_terms.connect(self.home.usage_db)

    @property
    def now(self) -> float:
        return time.time()

    @property
    def now_us(self) -> int:
        return time.time_ns() // 1000

    @property
    def proxy_url(self) -> str:
        """Where this home's proxy is; where it would be if none is running."""
        settings = self.settings
        return presence.find(self.home.path) or environment.proxy_url(settings.host, settings.port)

    def authority(self) -> ca.Authority:
        return ca.ensure(self.home.certs, self.registry.ca_names(), self.now)

    def bundle(self) -> Path:
        self.authority()
        return bundle.ensure(self.home.certs, self.environ, self.now)

    def provider(self, name: str) -> Provider:
        found = self.registry.providers.get(name.lower())
        if found is None:
            raise NotFound(f"there is no provider {name!r}; `llm-intercept provider list` shows all")
        return found

    def close(self) -> None:
        self.__dict__.pop("manage", None)
        for name in ("control", "usage"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()


def local_actor() -> Actor:
    """Whoever can run commands here can do everything; the name is the operating system's."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run us as a number
        name = str(os.getuid())
    return Actor("cli", name, "admin")


pass_session = click.make_pass_decorator(Session)
