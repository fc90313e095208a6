"""A real proxy as a subprocess with a home of its own, and a simulator as a subprocess behind it."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from llm_intercept.home import Home
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 40.0
# What a test machine may export; clients in tests start from an empty slate.
CLEAN = {
    k: v
    for k, v in os.environ.items()
    if k in ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for[T](what: Callable[[], T], why: str, seconds: float = DEADLINE) -> T:
    """Polls until the callable gives something true."""
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"timed out: {why}")
        time.sleep(0.02)


def get(url: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers or {}), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""


@dataclass
class Process:
    """A subprocess whose output is kept for the failure message."""

    argv: list[str]
    env: dict[str, str]
    log: Path
    popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.popen = subprocess.Popen(
                self.argv, env=self.env, stdout=out, stderr=subprocess.STDOUT, cwd=self.log.parent
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.popen is not None
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.popen.wait(timeout=30)

    def output(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


@dataclass
class Stack:
    """Home, proxy and simulator. Every public provider host leads to the simulator."""

    home: Path
    config: str = ""
    stock: bool = False
    port: int = field(default_factory=free_port)
    sim_port: int = field(default_factory=free_port)
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sim(self) -> str:
        return f"http://127.0.0.1:{self.sim_port}"

    @property
    def env(self) -> dict[str, str]:
        # Tests end their proxies with calls under way on purpose; nobody waits for those.
        return {**CLEAN, "LLM_INTERCEPT_HOME": str(self.home), "LLM_INTERCEPT_DRAIN": "0.2"}

    def cli(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "llm_intercept.cli", *arguments],
            env=self.env, input=stdin, capture_output=True, text=True, timeout=60, cwd=self.home, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def start_sim(self, *options: str) -> None:
        argv = [sys.executable, "-m", "llm_intercept.cli", "sim", "--port", str(self.sim_port)]
        argv += ["--latency-ms", "0", "--tokens-per-second", "0", "--seed", "1", *options]
        self._start("sim", argv, f"{self.sim}/__sim/health")

    def start_proxy(self) -> None:
        argv = [sys.executable, "-m", "llm_intercept.cli", "proxy", "--port", str(self.port)]
        if self.stock:
            mitmdump = str(Path(sys.executable).with_name("mitmdump"))
            argv = [
                mitmdump,
                "-q",
                "-s",
                str(ROOT / "addons" / "gateway.py"),
                "--listen-port",
                str(self.port),
            ]
        self._start("proxy", argv, f"{self.url}/ready")

    def _start(self, name: str, argv: list[str], url: str) -> None:
        process = self.processes[name] = Process(argv, self.env, self.home / f"{name}.log")
        process.start()

        def up() -> bool:
            assert process.popen is not None
            assert process.popen.poll() is None, f"{name} ended: {process.output()}"
            return get(url)[0] == 200

        wait_for(up, f"{name} is not ready")

    def write_config(self, providers: dict[str, str]) -> None:
        """`providers`: name -> base URL."""
        lines = [self.config]
        for name, base_url in providers.items():
            lines.append(f'[providers.{name}]\nbase_url = "{base_url}"\n')
        (self.home / "config.toml").write_text("\n".join(lines))

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.stop()

    def query(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        with contextlib.closing(sqlite3.connect(f"file:{self.home / 'usage.db'}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql, parameters)]

    def rows(self, count: int, since: int = 0) -> list[dict[str, Any]]:
        """The newest `count` rows after id `since`, once they are there; oldest first."""
        sql = "SELECT * FROM requests WHERE id > ? ORDER BY id"
        return wait_for(lambda: (r := self.query(sql, since)) and len(r) >= count and r, f"{count} rows")

    @staticmethod
    def last_id() -> int:
        """A row id below which nothing of what follows will lie: ids are epoch microseconds."""
        return time.time_ns() // 1000

    def received(self) -> list[dict[str, Any]]:
        """What reached the simulator."""
        return list(json.loads(get(f"{self.sim}/__sim/requests")[1])["requests"])


PROVIDERS = (
    "openai",
    "anthropic",
    "gemini",
    "bedrock",
    "azure",
    "vertex",
    "mistral",
    "groq",
    "cohere",
    "deepseek",
    "ollama",
)


def _prepare(home: Path) -> None:
    """Keys and the project `demo`, as the commands would put them there."""
    place = Home(home)
    place.ensure()
    with contextlib.closing(Control(place.control_db, Vault.load(place.secret_key, {}))) as control:
        for name in ("openai", "anthropic", "gemini", "azure", "mistral", "groq"):
            control.credentials.add(name, SecretStr(f"real-{name}-key-0123456789"))
        pair = "AKIAREALREALREAL0001:realsecretrealsecretrealsecretreal000001"
        control.credentials.add("bedrock", SecretStr(pair))
        control.projects.create("demo")


@contextlib.contextmanager
def running(home: Path, *, config: str = "", stock: bool = False, keys: bool = True) -> Iterator[Stack]:
    home.mkdir(parents=True, exist_ok=True)
    stack = Stack(home, config, stock)
    stack.write_config({name: stack.sim for name in PROVIDERS})
    try:
        stack.start_sim()
        if keys:
            _prepare(home)
        stack.start_proxy()
        yield stack
    finally:
        stack.stop()
