"""The management API over many tokens and projects: the time from a request for a list to its last byte."""

import http.client
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from bench.processes import Processes, free_port
from bench.report import Row, progress
from llm_intercept.home import Home
from llm_intercept.store.control import Control
from llm_intercept.store.tokens import Wanted
from llm_intercept.vault import Vault

PROJECTS, TOKENS = 200, 50
_LISTS = {
    "tokens": "/tokens",
    "200 tokens": "/tokens?limit=200",
    "tokens that are revoked": "/tokens?state=revoked",
    "tokens that begin so": "/tokens?prefix=token-49",
    "tokens of a project": "/tokens?project=project-150",
    "200 projects": "/projects?limit=200",
    "tokens of a user": "/tokens?user=nobody",
}
_CLI = (sys.executable, "-m", "llm_intercept.cli")


def measure(processes: Processes, folder: Path, visits: int) -> Row:
    home, port = Home(folder / "managed"), free_port()
    progress(f"management API: making {PROJECTS * TOKENS:,} tokens")
    bearer = populate(home)
    env = {
        "LLM_INTERCEPT_HOME": str(home.path),
        "LLM_INTERCEPT_DASHBOARD__PORT": str(port),
        "LLM_INTERCEPT_DASHBOARD__API_RATE": "0",
    }
    server = processes.start([*_CLI, "dashboard"], folder / "managed.log", env)
    server.wait_for(port)
    progress(f"management API: {visits} requests for each of {len(_LISTS)} lists")
    times = {name: _visit(port, path, bearer, visits) * 1e3 for name, path in _LISTS.items()}
    worst = max(times.values())
    name = f"API lists, {PROJECTS * TOKENS:,} tokens in {PROJECTS} projects"
    return Row(name, "ms", {"ours": worst}, worst, "ms", 150.0, {"median_ms": times})


def populate(home: Home) -> str:
    env = {**os.environ, "LLM_INTERCEPT_HOME": str(home.path)}
    subprocess.run([*_CLI, "init"], env=env, capture_output=True, check=True)
    control = Control(home.control_db, Vault.load(home.secret_key, {}))
    try:
        with control.database.write():
            for number in range(PROJECTS):
                control.projects.create(f"project-{number}")
                control.tokens.create_many(f"project-{number}", "token", TOKENS, Wanted())
        return control.api_tokens.create("", "bench", "read").text
    finally:
        control.close()


def _visit(port: int, path: str, bearer: str, visits: int) -> float:
    """Median seconds, after two requests that are not counted."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times = []
    for _ in range(visits + 2):
        started = time.perf_counter()
        connection.request("GET", f"/-/api{path}", headers={"authorization": f"Bearer {bearer}"})
        answer = connection.getresponse()
        body = answer.read()
        times.append(time.perf_counter() - started)
        if answer.status != 200 or b'"items"' not in body:
            raise RuntimeError(f"{path} gave {answer.status}: {body[:200]!r}")
    connection.close()
    return median(times[2:])
