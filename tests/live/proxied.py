"""A proxy in front of scripted upstreams, with keys and tokens put in place without starting commands."""

import contextlib
import http.client
import json
import ssl
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from llm_intercept.home import Home
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault
from tests.live.stack import Stack, wait_for

PATIENCE = 60.0
REAL = "sk-real-{}-0123456789abcdefghij"
AWS = "AKIAREALREALREAL0001:realsecretrealsecretrealsecretreal000001"


@dataclass
class Call:
    """An answer under way and the connection that it comes on."""

    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse

    def __enter__(self) -> "Call":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up, whatever is still to come."""
        self.response.close()
        self.connection.close()

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def headers(self) -> http.client.HTTPMessage:
        return self.response.headers

    @property
    def id(self) -> str:
        found = self.headers["x-llm-intercept-request-id"]
        assert found, "the answer names no request id"
        return str(found)

    def read(self) -> bytes:
        return self.response.read()

    def take(self, size: int) -> bytes:
        """At least so many bytes, as they come."""
        got = b""
        while len(got) < size:
            piece = self.response.read1(65536)
            assert piece, f"ended after {got!r}"
            got += piece
        return got


def encoded(body: object) -> bytes | None:
    return body if body is None or isinstance(body, bytes) else json.dumps(body).encode()


@dataclass
class Proxied(Stack):
    """`extra` are further environment variables; `entry` replaces `-m llm_intercept.cli`."""

    extra: dict[str, str] = field(default_factory=dict)
    entry: tuple[str, ...] = ("-m", "llm_intercept.cli")
    token: str = ""

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, **self.extra}

    def start_proxy(self) -> None:
        argv = [sys.executable, *self.entry, "proxy", "--port", str(self.port)]
        self._start("proxy", argv, f"{self.url}/ready")

    @contextlib.contextmanager
    def control(self) -> Iterator[Control]:
        home = Home(self.home)
        home.ensure()
        control = Control(home.control_db, Vault.load(home.secret_key, {}))
        try:
            yield control
        finally:
            control.close()

    def prepare(self, keys: Mapping[str, str]) -> None:
        """A key for each provider, the project `demo`, and a token of it."""
        with self.control() as control:
            for provider, secret in keys.items():
                control.credentials.add(provider, SecretStr(secret))
            control.projects.create("demo")
            self.token = control.tokens.create("demo", "laptop").text

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def tunnel(self, host: str) -> http.client.HTTPSConnection:
        """Through CONNECT, trusting our root and nothing else."""
        trust = ssl.create_default_context(cafile=str(self.home / "certs" / "mitmproxy-ca-cert.pem"))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE, context=trust)
        connection.set_tunnel(host, 443)
        return connection

    def call(self, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> "Call":
        """One call on a connection of its own; the answer's body is still to be read."""
        connection = self.connection()
        try:
            connection.request(
                "GET" if body is None else "POST", path, encoded(body), self.headers | dict(headers or {})
            )
            return Call(connection, connection.getresponse())
        except BaseException:
            connection.close()
            raise

    @property
    def headers(self) -> dict[str, str]:
        return {"content-type": "application/json", "authorization": f"Bearer {self.token}"}

    def row(self, call: "Call") -> dict[str, Any]:
        """The row of this call, once it is written."""
        sql = "SELECT * FROM requests WHERE request_id = ?"
        return wait_for(lambda: self.query(sql, call.id), f"a row of {call.id}")[0]

    def settled(self, since: int = 0) -> list[dict[str, Any]]:
        """All rows after `since`, once nothing is under way and nothing waits for the database."""
        wait_for(lambda: self._idle() and self._idle(), "calls or rows are still under way")
        return self.query("SELECT * FROM requests WHERE id > ? ORDER BY id", since)

    def _idle(self) -> bool:
        text = self.metrics()
        return metric(text, "llm_in_flight") + metric(text, "llm_writer_queue") == 0

    def metrics(self) -> str:
        connection = self.connection()
        connection.request("GET", "/metrics")
        with contextlib.closing(connection):
            return connection.getresponse().read().decode()


def metric(text: str, name: str) -> float:
    """The sum of a metric's samples."""
    lines = [line for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]
    assert lines, f"no metric {name}"
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@contextlib.contextmanager
def proxied(
    home: Path,
    bases: Mapping[str, str],
    *,
    config: str = "",
    keys: Mapping[str, str] | None = None,
    extra: Mapping[str, str] | None = None,
    entry: tuple[str, ...] = ("-m", "llm_intercept.cli"),
) -> Iterator[Proxied]:
    """A running proxy whose providers are `bases` (name -> URL), each with a key of its own."""
    home.mkdir(parents=True, exist_ok=True)
    stack = Proxied(home, config, extra=dict(extra or {}), entry=entry)
    stack.write_config(dict(bases))
    stack.prepare({name: REAL.format(name) for name in bases} if keys is None else keys)
    try:
        stack.start_proxy()
        yield stack
    finally:
        stack.stop()
