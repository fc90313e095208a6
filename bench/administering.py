"""The pages of administration over many tokens and projects: the time from a request to its last byte."""

import http.client
import sys
import time
from contextlib import closing
from pathlib import Path
from statistics import median

from bench.managing import PROJECTS, TOKENS, populate
from bench.processes import Processes, free_port
from bench.report import Row, progress
from llm_intercept.home import Home
from llm_intercept.policy.actor import SYSTEM
from llm_intercept.policy.limits import Limit
from llm_intercept.store.control import Control
from llm_intercept.store.reservations import Counters
from llm_intercept.vault import Vault

_PAGES = {
    "summary": "",
    "projects": "/projects",
    "projects with a search": "/projects?q=199",
    "tokens": "/tokens",
    "tokens that are revoked": "/tokens?state=revoked",
    "tokens that begin so": "/tokens?q=token-49",
    "tokens of a project": "/tokens?project=project-150",
    "new token": "/tokens/new",
    "users": "/users",
    "limits": "/limits",
    "limits that are nearly full": "/limits?state=nearly+full",
    "new limit": "/limits/new",
    "keys": "/keys",
    "routes": "/routes",
    "aliases": "/aliases",
    "failures": "/failures",
    "audit": "/audit",
    "audit with a search": "/audit?text=project-17",
    "maintenance": "/maintenance",
    "cleaning up": "/maintenance/cleanup",
    "settings": "/settings",
}


def measure(processes: Processes, folder: Path, visits: int) -> Row:
    home, port = Home(folder / "administered"), free_port()
    progress(f"pages of administration: making {PROJECTS * TOKENS:,} tokens")
    bearer = populate(home)
    _count(home)
    env = {"LLM_INTERCEPT_HOME": str(home.path), "LLM_INTERCEPT_DASHBOARD__PORT": str(port)}
    server = processes.start(
        [sys.executable, "-m", "llm_intercept.cli", "dashboard"], folder / "administered.log", env
    )
    server.wait_for(port)
    progress(f"pages of administration: {visits} visits to each of {len(_PAGES)}")
    times = {name: _visit(port, path, bearer, visits) * 1e3 for name, path in _PAGES.items()}
    worst = max(times.values())
    name = f"pages of administration, {PROJECTS * TOKENS:,} tokens in {PROJECTS} projects"
    return Row(name, "ms", {"ours": worst}, worst, "ms", 150.0, {"median_ms": times})


def _count(home: Home) -> None:
    """A limit for every token by itself, on which each has made some calls; a thousand rows of audit."""
    control = Control(home.control_db, Vault.load(home.secret_key, {}))
    with closing(control):
        record = control.limits.set(Limit(scope="token", measure="requests", amount=1000))
        tokens = [f"{token.project}/{token.name}" for token in control.tokens.list()]
        with control.database.write():
            for number in range(1000):
                control.audit.record(SYSTEM, "bench.row", after={"number": number})
    with closing(Counters(home.limits_db)) as counters, counters.changing(10.0) as changes:
        keys = [f"{record.id}:{token}" for token in tokens]
        for number, (key, counter) in enumerate(changes.counters(keys).items()):
            counter.add(0, 0, number % 1000)
            changes.changed(key)


def _visit(port: int, path: str, bearer: str, visits: int) -> float:
    """Median seconds, after two visits that are not counted."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times = []
    for _ in range(visits + 2):
        started = time.perf_counter()
        headers = {"authorization": f"Bearer {bearer}", "accept": "text/html"}
        connection.request("GET", f"/-/llm/manage{path}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        times.append(time.perf_counter() - started)
        if answer.status != 200 or b"<html" not in body:
            raise RuntimeError(f"{path} gave {answer.status}: {body[:200]!r}")
    connection.close()
    return median(times[2:])
