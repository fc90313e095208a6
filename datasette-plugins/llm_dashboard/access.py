"""Who may see what: the way to control.db, what each role may look at, permissions of Datasette's own pages.

control.db is never attached to Datasette. It is opened here, in one thread of its own, so that no
URL and no SQL typed by anybody can reach it.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from datasette import Forbidden
from datasette.app import Datasette
from datasette.permissions import PermissionSQL
from datasette.utils.asgi import Request

from llm_dashboard import config, peers
from llm_intercept import config as configuration
from llm_intercept.auditfile import AuditFile
from llm_intercept.hashing import Hasher
from llm_intercept.home import Home
from llm_intercept.policy.apitokens import allows
from llm_intercept.settings import DashboardSettings, Settings
from llm_intercept.store.accounts import TooManyAttempts
from llm_intercept.store.control import Control
from llm_intercept.store.report_terms import Scope
from llm_intercept.store.scopes import scope_of
from llm_intercept.vault import Vault

COOKIE = "llm_intercept_session"
_ON_DATABASE = frozenset({"view-database", "view-table", "view-query", "execute-sql"})
_MOST_HASHING = 16  # each takes a tenth of a second, one after the other


class Doors:
    """control.db of one running dashboard, and what logins need beside it."""

    def __init__(self, settings: config.Config) -> None:
        self.settings = settings
        self.hasher = Hasher()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="control-db")
        # Hashing is slow on purpose; pages must not wait for it.
        self._hashing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hashing")
        self._waiting = 0
        self._control: Control | None = None

    async def ask[T](self, question: Callable[[Control], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: question(self._opened()))

    async def hash[T](self, work: Callable[[Hasher], T]) -> T:
        """Something with a password, beside control.db's thread."""
        if self._waiting >= _MOST_HASHING:
            raise TooManyAttempts(5)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._hashing, lambda: work(self.hasher))
        finally:
            self._waiting -= 1

    @cached_property
    def _configured(self) -> Settings:
        """Read once: a change in config.toml needs a restart."""
        return configuration.load(Home(self.settings.home), os.environ).settings

    @property
    def login(self) -> DashboardSettings:
        return self._configured.dashboard

    @cached_property
    def trusted_proxies(self) -> tuple[peers.Network, ...]:
        return peers.networks(self.login.trusted_proxies)

    def vouched_for(self, request: Request) -> str | None:
        """Who a proxy says it is; None if none says anything, or none that may."""
        setting = self.login.trusted_header
        if setting is None or not peers.is_in(peers.direct_peer(request), peers.networks(setting.proxies)):
            return None
        return request.headers.get(setting.header.lower(), "").strip() or None

    def _opened(self) -> Control:
        if self._control is None:
            home = Home(self.settings.home)
            self._control = Control(home.control_db, Vault.load(home.secret_key))
            self._control.audit.sink = AuditFile(home.logs, self._configured.log)
        return self._control

    async def close(self) -> None:
        if self._control is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._control.close)
            self._control = None
        self._thread.shutdown(wait=True)
        self._hashing.shutdown(wait=True)


def doors(datasette: Datasette) -> Doors | None:
    """None when the dashboard is not configured."""
    found: Doors | None = getattr(datasette, "_llm_doors", None)
    settings = config.read(datasette)
    if found is None and settings is not None:
        found = datasette._llm_doors = Doors(settings)
    return found


def opened(datasette: Datasette) -> Doors:
    """For pages, which exist only where it is configured."""
    found = doors(datasette)
    assert found is not None
    return found


def require(request: Request) -> None:
    """At the top of every page and endpoint of ours. API tokens may look; forms are for people."""
    known = request.actor or {}
    if not known.get("role"):
        raise Forbidden("You are not logged in.")
    if known.get("kind") != "api_token":
        return
    if request.method not in ("GET", "HEAD") or not allows(known.get("scope", ""), "read"):
        raise Forbidden("This API token is not for that.")


def require_admin(request: Request) -> None:
    """For what concerns everybody."""
    require(request)
    if not is_admin(request):
        raise Forbidden("Only admins may see this.")


def is_admin(request: Request | None) -> bool:
    return request is not None and (request.actor or {}).get("role") == "admin"


async def scope(datasette: Datasette, request: Request) -> Scope:
    """Whose calls the one who asks may see: at the top of every page and endpoint that shows calls."""
    require(request)
    role, user_id = request.actor["role"], request.actor.get("user_id", "")
    return await opened(datasette).ask(lambda control: scope_of(control.database, role, user_id))


def permission(actor: dict[str, str] | None, action: str) -> PermissionSQL | None:
    """Datasette's own pages (tables, reports, SQL) cannot tell whose a row is, so they are for admins."""
    known = actor or {}
    if known.get("role") != "admin" or (
        known.get("kind") == "api_token" and not allows(known.get("scope", ""), "read")
    ):
        return None
    if action == "view-instance":
        return PermissionSQL.allow(reason="admin")
    if action in _ON_DATABASE:
        sql = "SELECT :llm_database AS parent, NULL AS child, 1 AS allow, 'admin' AS reason"
        return PermissionSQL(sql=sql, params={"llm_database": config.DATABASE})
    return None


def wants_html(request: Request) -> bool:
    path = request.path.split("?")[0]
    return not path.endswith((".json", ".csv", ".ndjson")) and "text/html" in request.headers.get(
        "accept", ""
    )
