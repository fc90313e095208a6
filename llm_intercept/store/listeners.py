"""Named listeners in `control.db`: ports of their own with defaults of their own.

Two columns say how one is: `wanted` is what a command asked for, `state` what the proxy last made of it. A
proxy that ends leaves both as they are, which is how the next one knows what to start again.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from llm_intercept import environment
from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.policy import listeners as rules
from llm_intercept.store.database import Database, Row, checked_name
from llm_intercept.store.projects import check_cache

type State = Literal["running", "stopped", "error"]

AUTH = ("", "open", "required")
_SELECT = (
    "SELECT id, name, mode, host, port, provider, project, auth, cache, wanted, state, problem,"
    " created_at, changed_at FROM listeners "
)


@dataclass(frozen=True, slots=True)
class Listener:
    """`provider`, `project`, `auth` and `cache` are "" where it has no default of its own."""

    id: str
    name: str
    mode: str
    host: str
    port: int | None
    provider: str
    project: str
    auth: str
    cache: str
    wanted: str
    state: str
    problem: str
    created_at: str
    changed_at: str

    @property
    def running(self) -> bool:
        """It is, or it is about to be."""
        return self.state == "running" or (self.wanted == "running" and self.state != "error")

    @property
    def url(self) -> str:
        """What a client on this machine connects to; "" where it connects to nothing."""
        if self.port is None or rules.parse(self.mode).transport != "tcp":
            return ""
        return environment.proxy_url(self.host, self.port)

    def standing(self, alive: bool) -> str:
        """In words: what is so now, as far as a proxy is there (`alive`) to make it so."""
        if self.state == "error":
            return "error"
        if self.wanted != "running":
            return "stopped"
        if not alive:
            return "starts with the proxy"
        return "running" if self.state == "running" else "starting"


class Listeners:
    """Create, list, show, delete, and the state that commands and the proxy agree on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        *,
        is_free: Callable[[int], bool],
        reserved: Mapping[int, str] | None = None,
        port: int | None = None,
        mode: str = "regular",
        host: str = "127.0.0.1",
        provider: str = "",
        project: str = "",
        auth: str = "",
        cache: str = "",
    ) -> Listener:
        """`reserved` are ports of our own (port -> whose); `is_free` asks the machine."""
        checked_name("listener", name)
        if auth not in AUTH:
            raise ConfigError(f"{auth!r} is not a way to authenticate; use open or required")
        check_cache(cache or None)
        self._check_name(name)
        parsed = rules.parse(mode)
        found = self._port(port, reserved or {}, is_free) if parsed.has_port else None
        if not parsed.has_port and port is not None:
            raise ConfigError("a listener that captures programs has no port; leave --port out")
        listens = host if parsed.has_port else ""
        self._insert(name, rules.text_of(parsed), listens, found, provider, project, auth, cache)
        return self.get(name)

    def list(self) -> list[Listener]:
        """All listeners, by name."""
        return [_listener(row) for row in self._database.rows(_SELECT + "ORDER BY name")]

    def get(self, name: str) -> Listener:
        row = self._database.row(_SELECT + "WHERE name = ?", (name,))
        if row is None:
            raise NotFound(f"there is no listener named {name!r}; `llm-intercept listener list` shows all")
        return _listener(row)

    def delete(self, name: str) -> Listener:
        """Conflict while it is running."""
        listener = self.get(name)
        if listener.running:
            raise Conflict(
                f"the listener {listener.name} is running; stop it first: "
                f"llm-intercept listener stop {listener.name}"
            )
        with self._database.write() as connection:
            connection.execute("DELETE FROM listeners WHERE id = ?", (listener.id,))
        return listener

    def want(self, name: str, wanted: Literal["running", "stopped"]) -> Listener:
        """What a command asks for; the proxy answers by `set_state`."""
        listener = self.get(name)
        state = "stopped" if listener.state == "error" else listener.state
        sql = "UPDATE listeners SET wanted = ?, state = ?, problem = '', changed_at = ? WHERE id = ?"
        with self._database.write() as connection:
            connection.execute(sql, (wanted, state, self._database.now_text(), listener.id))
        return self.get(listener.name)

    def set_state(self, name: str, state: State, problem: str = "") -> Listener:
        """What became of it; what is wanted stays."""
        listener = self.get(name)
        sql = "UPDATE listeners SET state = ?, problem = ?, changed_at = ? WHERE id = ?"
        with self._database.write() as connection:
            connection.execute(sql, (state, problem, self._database.now_text(), listener.id))
        return self.get(listener.name)

    def _check_name(self, name: str) -> None:
        if self._database.row("SELECT 1 FROM listeners WHERE name = ?", (name,)) is not None:
            raise Conflict(
                f"a listener named {name!r} exists already; `llm-intercept listener list` shows all"
            )

    def _port(self, port: int | None, reserved: Mapping[int, str], is_free: Callable[[int], bool]) -> int:
        sql = "SELECT port, name FROM listeners WHERE port IS NOT NULL"
        named = {row["port"]: f"the listener {row['name']}" for row in self._database.rows(sql)}
        taken = {**named, **reserved}
        if port is None:
            return _picked(rules.pick_port(taken, is_free))
        rules.check_port(port)
        if port in taken:
            raise Conflict(f"port {port} is used by {taken[port]}; choose another one, or leave --port out")
        if not is_free(port):
            raise Conflict(
                f"port {port} is taken by another program; choose another one, or leave --port out"
            )
        return port

    def _insert(self, name: str, mode: str, host: str, port: int | None, *defaults: str) -> None:
        new, now = self._database.new_id("lsn"), self._database.now_text()
        sql = (
            "INSERT INTO listeners (id, name, mode, host, port, provider, project, auth, cache,"
            " created_at, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        try:
            with self._database.write() as connection:
                connection.execute(sql, (new, name, mode, host, port, *defaults, now, now))
        except sqlite3.IntegrityError:
            raise Conflict(
                f"somebody else has just taken the name {name!r} or the port {port}; try again"
            ) from None


def _picked(port: int | None) -> int:
    if port is None:
        first, last = rules.PICKED_PORTS.start, rules.PICKED_PORTS.stop - 1
        raise Conflict(f"no port from {first} to {last} is free; give one with --port N")
    return port


def _listener(row: Row) -> Listener:
    return Listener(**row)
