"""`llm-intercept up`: proxy and dashboard under one supervisor that restarts what crashes."""

import asyncio
import json
import os
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from llm_intercept import config
from llm_intercept.cli.ports import claim
from llm_intercept.errors import InterceptError
from llm_intercept.home import Home
from llm_intercept.settings import Settings

READY_SECONDS = 30.0
STOP_SECONDS = 15.0  # beyond what calls under way may take
BACKOFF = (0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS = 30.0
SUPERVISED = "llm_intercept.supervised"


@click.command()
@click.option(
    "--host",
    help="Address of the proxy; off loopback, every call needs a project token.  [default: 127.0.0.1]",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the proxy.  [default: 8080]")
@click.option(
    "--dashboard-port", type=click.IntRange(1, 65535), help="Port of the dashboard.  [default: 8001]"
)
@click.option("--no-dashboard", is_flag=True, help="Only the proxy, still supervised.")
def up(host: str | None, port: int | None, dashboard_port: int | None, no_dashboard: bool) -> None:
    """Start proxy and dashboard, and show the next step.

    \b
    Example:
      llm-intercept up
      llm-intercept up --port 9080 --dashboard-port 9001

    Creates the home folder on first use. A part that crashes is started again.
    Ctrl-C or SIGTERM stops both, once the calls under way have finished (for 30
    seconds at most, or what the setting `drain` says); a second one does not wait.
    """
    given = {"host": host, "port": port, "dashboard.port": dashboard_port}
    overrides = {name: value for name, value in given.items() if value is not None}
    home = Home.find(os.environ)
    home.ensure()
    settings = config.load(home, os.environ, overrides).settings
    claim(settings.host, settings.port, "--port")
    if not no_dashboard:
        claim(settings.dashboard.host, settings.dashboard.port, "--dashboard-port")
    there = {"LLM_INTERCEPT_DASHBOARD__PORT": str(settings.dashboard.port)}
    supervisor = Supervisor([Part("proxy", _proxy_command(settings), there)], settings.drain + STOP_SECONDS)
    if not no_dashboard:
        argv, env = _dashboard_command(home, settings)
        supervisor.parts.append(Part("dashboard", argv, env))
    sys.exit(asyncio.run(_run(supervisor, home, settings, not no_dashboard)))


def _proxy_command(settings: Settings) -> list[str]:
    arguments = ["proxy", "--host", settings.host, "--port", str(settings.port)]
    return [sys.executable, "-m", SUPERVISED, "llm_intercept.cli", *arguments]


def _dashboard_command(home: Home, settings: Settings) -> tuple[list[str], Mapping[str, str]]:
    from llm_intercept.cli.dashboard import announce, serve_arguments

    announce(home, settings)
    (python, flag, *rest), env = serve_arguments(home, settings, settings.dashboard.port)
    return [python, flag, SUPERVISED, *rest], env


@dataclass(slots=True)
class Part:
    """A child process. `started` is monotonic seconds."""

    name: str
    argv: list[str]
    env: Mapping[str, str]
    process: asyncio.subprocess.Process | None = None
    started: float = 0.0
    crashes: int = 0

    async def start(self) -> None:
        self.started = time.monotonic()
        # A session of its own: Ctrl-C reaches the supervisor, which stops its parts in order.
        # Its standard input ends with the supervisor, and then so does the part.
        self.process = await asyncio.create_subprocess_exec(
            *self.argv, env={**os.environ, **self.env}, start_new_session=True, stdin=asyncio.subprocess.PIPE
        )


@dataclass(slots=True)
class Supervisor:
    """Keeps its parts running until it is told to stop; then they have `patience` seconds."""

    parts: list[Part]
    patience: float = STOP_SECONDS
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    failed: str = ""

    async def run(self) -> None:
        await asyncio.gather(*(self._keep(part) for part in self.parts))

    async def _keep(self, part: Part) -> None:
        while not self.stopping.is_set():
            await part.start()
            assert part.process is not None
            if self.stopping.is_set():
                part.process.terminate()  # nobody knew of it when the others were stopped
            code = await part.process.wait()
            if not self.stopping.is_set():
                await self._crashed(part, code)

    async def _crashed(self, part: Part, code: int) -> None:
        steady = time.monotonic() - part.started > STEADY_SECONDS
        part.crashes = 1 if steady else part.crashes + 1
        if part.crashes > len(BACKOFF):
            again = f"{part.crashes} times in a row"
            self.failed = f"the {part.name} does not stay up: it {_ended(code)}, {again}; it says why above"
            self.stopping.set()
            return
        pause = BACKOFF[part.crashes - 1]
        click.echo(f"the {part.name} {_ended(code)}; starting it again in {pause:g} s", err=True)
        await _first(self.stopping.wait(), asyncio.sleep(pause))

    def told(self) -> None:
        """A signal: the first one stops, each further one is passed on, so that nobody waits any longer."""
        if self.stopping.is_set():
            self._terminate()
        self.stopping.set()

    def _terminate(self) -> list[asyncio.subprocess.Process]:
        running = [p.process for p in self.parts if p.process is not None and p.process.returncode is None]
        for process in running:
            process.terminate()
        return running

    async def stop(self) -> None:
        self.stopping.set()
        running = self._terminate()
        try:
            await asyncio.wait_for(asyncio.gather(*(p.wait() for p in running)), self.patience)
        except TimeoutError:
            for process in running:
                if process.returncode is None:
                    process.kill()


def _ended(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


async def _first(*awaitables: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.ensure_future(a) for a in awaitables]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def _run(supervisor: Supervisor, home: Home, settings: Settings, dashboard: bool) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.told)
    keeping = asyncio.create_task(supervisor.run())
    welcome = asyncio.create_task(_welcome(supervisor, home, settings, dashboard))
    await _first(supervisor.stopping.wait())
    welcome.cancel()
    await supervisor.stop()
    await asyncio.wait([keeping], timeout=STOP_SECONDS)
    if supervisor.failed:
        click.echo(f"Error: {supervisor.failed}", err=True)
    return 1 if supervisor.failed else 0


async def _welcome(supervisor: Supervisor, home: Home, settings: Settings, dashboard: bool) -> None:
    url = f"http://{_reachable(settings.host)}:{settings.port}"
    deadline = time.monotonic() + READY_SECONDS
    while not await asyncio.to_thread(ready, url):
        if time.monotonic() > deadline:
            click.echo(f"the proxy is not ready after {READY_SECONDS:g} s; see {home.logs}", err=True)
            return
        await asyncio.sleep(0.1)
    click.echo(_next_step(home, settings, url, dashboard))


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host


def ready(url: str) -> bool:
    """Whether the proxy at this URL says that it can serve."""
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{url}/ready", timeout=2) as answer:
            return bool(json.load(answer).get("status") == "ready")
    except (OSError, ValueError, urllib.error.URLError):
        return False


def _next_step(home: Home, settings: Settings, url: str, dashboard: bool) -> str:
    lines = [f"proxy      {url}    (how to connect: open it in a browser)"]
    if dashboard:
        lines += _ways_in(home, settings)
    lines += [
        f"home       {home.path}",
        "",
        "Try it without a key; the call shows up in the dashboard within two seconds:",
        f"  curl {url}/v1/chat/completions -H 'content-type: application/json' \\",
        '    -d \'{"model": "sim/echo", "messages": [{"role": "user", "content": "hello"}]}\'',
        "",
        f"Then:  {_ourselves()} key add openai --key-env OPENAI_API_KEY",
        f"       {_ourselves()} run -- claude -p 'hi'        (or any agent or script, unchanged)",
    ]
    return "\n".join(lines)


def _ourselves() -> str:
    """How to call us from here: by name, or by path where the name leads elsewhere or nowhere."""
    ours = Path(sys.executable).with_name("llm-intercept")
    found = shutil.which("llm-intercept")
    if found and Path(found).resolve() == ours.resolve():
        return "llm-intercept"
    return str(ours.relative_to(Path.cwd())) if ours.is_relative_to(Path.cwd()) else str(ours)


def _ways_in(home: Home, settings: Settings) -> list[str]:
    from llm_intercept.cli.dashboard import ways_in

    try:
        return ways_in(home, settings)
    except InterceptError as error:
        return [f"dashboard  (no login link: {error})"]


command = up
