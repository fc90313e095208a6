"""The management API over a home with people, projects and everything else that it manages."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from datasette.app import Datasette
from pydantic import SecretStr

from bench.seed import fill
from llm_intercept.home import Home
from llm_intercept.policy.limits import Limit
from llm_intercept.policy.routing import Route
from llm_intercept.store.cache import opened
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault
from tests.dashboard.conftest import NOW, open_dashboard
from tests.store.test_cache import answer

KEY = "sk-proj-Zq3vXw8Lk1Rt6Yb0Nc5Md2Hf7Js9Pa4"
TOKENS = ("show", "set", "revoke", "batch-a", "batch-b", "refresh", "suspend", "resume", "delete")


@dataclass
class World:
    """`bearers` are API tokens by the name of whose they are; `ids` what cases fill into paths."""

    home: Home
    datasette: Datasette
    runner: asyncio.Runner
    bearers: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None, who: str | None = "root", **headers: str) -> Any:
        """`body` is sent as JSON; bytes as they are."""
        sent = {"accept": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        if who is not None:
            sent["authorization"] = f"Bearer {self.bearers[who]}"
        more: dict[str, Any] = {}
        if body is not None:
            sent.setdefault("content-type", "application/json")
            more["content"] = body if isinstance(body, bytes) else json.dumps(body)
        call = self.datasette.client.request(method, f"/-/api{path}", headers=sent, **more)
        answer = self.runner.run(call)
        self.seen.append(answer.text)
        return answer

    def get(self, path: str, who: str | None = "root", **headers: str) -> Any:
        return self.ask("GET", path, who=who, **headers)

    def post(self, path: str, body: Any = None, who: str | None = "root", **headers: str) -> Any:
        return self.ask("POST", path, body, who, **headers)

    def control(self) -> Control:
        return Control(self.home.control_db, Vault.load(self.home.secret_key, {}))


def populate(world: World, control: Control) -> None:
    people = {"root": "admin", "mia": "member", "vic": "viewer", "out": "member"}
    for name, role in people.items():
        user = control.users.create(name, email=f"{name}@example.com", role=role)  # type: ignore[arg-type]
        world.ids[name] = user.id
        world.bearers[name] = control.api_tokens.create(user.id, f"{name}-token", "write").text
    world.bearers["local"] = control.api_tokens.create("", "local-token", "write").text
    for name in ("changed", "doomed", "guest", "second-admin"):
        control.users.create(name, role="admin" if name == "second-admin" else "member")
    control.invites.create("second-admin")
    control.projects.create("alpha", owner="mia", members=["guest"])
    control.projects.create("beta", owner="out")
    control.projects.create("gamma")
    control.projects.create("unwanted")
    for name in TOKENS:
        world.ids[f"t-{name}"] = control.tokens.create("alpha", f"t-{name}", user="mia").token.id
    control.tokens.suspend("t-resume")
    world.ids["b-one"] = control.tokens.create("beta", "b-one", user="out").token.id
    control.tokens.create("gamma", "g-one")
    world.ids["vics"] = control.tokens.create("beta", "vics", user="vic").token.id
    _machinery(world, control)


def _machinery(world: World, control: Control) -> None:
    for number, name in enumerate(("limit", "limit-set", "limit-del")):
        limit = Limit(scope="project", name="alpha", measure="requests", amount=1000 + number, per="day")
        limit = limit.model_copy(update={"per": ("day", "hour", "month")[number]})
        world.ids[name] = control.limits.set(limit).id
    for name in ("default", "changed", "doomed"):
        world.ids[f"key-{name}"] = control.credentials.add("openai", SecretStr(KEY), name=name).id
    for name in ("r-show", "r-put", "r-move", "r-del"):
        control.routes.set(Route.model_validate({"name": name, "targets": ["openai/gpt-5-mini"]}))
    control.aliases.set("a-show", "openai/gpt-5")
    control.aliases.set("a-del", "openai/gpt-5", "alpha")
    _answers(world)
    for number, name in enumerate(("l-show", "l-start", "l-stop", "l-del", "l-set")):
        control.listeners.create(name, is_free=lambda _: True, port=18001 + number)


def _answers(world: World) -> None:
    """Two of alpha, one of them out of date; two of beta, of which one is young."""
    now, hour = time.time_ns() // 1000, 3_600_000_000
    facts = ((3, "beta", 48, 5), (2, "alpha", 3, -1), (1, "alpha", 2, 5), (4, "beta", 1, 5))
    made = [
        answer(n, id=now - age * hour, project=project, expires_us=now + left * hour)
        for n, project, age, left in facts
    ]
    with opened(world.home.cache_db) as store:
        store.put(made)
        store.used([(made[2].key, 3, now)])
    world.ids |= {"answer": made[3].key.hex(), "stored": made[2].key.hex()}


def open_world(folder: Path, runner: asyncio.Runner, rows: int = 300) -> World:
    home = Home(folder)
    fill(home, rows, 9, NOW)
    world = World(home, open_dashboard(home), runner, secrets={KEY})
    control = world.control()
    try:
        populate(world, control)
    finally:
        control.close()
    runner.run(world.datasette.invoke_startup())
    return world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests of a module, each of which has objects of its own in it."""
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        for name in [name for name in os.environ if name.startswith("LLM_INTERCEPT_")]:
            patch.delenv(name)
        patch.setenv("LLM_INTERCEPT_DASHBOARD__API_RATE", "0")
        found = open_world(tmp_path_factory.mktemp("api"), runner)
        yield found
        runner.run(found.datasette.invoke_shutdown())
