"""A dashboard over a seeded home, and a browser of sorts: `Visitor` keeps cookies and runs its own loop."""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasette.app import Datasette

from bench.seed import fill
from llm_intercept import resources
from llm_intercept.home import Home
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault

NOW = 1_795_160_678_786_495  # 2026-11-20T07:44:38Z


@dataclass
class Visitor:
    """Asks a Datasette in this process. `html` decides what the Accept header prefers."""

    datasette: Datasette
    runner: asyncio.Runner
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, *, html: bool = True, **more: Any) -> Any:
        return self.ask("get", path, html=html, **more)

    def post(self, path: str, **more: Any) -> Any:
        return self.ask("post", path, **more)

    def ask(self, method: str, path: str, *, html: bool = True, **more: Any) -> Any:
        headers = {"accept": "text/html" if html else "application/json", **more.pop("headers", {})}
        client = self.datasette.client
        answer = self.runner.run(
            getattr(client, method)(
                path, cookies=self.cookies, headers=headers, follow_redirects=False, **more
            )
        )
        self.cookies |= dict(answer.cookies)
        return answer


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("seeded"))
    fill(home, 1200, 9, NOW)
    return home


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as found:
        yield found


def open_dashboard(home: Home, **more: Any) -> Datasette:
    plugins = resources.plugins()
    config = yaml.safe_load((plugins / "datasette.yaml").read_text())
    config["plugins"] = {"llm_dashboard": {"home": str(home.path), "proxy": "http://127.0.0.1:8080", **more}}
    files = [str(home.usage_db)]
    return Datasette(files, config=config, plugins_dir=str(plugins), default_deny=True)


@pytest.fixture
def visit(runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Opens a dashboard over a home for an anonymous visitor; closes all of them at the end."""
    opened: list[Datasette] = []

    def start(home: Home, **more: Any) -> Visitor:
        datasette = open_dashboard(home, **more)
        opened.append(datasette)
        runner.run(datasette.invoke_startup())
        monkeypatch.setattr(sys.modules["llm_dashboard.clock"], "now", lambda: NOW)
        return Visitor(datasette, runner)

    yield start
    for datasette in opened:
        runner.run(datasette.invoke_shutdown())


@pytest.fixture
def anonymous(visit: Any, seeded: Home) -> Visitor:
    found: Visitor = visit(seeded)
    return found


@pytest.fixture
def owner(anonymous: Visitor, seeded: Home) -> Visitor:
    log_in(anonymous, seeded)
    return anonymous


@pytest.fixture
def empty(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.ensure()
    return home


def new_link(home: Home, clock: Any = None) -> str:
    more = {"clock": clock} if clock else {}
    control = Control(home.control_db, Vault.load(home.secret_key, {}), **more)
    try:
        return f"/-/llm/login?code={control.sessions.create_link()}"
    finally:
        control.close()


def log_in(visitor: Visitor, home: Home) -> None:
    answer = visitor.get(new_link(home))
    assert answer.status_code == 302
