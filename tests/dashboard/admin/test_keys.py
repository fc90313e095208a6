"""Keys of providers by their forms: stored and never shown, weighted, tried, switched and removed."""

import pytest

from llm_intercept.store.migrate import connect
from llm_intercept.store.pools import Changes, KeyRow, write_changes
from tests.dashboard.admin.conftest import Admin, said
from tests.dashboard.conftest import NOW

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


def store(admin: Admin, **fields: str) -> str:
    return admin.done(
        "/keys/new", **{"provider": "openai", "name": "main", "secret": KEY, "weight": "1"} | fields
    )


def test_one_is_stored_and_never_shown(admin: Admin) -> None:
    text = store(admin, weight="3", pool="team", base_url="https://relay.example.com/v1")
    assert "is stored" in said(text)
    for page in (text, admin.get("/keys"), admin.get("/keys/openai/main/edit"), admin.get("/audit")):
        assert KEY not in page
    with admin.control() as control:
        key = control.credentials.get("openai", "main")
        assert control.credentials.opened("openai", "main").secret.get_secret_value() == KEY
    assert (key.weight, key.pool, key.base_url) == (3, "team", "https://relay.example.com/v1")
    row = admin.last_audit()
    assert row.action == "key.create"
    assert KEY not in row.after


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"provider": ""}, "provider", "needed"),
        ({"name": "a b"}, "name", "cannot be the name of a key"),
        ({"name": "taken"}, "name", "has a key named"),
        ({"secret": ""}, "secret", "key is empty"),
        ({"weight": "0"}, "weight", "weight"),
        ({"weight": "x"}, "weight", "not a whole number"),
        ({"pool": "1 2"}, "pool", "pool"),
        ({"base_url": "relay"}, "base_url", "no base URL"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    admin: Admin, fields: dict[str, str], where: str, words: str
) -> None:
    store(admin, name="taken")
    found = admin.refused(
        "/keys/new", **{"provider": "openai", "name": "main", "secret": KEY, "weight": "2"} | fields
    )
    assert words in found[where]
    answer = admin.post("/keys/new", **{"provider": "openai", "name": "a b", "secret": KEY})
    assert KEY not in answer.text


def test_its_health_is_in_the_list(admin: Admin) -> None:
    store(admin)
    connection = connect(admin.home.usage_db)
    row = KeyRow("openai", "main", "", NOW + 60_000_000, "429 slow down", "{}", NOW)
    write_changes(connection, Changes(keys={("openai", "main", ""): row}), NOW)
    connection.close()
    text = admin.get("/keys")
    assert "cooling" in text
    assert "429 slow down" in text


def test_changed_switched_and_removed(admin: Admin) -> None:
    store(admin)
    admin.done("/keys/openai/main/edit", weight="7", pool="batch")
    assert "weight" in admin.refused("/keys/openai/main/edit", weight="0", pool="batch")["weight"]
    assert "not used any more" in said(admin.done("/keys/openai/main/disable"))
    with admin.control() as control:
        key = control.credentials.get("openai", "main")
    assert (key.weight, key.pool, key.enabled) == (7, "batch", False)
    assert "in use again" in said(admin.done("/keys/openai/main/enable"))
    assert "It is the only one" in admin.get("/keys/openai/main/delete")
    assert "removed" in said(admin.done("/keys/openai/main/delete", confirmed="yes"))
    with admin.control() as control:
        assert control.credentials.list() == []
    assert "No key is stored yet" in admin.get("/keys")


def test_a_key_that_cannot_be_tried_is_told(admin: Admin) -> None:
    """Nothing listens there, so that the test is quick and leaves this machine alone."""
    store(admin, base_url="http://127.0.0.1:9/v1")
    text = said(admin.done("/keys/openai/main/test"))
    assert "cannot be reached" in text
    assert KEY not in text
