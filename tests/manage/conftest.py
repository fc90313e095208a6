from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from llm_intercept.home import Home
from llm_intercept.manage import Actor, Management
from llm_intercept.providers import Registry
from llm_intercept.settings import Settings
from llm_intercept.store.audit_rows import AuditRow
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault

ADMIN = Actor("cli", "root", "admin")


@dataclass(frozen=True, slots=True)
class People:
    """A project `red` that belongs to mia (member) and has vic (viewer); a project `blue` of nobody's."""

    admin: Actor
    member: Actor
    viewer: Actor
    stranger: Actor  # a member of nothing


@pytest.fixture
def manage(tmp_path: Path) -> Iterator[Management]:
    home = Home(tmp_path / "home")
    home.ensure()
    control = Control(home.control_db, Vault.load(home.secret_key, {}))
    settings = Settings()
    yield Management(control, control.audit, Registry(settings.providers), settings)
    control.close()


@pytest.fixture
def people(manage: Management) -> People:
    made = {
        name: manage.users.create(ADMIN, name, role=role, email=f"{name}@example.com")
        for name, role in (("mia", "member"), ("vic", "viewer"), ("sam", "member"))
    }
    manage.projects.create(ADMIN, "red", owner="mia", members=["vic"])
    manage.projects.create(ADMIN, "blue")
    for project in ("red", "blue"):
        manage.tokens.create(ADMIN, project, "laptop")
    manage.tokens.create(ADMIN, "red", "phone", user="vic")
    actors = [Actor("session", name, user.role, user.id, "192.0.2.1") for name, user in made.items()]
    return People(ADMIN, *actors)


def last(manage: Management) -> AuditRow:
    return manage.audit.after(0, 1000)[-1]


def count(manage: Management) -> int:
    return len(manage.audit.after(0, 1000))
