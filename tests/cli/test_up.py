"""`up`: what crashes is started again, what does not stay up ends it, signals are passed on."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from llm_intercept.cli import up
from llm_intercept.cli.up import Part, Supervisor


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "BACKOFF", (0.0, 0.0))


def part(*lines: str) -> Part:
    return Part("proxy", [sys.executable, "-c", "\n".join(lines)], {})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("raise SystemExit(3)", "ended with exit code 3"),
        ("raise SystemExit(0)", "ended with exit code 0"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
    ],
)
def test_what_does_not_stay_up_is_given_up(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor([part(line)])
    asyncio.run(supervisor.run())
    assert capsys.readouterr().err == f"the proxy {said}; starting it again in 0 s\n" * 2
    assert supervisor.failed == f"the proxy does not stay up: it {said}, 3 times in a row; it says why above"


def test_a_part_that_stayed_up_for_long_begins_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its crashes are not added up: it crashes more often than is forgiven in a row, then stops the test."""
    monkeypatch.setattr(up, "STEADY_SECONDS", -1.0)
    count = tmp_path / "count"
    lines = (
        "import os, pathlib, signal",
        f"count = pathlib.Path({str(count)!r})",
        "count.write_text('x' + (count.read_text() if count.exists() else ''))",
        "os.kill(os.getppid(), signal.SIGUSR1) if len(count.read_text()) == 5 else None",
    )

    async def run() -> Supervisor:
        supervisor = Supervisor([part(*lines)])
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, supervisor.told)
        await supervisor.run()
        return supervisor

    assert asyncio.run(run()).failed == ""
    assert count.read_text() == "xxxxx"


def test_a_second_signal_reaches_the_parts(tmp_path: Path) -> None:
    """One that would take its time at the first."""
    told = tmp_path / "told"
    lines = (
        "import pathlib, signal",
        f"told = pathlib.Path({str(told)!r})",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])",
        "told.write_text('0')",
        "for number in ('1', '2'):",
        "    signal.sigwait([signal.SIGTERM])",
        "    told.write_text(number)",
    )

    async def until(text: str) -> None:
        while not told.exists() or told.read_text() != text:
            await asyncio.sleep(0.01)

    async def run() -> None:
        supervisor = Supervisor([part(*lines)])
        keeping = asyncio.create_task(supervisor.run())
        await until("0")
        supervisor.told()
        stopping = asyncio.create_task(supervisor.stop())
        await until("1")
        supervisor.told()
        await asyncio.gather(stopping, keeping)

    asyncio.run(asyncio.wait_for(run(), 60))
    assert told.read_text() == "2"


def test_who_does_not_listen_is_killed(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    lines = (
        "import pathlib, signal",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])",
        f"pathlib.Path({str(deaf)!r}).touch()",
        "signal.sigwait([signal.SIGUSR1])",
    )

    async def run() -> int | None:
        supervisor = Supervisor([part(*lines)], patience=0.0)
        keeping = asyncio.create_task(supervisor.run())
        while not deaf.exists():
            await asyncio.sleep(0.01)
        await supervisor.stop()
        await keeping
        assert supervisor.parts[0].process is not None
        return supervisor.parts[0].process.returncode

    assert asyncio.run(asyncio.wait_for(run(), 60)) == -9
