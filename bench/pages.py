"""The dashboard's overview over many rows: the time from a request to the last byte of its page."""

import http.client
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from bench import seed
from bench.processes import Processes, free_port
from bench.report import Row, progress
from llm_intercept.home import Home

DAYS = 90.0
_PAGES = {"overview": "/", "overview of 90 days": "/?range=90d", "list of requests": "/-/llm/requests"}
_CLI = (sys.executable, "-m", "llm_intercept.cli")


def measure(processes: Processes, folder: Path, rows: int, visits: int) -> Row:
    home = folder / "seeded"
    env = {"LLM_INTERCEPT_HOME": str(home)}
    progress(f"overview page: writing {rows:,} rows")
    _command(env, "init")
    seed.fill(Home(home), rows, DAYS, time.time_ns() // 1000)
    port = free_port()
    env["LLM_INTERCEPT_DASHBOARD__PORT"] = str(port)
    link = _command(env, "dashboard", "--login-link").strip()
    server = processes.start([*_CLI, "dashboard"], folder / "dashboard.log", env)
    server.wait_for(port)
    progress(f"overview page: {visits} visits")
    cookie = _log_in(port, link)
    times = {name: _visit(port, path, cookie, visits) for name, path in _PAGES.items()}
    shown = times["overview"] * 1e3
    detail = {"rows": rows, "median_ms": {name: value * 1e3 for name, value in times.items()}}
    return Row(f"overview page, {rows:,} rows", "ms", {"ours": shown}, shown, "ms", 100.0, detail)


def _command(env: dict[str, str], *words: str) -> str:
    done = subprocess.run([*_CLI, *words], env={**os.environ, **env}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"llm-intercept {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def _log_in(port: int, link: str) -> str:
    parts = urlsplit(link)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    answer.read()
    found = re.match(r"[^;]+", answer.headers.get("set-cookie", ""))
    if found is None:
        raise RuntimeError(f"the dashboard's login gave {answer.status} and no cookie")
    return found.group()


def _visit(port: int, path: str, cookie: str, visits: int) -> float:
    """Median seconds, after two visits that are not counted."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times = []
    for _ in range(visits + 2):
        started = time.perf_counter()
        connection.request("GET", path, headers={"cookie": cookie})
        answer = connection.getresponse()
        body = answer.read()
        times.append(time.perf_counter() - started)
        if answer.status != 200 or b"<html" not in body:
            raise RuntimeError(f"{path} gave {answer.status}: {body[:200]!r}")
    connection.close()
    return median(times[2:])
