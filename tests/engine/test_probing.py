import asyncio
import logging
from pathlib import Path

import pytest
from pydantic import SecretStr

from llm_intercept.engine.health import Health, TargetKey
from llm_intercept.engine.probing import asker, probe_forever, probe_once
from llm_intercept.errors import ConfigError
from llm_intercept.home import Home
from llm_intercept.policy.attempts import Failure
from llm_intercept.providers import Registry
from llm_intercept.settings import BreakerSettings, Settings
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault
from tests.test_keytest import provider_that_answers

A, B = TargetKey("openai", "main", "gpt"), TargetKey("openai", "main", "other")
SPARE = TargetKey("openai", "spare", "gpt")


@pytest.fixture
def health() -> Health:
    health = Health(BreakerSettings(consecutive=1), lambda: 1_700_000_000.0)
    for target in (A, B, SPARE):
        health.failed(target, Failure("connect"), {})
    return health


def test_each_key_is_asked_once(health: Health) -> None:
    asked: list[tuple[str, str]] = []

    async def ask(provider: str, credential: str) -> bool:
        asked.append((provider, credential))
        return credential == "main"

    asyncio.run(probe_once(health, ask))
    assert asked == [("openai", "main"), ("openai", "spare")]
    assert health.open_targets() == [SPARE]
    assert health.admit(A)
    assert not health.admit(SPARE)
    asyncio.run(probe_once(health, ask))
    assert asked[2:] == [("openai", "spare")]


def test_a_fault_of_one_costs_no_other(health: Health, caplog: pytest.LogCaptureFixture) -> None:
    async def ask(provider: str, credential: str) -> bool:
        if credential == "main":
            raise ConfigError("no region")
        return True

    with caplog.at_level(logging.WARNING):
        asyncio.run(probe_once(health, ask))
    assert health.open_targets() == [A, B]
    assert "openai cannot be probed: no region" in caplog.text


def test_it_goes_on_until_it_is_cancelled(health: Health) -> None:
    async def run() -> int:
        rounds, enough = 0, asyncio.Event()

        async def ask(provider: str, credential: str) -> bool:
            nonlocal rounds
            rounds += 1
            if rounds >= 6:
                enough.set()
            return False

        task = asyncio.create_task(probe_forever(health, ask, 0.001))
        await asyncio.wait_for(enough.wait(), 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return rounds

    assert asyncio.run(run()) >= 6


@pytest.mark.parametrize(("status", "answers"), [(200, True), (401, False), (503, False)])
def test_the_list_of_models_with_the_key(tmp_path: Path, status: int, answers: bool) -> None:
    home = Home(tmp_path / "home")
    home.ensure()
    control = Control(home.control_db, Vault.load(home.secret_key, {}))
    ask = asker(Registry({}), control, Settings(), home, lambda: 1_700_000_000.0)
    with provider_that_answers(status, {"data": []}) as (url, asked):
        control.credentials.add("openai", SecretStr("sk-abcdefghijklmnop"), name="main", base_url=url)
        control.refresh()
        assert asyncio.run(ask("openai", "main")) is answers
        assert [(path, headers["authorization"]) for path, headers in asked] == [
            ("/v1/models", "Bearer sk-abcdefghijklmnop")
        ]
        for provider, credential in (("openai", "gone"), ("openai", ""), ("nobody", "main"), ("sim", "")):
            assert not asyncio.run(ask(provider, credential))
    assert len(asked) == 1
    control.close()
