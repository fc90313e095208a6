"""The page for people: every operation with its fields and an example. No script, nothing from elsewhere."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llm_dashboard.api.document import Document
from llm_dashboard.api.operation import Operation, Table

_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Field:
    """Something that is sent. `place` is path, query, header or body."""

    name: str
    place: str
    required: bool
    about: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An operation as the page shows it."""

    operation: Operation
    fields: list[Field]
    example: str


def entries(tables: Sequence[Table], document: Document, base: str) -> list[tuple[Table, list[Entry]]]:
    return [
        (table, [_entry(operation, document, base) for operation in table.operations]) for table in tables
    ]


def _entry(operation: Operation, document: Document, base: str) -> Entry:
    described = document["paths"][operation.path][operation.method.lower()]
    fields = [*_parameters(described), *_body_fields(described, document)]
    return Entry(operation, fields, example(operation, document, base))


def _parameters(described: Document) -> Iterator[Field]:
    for one in described["parameters"]:
        yield Field(one["name"], one["in"], one.get("required", False), one.get("description", ""))


def _body_fields(described: Document, document: Document) -> Iterator[Field]:
    body = _body(described, document)
    required = body.get("required", ())
    for name, schema in body.get("properties", {}).items():
        yield Field(name, "body", name in required, schema.get("description", ""))


def _body(described: Document, document: Document) -> Document:
    content = described.get("requestBody", {}).get("content", {})
    schema: Document = content.get("application/json", {}).get("schema", {})
    return _followed(schema, document)


def _followed(schema: Document, document: Document) -> Document:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: Document = document["components"]["schemas"].get(name, schema) if name else schema
    return found


def example(operation: Operation, document: Document, base: str) -> str:
    """A command line that does it; its body has what has to be said."""
    described = document["paths"][operation.path][operation.method.lower()]
    words = ["curl"] if operation.method == "GET" else ["curl", "-X", operation.method]
    words += ["-H", '"Authorization: Bearer $LLM_API_TOKEN"']
    body = _body(described, document)
    if body.get("properties"):
        given = {name: _sample(body["properties"][name], document) for name in body.get("required", [])}
        words += ["-H", "'Content-Type: application/json'", "-d", f"'{json.dumps(given)}'"]
    path = _PARAMETER.sub(lambda found: found[1].upper(), operation.path)
    return " ".join([*words, f"{base}{path}"])


def _sample(schema: Document, document: Document) -> Any:
    schema = _followed(schema, document)
    if "examples" in schema:
        return schema["examples"][0]
    if "anyOf" in schema:
        return _sample(schema["anyOf"][0], document)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", 1) or 1
        case "boolean":
            return True
        case "array":
            return [_sample(schema.get("items", {}), document)]
        case "object":
            named = schema.get("required", [])
            return {name: _sample(schema["properties"][name], document) for name in named}
    return "demo"
