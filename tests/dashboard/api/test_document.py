"""The OpenAPI document, and the API under whatever it allows and forbids: no fault, no undeclared answer."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.dashboard.api.conftest import World, open_world
from tests.dashboard.api.values import ANYTHING, Schema, misfit, resolved, spoilt, values

# They ask other servers; test_operations.py has one for them.
ASKING = ("credentials.test", "credentials.models", "credentials.test_unsaved", "credentials.models_unsaved")
NAMES = (
    *(
        "root",
        "mia",
        "vic",
        "alpha",
        "beta",
        "gamma",
        "t-show",
        "r-show",
        "l-show",
        "openai",
        "sim",
        "default",
    ),
    *("7d", "24h", "today", "2026-11-15", "Europe/Berlin", "Asia/Kolkata", "UTC", "30d", "1h", "gpt-5*"),
    *(
        "openai/gpt-5",
        "regular",
        "upstream:http://127.0.0.1:1",
        "10.0.0.0/8",
        "chat",
        "ok",
        "error",
        "4xx",
        "429",
    ),
)

MEANT = {
    "user": ("root", "mia", "guest", "changed", "doomed"),
    "project": ("alpha", "beta", "gamma", "default"),
    "token": ("t-show", "t-set", "t-revoke", "t-refresh", "t-suspend", "t-resume", "b-one"),
    "limit": ("limit", "limit-set", "limit-del"),
    "credential": ("key-default", "key-changed", "key-doomed"),
    "route": ("r-show", "r-put", "r-move", "r-del"),
    "alias": ("a-show", "a-del", "fast"),
    "listener": ("l-show", "l-start", "l-stop", "l-del"),
    "scope": ("project", "listener"),
    "name": ("alpha", "l-show"),
}


@pytest.fixture(scope="module")
def document(world: World) -> Schema:
    found: Schema = world.get("/openapi.json").json()
    return found


def operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_document_is_openapi(document: Schema) -> None:
    assert document["openapi"].startswith("3.1")
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids)) > 70
    tags = {tag["name"] for tag in document["tags"]}
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"].endswith("."), where
        assert set(operation["tags"]) <= tags, where
        named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}, where
        assert {"401", "422", "429", "500"} <= set(operation["responses"]), where
        assert ("requestBody" in operation) <= (method in ("post", "put", "patch")), where


def test_every_reference_leads_somewhere(document: Schema) -> None:
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    for part in text.split('"$ref": "')[1:]:
        reference = part.partition('"')[0]
        assert reference.removeprefix("#/components/schemas/") in schemas
    unused = [name for name in schemas if f'schemas/{name}"' not in text]
    assert unused == []


def test_links_lead_to_operations_with_such_a_parameter(document: Schema) -> None:
    found = {operation["operationId"]: operation for _, _, operation in operations(document)}
    linked = 0
    for operation in found.values():
        for answer in operation["responses"].values():
            for link in answer.get("links", {}).values():
                named = {
                    one["name"] for one in found[link["operationId"]]["parameters"] if one["in"] == "path"
                }
                assert set(link["parameters"]) <= named
                linked += 1
    assert linked > 30
    made = found["tokens.create"]["responses"]["201"]["links"]
    assert made["tokens.refresh"]["parameters"] == {"token": "$response.body#/token/id"}


def test_exports_have_three_forms(document: Schema) -> None:
    for path in ("/usage/export", "/audit/export"):
        content = document["paths"][path]["get"]["responses"]["200"]["content"]
        assert set(content) == {"text/csv", "application/json", "application/x-ndjson"}


def test_bodies_take_only_what_they_name(document: Schema) -> None:
    shared = document["components"]["schemas"]
    for method, path, operation in operations(document):
        if "requestBody" in operation:
            body = resolved(operation["requestBody"]["content"]["application/json"]["schema"], shared)
            assert body["additionalProperties"] is False, f"{method} {path}"


def test_keys_are_only_ever_taken(document: Schema) -> None:
    """No schema of an answer has a field for a provider's key."""
    shared = document["components"]["schemas"]
    answers = {
        n
        for n in shared
        if not n.endswith(("Create", "Trial", "Change")) and "key" in shared[n].get("properties", {})
    }
    assert answers <= {"UsageLine"}


class Fuzz:
    """One request after another against a home of its own: what it creates, the next ones meet.

    The local administrator asks most: whoever else is known may be switched off by one of the requests.
    """

    def __init__(self, world: World, document: Schema) -> None:
        self.world = world
        self.shared: Schema = document["components"]["schemas"]
        found = list(operations(document))
        self.operations = [one for one in found if one[2]["operationId"] not in ASKING]
        self.known = st.sampled_from([*NAMES, *world.ids.values()])

    def request(self, data: st.DataObject) -> tuple[str, str, Any, Schema]:
        method, path, operation = data.draw(st.sampled_from(self.operations), label="operation")
        query: list[tuple[str, Any]] = []
        for one in operation["parameters"]:
            if one["in"] == "path":
                named = st.sampled_from(MEANT.get(one["name"], ("root",)))
                text = data.draw(named | named | named | values(one["schema"], self.shared, self.known))
                text = self.world.ids.get(text, text)
                path = path.replace("{" + one["name"] + "}", quote(text, safe="") or "-")
            elif one["in"] == "query" and data.draw(st.integers(0, 3)) == 0:
                good = values(one["schema"], self.shared, self.known)
                query.append((one["name"], data.draw(good | good | good | ANYTHING, label=one["name"])))
        written = [(name, _written(value)) for name, value in query]
        return method.upper(), f"{path}?{urlencode(written)}", self._body(data, operation), operation

    def _body(self, data: st.DataObject, operation: Schema) -> Any:
        content = operation.get("requestBody", {}).get("content", {})
        if not content:
            return None
        schema = content["application/json"]["schema"]
        good = data.draw(values(schema, self.shared, self.known), label="body")
        return data.draw(st.just(good) | st.just(good) | st.just(good) | spoilt(good), label="sent")

    def judge(self, answer: Any, operation: Schema) -> str:
        """What is wrong with an answer."""
        declared = operation["responses"].get(str(answer.status_code))
        if answer.status_code >= 500 or declared is None:
            return f"{answer.status_code} {answer.text[:500]}"
        schema = declared["content"].get("application/json", {}).get("schema")
        return misfit(answer.json(), schema, self.shared) if schema else ""


def _written(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzz]:
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        for name in [name for name in os.environ if name.startswith("LLM_INTERCEPT_")]:
            patch.delenv(name)
        patch.setenv("LLM_INTERCEPT_DASHBOARD__API_RATE", "0")
        folder: Path = tmp_path_factory.mktemp("fuzz")
        world = open_world(folder, runner, rows=100)
        yield Fuzz(world, world.get("/openapi.json").json())
        runner.run(world.datasette.invoke_shutdown())


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_nothing_that_is_sent_makes_a_fault(fuzz: Fuzz, data: st.DataObject) -> None:
    method, path, body, operation = fuzz.request(data)
    note(f"{method} {path} {body!r}")
    raw = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    answer = fuzz.world.ask(
        method, path, raw, data.draw(st.sampled_from(["local", "local", "local", "mia", "vic"]))
    )
    assert not fuzz.judge(answer, operation)
