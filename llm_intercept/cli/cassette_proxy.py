"""The proxy of `record` and `replay`, in a process of its own, and how those commands start and stop it.

python -m llm_intercept.cli.cassette_proxy '{"mode": "record", ...}'
"""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

from pydantic import BaseModel

from llm_intercept.cassette import format as cassettes
from llm_intercept.cassette.matching import ignored
from llm_intercept.cassette.player import Player
from llm_intercept.cassette.recorder import Recorder
from llm_intercept.errors import InterceptError
from llm_intercept.tools.probes import readiness

if TYPE_CHECKING:
    from addons.exchanges import Exchanges

STDERR = 2
READY_SECONDS, STOP_SECONDS = 30.0, 15.0
_LOOK_SECONDS = 0.05


class Job(BaseModel):
    """What the process is told on its command line."""

    mode: Literal["record", "replay"]
    file: Path
    port: int
    replace: bool = False
    sockets: bool = True
    mark: str = ""
    pace: Literal["fast", "original"] = "fast"
    ignore: tuple[str, ...] = ()
    report: Path = Path()


@contextmanager
def running(job: Job, environ: Mapping[str, str]) -> Iterator[str]:
    """The URL of a proxy that does this job, until the block ends."""
    command = [sys.executable, "-m", "llm_intercept.cli.cassette_proxy", job.model_dump_json()]
    # A session of its own: Ctrl-C is for the program, after which the proxy is stopped in order.
    # What it has to say goes where errors go: the standard output is the program's.
    process = subprocess.Popen(command, env=dict(environ), stdout=STDERR, start_new_session=True)
    url = f"http://127.0.0.1:{job.port}"
    try:
        _wait(process, url)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Set by Ctrl-C or SIGTERM."""
    stopped = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, frame: stopped.set()) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while readiness(url) != []:
        if process.poll() is not None:
            raise InterceptError("the proxy could not be started")  # it has said why itself
        if time.monotonic() > deadline:
            raise InterceptError(f"the proxy at {url} is not ready after {READY_SECONDS:g} s")
        time.sleep(_LOOK_SECONDS)


def recording(job: Job, exchanges: "Exchanges", addons: Sequence[object]) -> list[object]:
    """The pipeline with an ear at both ends; named listeners stay with the proxy that is always there.

    What providers say is recorded, not what was stored of it before.
    """
    from addons.authenticate import Authenticate
    from addons.cache import Cache, CacheStatus
    from addons.cassette import Answers, Arrivals, Quiet
    from addons.listeners import Listeners

    recorder = Recorder(job.file, time.perf_counter, replace=job.replace)
    drafts: WeakKeyDictionary[object, object] = WeakKeyDictionary()
    found: list[object] = []
    for addon in addons:
        if isinstance(addon, Authenticate):
            ear = Arrivals(exchanges, recorder, drafts, sockets=job.sockets, mark=job.mark)  # type: ignore[arg-type]
            found.append(ear)
        if not isinstance(addon, Listeners | Cache | CacheStatus):
            found.append(addon)
    return [Quiet(), *found, Answers(exchanges, recorder, drafts)]  # type: ignore[arg-type]


def replaying(job: Job, exchanges: "Exchanges", addons: Sequence[object]) -> list[object]:
    """Of the pipeline what says whose call it is, and what becomes of an answer; nothing that decides."""
    from addons.cassette import Quiet
    from addons.cors import Origins, Preflight
    from addons.drain import Drain, Farewell
    from addons.identify import Identify
    from addons.lifecycle import Lifecycle
    from addons.portal import Portal
    from addons.record import Record
    from addons.replaying import Replay
    from addons.route import Route
    from addons.tunnel import TunnelGate
    from addons.watch import Watch

    player = Player(cassettes.read(job.file), [ignored(f) for f in job.ignore], job.pace, job.report)
    kept = (Lifecycle, TunnelGate, Identify, Portal, Preflight, Drain, Watch, Record, Farewell, Origins)
    found = [Replay(exchanges, player) if isinstance(a, Route) else a for a in addons]
    return [Quiet(), *(a for a in found if isinstance(a, (Replay, *kept)))]


def main(argument: str) -> int:
    """Runs the proxy until it is stopped."""
    from llm_intercept.cli import proxy

    job = Job.model_validate_json(argument)
    arrange = recording if job.mode == "record" else replaying

    def arranged(exchanges: "Exchanges", addons: Sequence[object]) -> list[object]:
        exchanges.gateway.announce = _unannounced  # type: ignore[method-assign]
        return arrange(job, exchanges, addons)

    overrides: dict[str, object] = {"host": "127.0.0.1", "port": job.port}
    if job.mode == "replay":
        overrides["auth"] = "open"
    try:
        return asyncio.run(proxy.serve(overrides, arranged))
    except InterceptError as error:
        # Not by a logger: those of mitmproxy speak through the loop, which has ended.
        print(f"Error: {error}", file=sys.stderr)
        return 1


def _unannounced() -> None:
    """Other commands are not to find this proxy in place of the one that is always there."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
