"""Keys of providers by their forms: stored and never shown, weighted, tried, switched and removed."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from llm_intercept.store.migrate import connect
from llm_intercept.store.pools import Changes, KeyRow, write_changes
from tests.dashboard.admin.conftest import Admin, errors, said
from tests.dashboard.conftest import NOW, log_in

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
        ({"provider": "bedrock"}, "secret", "ACCESS:SECRET"),
        ({"provider": "bedrock", "secret": "{}"}, "secret", "needs access_key_id"),
        ({"provider": "vertex"}, "secret", "the JSON of a service account"),
        ({"provider": "vertex", "secret": '{"type": "authorized_user"}'}, "secret", "login of a person"),
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


def test_a_key_that_cannot_be_one_is_not_kept(admin: Admin) -> None:
    """Nothing says that its field may be left empty."""
    answer = admin.post("/keys/new", provider="vertex", name="main", secret="sk-no-json", weight="1")
    assert "the JSON of a service account" in errors(answer.text)["secret"]
    assert 'name="kept" value="' not in answer.text
    assert "sk-no-json" not in answer.text


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


def test_another_key_in_its_place(admin: Admin) -> None:
    store(admin)
    new = "sk-proj-another-0123456789-zzzz"
    base = {"weight": "2", "pool": ""}
    wrong = admin.refused("/keys/openai/main/edit", **base, base_url="https://relay.example/v1")
    assert "give the key as well" in wrong["base_url"]
    text = admin.done("/keys/openai/main/edit", **base, secret=new, base_url="https://relay.example/v1")
    assert "sk-...zzzz is changed" in said(text)
    assert new not in text + admin.get("/keys/openai/main/edit")
    with admin.control() as control:
        key, opened = control.credentials.get("openai", "main"), control.credentials.opened("openai", "main")
        assert ("openai", "main", "") in control.breakers.asked(), "what cooled down is tried again"
    assert (opened.secret.get_secret_value(), key.base_url) == (new, "https://relay.example/v1")
    assert (admin.last_audit().action, new in admin.last_audit().after) == ("key.change", False)


def test_a_key_that_cannot_be_tried_is_told(admin: Admin) -> None:
    """Nothing listens there, so that the test is quick and leaves this machine alone."""
    store(admin, base_url="http://127.0.0.1:9/v1")
    text = said(admin.done("/keys/openai/main/test"))
    assert "cannot be reached" in text
    assert KEY not in text


class Provider(BaseHTTPRequestHandler):
    """Lists two models for the right key; repeats a wrong one, as some do."""

    def do_GET(self) -> None:
        given = self.headers.get("authorization", "").removeprefix("Bearer ")
        good = given == KEY
        models = {"data": [{"id": "model-one"}, {"id": "model-two"}]}
        body = json.dumps(models if good else {"error": f"no such key {given}"}).encode()
        self.send_response(200 if good else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_a_key_is_tried_before_it_is_stored(admin: Admin, provider: str) -> None:
    fields = {"provider": "openai", "name": "main", "weight": "1", "base_url": provider}
    answer = admin.post("/keys/new", **fields, secret=KEY, test="yes")
    assert answer.status_code == 200
    assert "The key works" in answer.text
    assert "model-two" in answer.text
    assert KEY not in answer.text
    with admin.control() as control:
        assert control.credentials.list() == []
    kept = re.findall('name="kept" value="([^"]+)"', answer.text)
    text = admin.done("/keys/new", **fields, secret="", kept=kept[0])
    assert "is stored" in said(text)
    with admin.control() as control:
        assert control.credentials.opened("openai", "main").secret.get_secret_value() == KEY


def test_a_key_that_is_tried_and_refused(admin: Admin, provider: str) -> None:
    fields = {"provider": "openai", "name": "main", "base_url": provider}
    answer = admin.post("/keys/new", **fields, secret="sk-proj-wrong-wrong-wrong", test="yes")
    assert "The key does not work" in answer.text
    assert "no such key [the key]" in answer.text
    assert "sk-proj-wrong" not in answer.text
    empty = admin.post("/keys/new", provider="openai", test="yes")
    assert "paste it to test it" in errors(empty.text)["secret"]
    assert "needed" in errors(admin.post("/keys/new", provider="", secret=KEY, test="yes").text)["provider"]


def test_what_was_kept_is_for_its_provider_and_its_login_alone(admin: Admin, provider: str) -> None:
    fields = {"name": "main", "weight": "1", "base_url": provider}
    answer = admin.post("/keys/new", **fields, provider="openai", secret=KEY, test="yes")
    kept = re.findall('name="kept" value="([^"]+)"', answer.text)[0]
    log_in(admin.visitor, admin.home)
    assert "again" in errors(admin.post("/keys/new", **fields, provider="openai", kept=kept).text)["secret"]
    answer = admin.post("/keys/new", **fields, provider="openai", secret=KEY, test="yes")
    kept = re.findall('name="kept" value="([^"]+)"', answer.text)[0]
    assert "again" in errors(admin.post("/keys/new", **fields, provider="groq", kept=kept).text)["secret"]


def test_a_stored_key_is_tried_from_its_page(admin: Admin, provider: str) -> None:
    store(admin, base_url=provider)
    text = admin.done("/keys/openai/main/test?from=page")
    assert "The key works" in text
    assert "model-one" in text
    assert KEY not in text


def test_filters(admin: Admin) -> None:
    store(admin, pool="team")
    store(admin, name="other", provider="groq")
    admin.done("/keys/groq/other/disable")
    for query, names in (
        ("q=team", {"main"}),
        ("provider=groq", {"other"}),
        ("state=not+used", {"other"}),
        ("state=cooling", set()),
        ("q=", {"main", "other"}),
    ):
        text = admin.get(f"/keys?{query}")
        assert {name for name in ("main", "other") if f"/ {name}</a>" in text} == names
