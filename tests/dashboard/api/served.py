"""A dashboard on a port of its own, and schemathesis asking it for whatever its OpenAPI document allows."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.seed import fill
from llm_intercept.home import Home
from llm_intercept.providers import Registry
from tests.dashboard.api.conftest import World, populate
from tests.dashboard.conftest import NOW
from tests.live.stack import CLEAN, Process, free_port, get, wait_for
from tests.test_keytest import provider_that_answers

# What no schema can say (whether there is such a time zone, or such a project) is refused as well, so that
# "valid data is taken" would prove nothing.
SETTINGS = """
seed = {seed}
workers = 1
continue-on-failure = true
suppress-health-check = ["all"]
cache.enabled = false
[generation]
deterministic = true
database = "none"
max-examples = {examples}
no-shrink = true
[checks]
positive_data_acceptance.enabled = false
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422]
[auth.openapi.token]
bearer = "{bearer}"
{known}
# Whoever asks shall go on being somebody.
[[operations]]
include-operation-id = "accounts.revoke_token"
parameters = {{ "path.token" = "{spare}" }}
"""
_KNOWN = {
    "project": ("alpha", "beta", "gamma", "unwanted"),
    "route": ("r-show", "r-put", "r-move"),
    "listener": ("l-show", "l-start"),
    "alias": ("a-show", "a-del"),
    "name": ("alpha", "l-show"),
    "key": (f"{1:064x}", "0" * 60, "3"),
}


@dataclass
class Served:
    """A running dashboard. `spare` is an API token that may be revoked."""

    url: str
    world: World
    process: Process
    folder: Path
    spare: str

    def document(self) -> Path:
        status, body = self.get("/openapi.json", "local")
        assert status == 200, body
        path = self.folder / "openapi.json"
        path.write_bytes(body)
        return path

    def get(self, path: str, who: str) -> tuple[int, bytes]:
        bearer = self.world.bearers[who]
        return get(f"{self.url}{path}", {"authorization": f"Bearer {bearer}"})

    def run(self, who: str, phases: str, examples: int, seed: int, seconds: int = 540) -> dict[str, Any]:
        """What schemathesis reports, with what it printed."""
        (self.folder / "schemathesis.toml").write_text(self._settings(who, examples, seed))
        words = ["run", str(self.document()), "--url", self.url, "--phases", phases, "--no-color"]
        words += ["--report-json-path", str(self.folder / "report.json")]
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", *words],
            cwd=self.folder,
            env=CLEAN | {"NO_PROXY": "*"},
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert (self.folder / "report.json").exists(), done.stdout + done.stderr
        found: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return {**found, "said": _told(found, done.stdout, self.process.log.read_text())}

    def _settings(self, who: str, examples: int, seed: int) -> str:
        lists = [f"[dictionaries.{n}]\nvalues = {json.dumps(values)}" for n, values in _KNOWN.items()]
        uses = [f'"path.{n}" = {{ dictionary = "{n}", probability = 0.7 }}' for n in _KNOWN]
        lists.append('[dictionaries.unchanged]\nvalues = ["*"]')
        uses.append('"header.If-Match" = { dictionary = "unchanged", probability = 0.8 }')
        known = "\n".join([*lists, "[parameters]", *uses])
        bearer = self.world.bearers[who]
        return SETTINGS.format(seed=seed, bearer=bearer, examples=examples, known=known, spare=self.spare)


def _told(report: dict[str, Any], printed: str, log: str) -> str:
    """What somebody needs who has to find the fault: what failed, the end of the run, our tracebacks."""
    failed = json.dumps([report["failures"][:10], report["errors"][:10]], indent=1)
    ours = [line for line in log.splitlines() if not line.startswith("INFO:")]
    return "\n".join([failed, printed[-2000:], *ours[-80:]])


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Every provider's address is one on this machine: trying keys asks nobody else."""
    home = Home(folder / "home")
    fill(home, 100, 9, NOW)
    world = World(home, None, None)  # type: ignore[arg-type]  # asked by HTTP only
    control = world.control()
    try:
        populate(world, control)
        spare = control.api_tokens.create("", "spare", "usage").token.id
    finally:
        control.close()
    with provider_that_answers(200, {"data": [{"id": "gpt-5"}]}) as (provider, _):
        addresses = [f'[providers.{name}]\nbase_url = "{provider}"\n' for name in Registry({}).providers]
        home.config_toml.write_text("[dashboard]\napi_rate = 0\n" + "".join(addresses))
        port = free_port()
        process = Process(
            [sys.executable, "-m", "llm_intercept.cli", "dashboard", "--port", str(port)],
            {**CLEAN, "LLM_INTERCEPT_HOME": str(home.path)},
            folder / "dashboard.log",
        )
        process.start()
        try:
            url = f"http://127.0.0.1:{port}/-/api"
            wait_for(lambda: get(f"{url}/health")[0] == 200, "no dashboard")
            yield Served(url, world, process, folder, spare)
        finally:
            process.stop()
