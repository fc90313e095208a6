"""Named listeners in `control.db`: ports of their own with defaults of their own.

Two columns say how one is: `wanted` is what a command asked for, `state` what the proxy last made of it. A
proxy that ends leaves both as they are, which is how the next one knows what to start again.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from llm_intercept import environment
from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.policy import listeners as rules
from llm_intercept.store.database import Database, Row, checked_name
from llm_intercept.store.projects import check_cache

type State = Literal["running", "stopped", "error"]

# Whether this address could be listened on now: host, port, UDP in place of TCP.
type IsFreeAt = Callable[[str, int, bool], bool]

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
    """Create, list, show, change, delete, and the state that commands and the proxy agree on."""

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
        _check_defaults(auth, cache)
        self._check_name(name)
        parsed = rules.parse(mode)
        _check_has_port(parsed, port)
        found = self._port(port, reserved or {}, is_free) if parsed.has_port else None
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

    def change(
        self,
        name: str,
        *,
        is_free_at: IsFreeAt,
        reserved: Mapping[int, str] | None = None,
        new_name: str | None = None,
        mode: str | None = None,
        host: str | None = None,
        port: int | None = None,
        provider: str | None = None,
        project: str | None = None,
        auth: str | None = None,
        cache: str | None = None,
    ) -> Listener:
        """What is given; "" is no default of its own. Conflict for another name or place while it is running.

        What is simulated for it goes along with its name.
        """
        _check_defaults(auth or "", cache or "")
        with self._database.write():
            was = self.get(name)
            moved = self._moved(was, mode, host, port)
            if new_name is not None and new_name != was.name:
                self._check_name(new_name, was.id)
                moved["name"] = new_name
            if was.running and moved:
                raise Conflict(
                    f"the listener {was.name} is running; its {_listed(moved)} can be changed only while it "
                    f"is stopped: llm-intercept listener stop {was.name}"
                )
            if moved.keys() - {"name"}:
                moved["port"] = self._port_for(was, moved, reserved or {}, is_free_at)
            given = {"provider": provider, "project": project, "auth": auth, "cache": cache}
            self._update(was, moved | {key: value for key, value in given.items() if value is not None})
            return self.get(moved.get("name", was.name))

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

    def _moved(self, was: Listener, mode: str | None, host: str | None, port: int | None) -> dict[str, Any]:
        """Where it is to listen, as far as that is not where it does."""
        parsed = rules.parse(was.mode if mode is None else mode)
        _check_has_port(parsed, port)
        wanted: dict[str, Any] = {"mode": rules.text_of(parsed), "host": "", "port": None}
        if parsed.has_port:
            wanted |= {"host": host or was.host or "127.0.0.1", "port": was.port if port is None else port}
        return {key: value for key, value in wanted.items() if value != getattr(was, key)}

    def _port_for(
        self, was: Listener, moved: Mapping[str, Any], reserved: Mapping[int, str], is_free_at: IsFreeAt
    ) -> int | None:
        """The port where it is to listen, if nobody else does; one that is free if none was said."""
        parsed = rules.parse(moved.get("mode", was.mode))
        host, udp = moved.get("host", was.host), parsed.transport == "udp"
        if not parsed.has_port:
            return None
        return self._port(moved.get("port", was.port), reserved, lambda n: is_free_at(host, n, udp), was.id)

    def _update(self, was: Listener, changes: Mapping[str, Any]) -> None:
        values = {**changes, "changed_at": self._database.now_text()}
        try:
            with self._database.write() as connection:
                for column, value in values.items():  # the names are those of `change`
                    connection.execute(f"UPDATE listeners SET {column} = ? WHERE id = ?", (value, was.id))  # noqa: S608
                if "name" in changes:
                    sql = "UPDATE failures SET name = ? WHERE scope = 'listener' AND name = ?"
                    connection.execute(sql, (changes["name"], was.name))
        except sqlite3.IntegrityError:
            raise Conflict("somebody else has just taken that name or that port; try again") from None

    def _check_name(self, name: str, own: str = "") -> None:
        checked_name("listener", name)
        if self._database.row("SELECT 1 FROM listeners WHERE name = ? AND id != ?", (name, own)) is not None:
            raise Conflict(
                f"a listener named {name!r} exists already; `llm-intercept listener list` shows all"
            )

    def _port(
        self, port: int | None, reserved: Mapping[int, str], is_free: Callable[[int], bool], own: str = ""
    ) -> int:
        sql = "SELECT port, name FROM listeners WHERE port IS NOT NULL AND id != ?"
        named = {row["port"]: f"the listener {row['name']}" for row in self._database.rows(sql, (own,))}
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


def _check_defaults(auth: str, cache: str) -> None:
    if auth not in AUTH:
        raise ConfigError(f"{auth!r} is not a way to authenticate; use open or required")
    check_cache(cache or None)


def _check_has_port(mode: rules.Mode, port: int | None) -> None:
    if not mode.has_port and port is not None:
        raise ConfigError("a listener that captures programs has no port; leave --port out")


def _listed(words: Iterable[str]) -> str:
    *first, last = sorted(words)
    return f"{', '.join(first)} and {last}" if first else last


def _picked(port: int | None) -> int:
    if port is None:
        first, last = rules.PICKED_PORTS.start, rules.PICKED_PORTS.stop - 1
        raise Conflict(f"no port from {first} to {last} is free; give one with --port N")
    return port


def _listener(row: Row) -> Listener:
    return Listener(**row)
