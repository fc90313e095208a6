import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from llm_intercept.home import Home
from llm_intercept.store.control import Control
from llm_intercept.store.migrate import connect
from llm_intercept.vault import Vault

type Query = Callable[[str], list[tuple[object, ...]]]


class Clock:
    """Unix seconds that move when told."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.ensure()
    return home


@pytest.fixture
def vault(home: Home) -> Vault:
    return Vault.load(home.secret_key, {})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def control(home: Home, vault: Vault, clock: Clock) -> Iterator[Control]:
    control = Control(home.control_db, vault, clock=clock)
    yield control
    control.close()


@pytest.fixture
def usage_db(home: Home) -> Iterator[sqlite3.Connection]:
    with closing(connect(home.usage_db)) as connection:
        yield connection


@pytest.fixture
def query(home: Home) -> Query:
    """Asks usage.db anew each time, as a reader in another process would."""

    def ask(sql: str) -> list[tuple[object, ...]]:
        with closing(connect(home.usage_db, readonly=True)) as connection:
            return connection.execute(sql).fetchall()

    return ask
