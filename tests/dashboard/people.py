"""People in a home, with calls of their own and calls of others that have a word in them to look for."""

import dataclasses
import sys
from typing import Any

from llm_intercept.hashing import Hasher
from llm_intercept.home import Home
from llm_intercept.policy.limits import Limit
from llm_intercept.policy.passwords import Cost
from llm_intercept.settings import CaptureSettings
from llm_intercept.store.bodies import Body, Capture, write_bodies
from llm_intercept.store.control import Control
from llm_intercept.store.migrate import connect
from llm_intercept.store.rows import AttemptRow, RequestRow, ViolationRow
from llm_intercept.store.usage import write_batch
from llm_intercept.vault import Vault
from tests.dashboard.conftest import NOW, Visitor

CHEAP = Hasher(Cost(time=1, memory_kib=8, parallelism=1))
PASSWORD = "correct horse battery"
SECRET = "theirsonly"
"""In everything that belongs to others."""
SECOND = 1_000_000


def control_of(home: Home) -> Control:
    return Control(home.control_db, Vault.load(home.secret_key, {}))


def furnish(home: Home) -> None:
    """ada is admin, bob a member who owns `bobs`, vic a viewer with one token in `others`."""
    control = control_of(home)
    for name, role in (("ada", "admin"), ("bob", "member"), ("vic", "viewer"), ("off", "member")):
        user = control.users.create(name, email=f"{name}@example.com", role=role)  # type: ignore[arg-type]
        control.accounts.set_password(user.id, CHEAP.new(PASSWORD))
    control.users.change("off", active=False)
    control.projects.create("bobs", owner="bob")
    control.projects.create("shared", members=["bob"])
    control.projects.create("others", owner="ada")
    control.projects.create(f"p-{SECRET}", owner="ada")
    control.tokens.create("others", "vics", user="vic")
    control.tokens.create("others", "bobs-too", user="bob")
    control.tokens.create(f"p-{SECRET}", f"t-{SECRET}", user="ada")
    control.limits.set(Limit(scope="project", name=f"p-{SECRET}", measure="requests", amount=5))
    control.users.create(f"u-{SECRET}", email=f"{SECRET}@example.com")
    control.close()
    _fill(home)


def _fill(home: Home) -> None:
    rows = [
        _call(1, "bobs", "laptop", "m-bobs"),
        _call(2, "shared", "ci", "m-shared"),
        _call(3, "others", "vics", "m-vics"),
        _call(4, "others", "bobs-too", "m-bobs-too"),
        *(_foreign(number) for number in range(5, 9)),
    ]
    connection = connect(home.usage_db)
    write_batch(connection, rows)
    connection.close()
    bodies = connect(home.bodies_db)
    text = f'{{"messages": [{{"role": "user", "content": "{SECRET}"}}]}}'.encode()
    kept = [
        (row.id, [Body("request", "application/json", text)]) for row in rows if row.id == ids()["theirs"]
    ]
    write_bodies(bodies, Capture(CaptureSettings(bodies="all")), kept)
    bodies.close()


def uuid(number: int) -> str:
    return f"0197aaaa-0000-7000-8000-{number:012d}"


def ids() -> dict[str, int]:
    return {"bobs": NOW - 1 * SECOND, "vics": NOW - 3 * SECOND, "theirs": NOW - 5 * SECOND}


def _call(number: int, project: str, token: str, model: str, **more: Any) -> RequestRow:
    row = RequestRow(
        NOW - number * SECOND,
        uuid(number),
        project=project,
        token=token,
        model=model,
        model_requested=model,
        provider="openai",
        credential="key-of-theirs",
        status=200,
        outcome="ok",
        cost_nanos=1_000_000 * number,
        priced=1,
        input_tokens=10,
        output_tokens=2,
        duration_ms=12.0,
    )
    return dataclasses.replace(row, **more)


def _foreign(number: int) -> RequestRow:
    tries = [
        AttemptRow(
            0, n, f"prov-{SECRET}", "host", "main", error_message=SECRET, status=429, outcome="client_error"
        )
        for n in (1, 2)
    ]
    return _call(
        number,
        f"p-{SECRET}",
        f"t-{SECRET}",
        f"m-{SECRET}",
        provider=f"prov-{SECRET}",
        listener=f"l-{SECRET}",
        outcome="provider_error",
        status=500,
        error_type=SECRET,
        error_message=SECRET,
        user=f"u-{SECRET}",
        tries=tries,
        attempts=2,
        violations=[ViolationRow(0, "provider", "openai_chat", 1, SECRET)],
    )


def cheap(visitor: Visitor) -> Visitor:
    """Passwords are hashed in no time."""
    access = sys.modules["llm_dashboard.access"]
    access.doors(visitor.datasette).hasher = CHEAP
    return visitor


def log_in_as(visitor: Visitor, name: str, password: str = PASSWORD, **more: Any) -> Any:
    return cheap(visitor).post("/-/llm/login", data={"name": name, "password": password, **more})
