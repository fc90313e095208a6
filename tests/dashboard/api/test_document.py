"""The OpenAPI document in itself: what it names is there, and bodies take only what it names."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dashboard.api.conftest import World

type Schema = dict[str, Any]


def resolved(schema: Schema, shared: Schema) -> Schema:
    name = schema.get("$ref", "").rpartition("/")[2]
    return resolved(shared[name], shared) if name else schema


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


def test_conditions_are_where_they_have_a_meaning(document: Schema) -> None:
    def headers(path: str, method: str) -> set[str]:
        return {one["name"] for one in document["paths"][path][method]["parameters"] if one["in"] == "header"}

    assert headers("/projects/{project}", "get") == {"If-None-Match"}
    assert headers("/projects/{project}", "patch") == {"If-Match"}
    assert headers("/projects", "post") == {"Idempotency-Key"}
    assert headers("/usage/summary", "get") == {"If-None-Match"}
    assert headers("/audit/export", "get") == set()
    for method, path, operation in operations(document):
        taken, said = headers(path, method), operation["responses"]
        assert ("304" in said) is ("If-None-Match" in taken), path
        assert ("412" in said) is ("If-Match" in taken), path
        if "304" in said:
            assert "ETag" in said["200"]["headers"]


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
    # What a line is about; the id of a key; the digest of a question.
    assert answers <= {"UsageLine", "Rotated", "CachedAnswer", "CachedBody", "CachePurge"}
