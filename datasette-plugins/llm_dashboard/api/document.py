"""The OpenAPI 3.1 document, made from what the operations declare; nothing in it is written twice."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from llm_dashboard.api.operation import Nothing, Operation, Table
from llm_dashboard.api.problem import CODES, Error
from llm_intercept import __version__

type Document = dict[str, Any]
_JSON = "application/json"
_REF = "#/components/schemas/{model}"
_ALWAYS = ("invalid_path", "unauthenticated", "forbidden", "rate_limited", "internal", "unavailable")
_WITH_BODY = ("invalid_json", "too_large", "unsupported_media_type")
_INVALID = ("invalid_value", "missing_field", "unknown_field", "unusable")
_KEY = "the same key with the same request gives the same answer again, for a day"
_MATCH = "the ETag of the object as it was read: 412 if it has changed since; * for whatever it is"
_NONE_MATCH = "the ETag of an answer that is known: 304, without a body, if it is still the same"
_TAG = {"description": "for If-None-Match, of one object also for If-Match", "schema": {"type": "string"}}
_ABOUT = (
    "Manages llm-intercept and reads its numbers. Log in to the dashboard, or send a token of the API: "
    "`Authorization: Bearer llm_api_...`. Bodies are JSON; fields that are not known are errors. Lists come "
    "in pages: pass `next_cursor` on as `cursor`. What creates takes an `Idempotency-Key`, and can then be "
    "sent again."
)


def of(tables: Sequence[Table]) -> Document:
    """The whole document."""
    operations = [operation for table in tables for operation in table.operations]
    shown = {found.path for found in operations if found.tagged and found.where == "control"}
    names, schemas = _schemas(operations)
    paths: Document = {}
    for operation in operations:
        described = _operation(operation, names, operation.path in shown and _compared(operation))
        if links := _links(operation, operations):
            described["responses"][str(operation.status)]["links"] = links
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "llm-intercept management API", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/-/api"}],
        "security": [{"token": []}, {"session": []}],
        "tags": [{"name": table.tag, "description": table.about} for table in tables],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "llm_intercept_session"},
            },
        },
    }


def _compared(operation: Operation) -> bool:
    """Whether it changes one object, which may have changed meanwhile."""
    return operation.changes and bool(operation.parameters)


type Names = dict[tuple[type[BaseModel], JsonSchemaMode], Document]


def _schemas(operations: Sequence[Operation]) -> tuple[Names, Document]:
    """How each model is referred to, and what is referred to."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Error, "serialization"): None}
    for operation in operations:
        if not operation.files:
            wanted[operation.answer, "serialization"] = None
        if operation.body is not Nothing:
            wanted[operation.body, "validation"] = None
    names, found = models_json_schema(list(wanted), ref_template=_REF)
    return names, found.get("$defs", {})


def _operation(operation: Operation, names: Names, compared: bool) -> Document:
    """`compared`: what it changes can be shown first, so that `If-Match` has a meaning."""
    found: Document = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [*_in_path(operation), *_in_query(operation.query), *_headers(operation, compared)],
        "responses": _responses(operation, names, compared),
    }
    if operation.scope == "none":
        found["security"] = []
    else:
        found["x-scope"] = operation.scope
    if operation.command:
        found["x-command"] = f"llm-intercept {operation.command}"
    if operation.body is not Nothing:
        content = {_JSON: {"schema": names[operation.body, "validation"]}}
        found["requestBody"] = {"required": _needs_body(operation.body), "content": content}
    return found


def _needs_body(body: type[BaseModel]) -> bool:
    return any(field.is_required() for field in body.model_fields.values())


def _in_path(operation: Operation) -> list[Document]:
    text = {"type": "string", "minLength": 1, "maxLength": 500}
    return [
        {"name": name, "in": "path", "required": True, "schema": operation.words.get(name, text)}
        for name in operation.parameters
    ]


@cache
def _in_query(query: type[BaseModel]) -> tuple[Document, ...]:
    found = query.model_json_schema(mode="validation")
    required = found.get("required", ())
    shared: Document = found.get("$defs", {})
    return tuple(
        _parameter(name, _resolved(schema, shared), name in required) for name, schema in _fields(found)
    )


def _fields(schema: Document) -> list[tuple[str, Document]]:
    return list(schema.get("properties", {}).items())


def _resolved(schema: Any, shared: Document) -> Any:
    """Without references: parameters have a schema of their own."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            return {**_resolved(shared[schema["$ref"].rpartition("/")[2]], shared), **rest}
        return {key: _resolved(value, shared) for key, value in schema.items()}
    return [_resolved(value, shared) for value in schema] if isinstance(schema, list) else schema


def _parameter(name: str, schema: Document, required: bool) -> Document:
    about = schema.pop("description", "")
    schema.pop("title", None)
    if "anyOf" in schema:  # nothing is not sent, so null is no value of a parameter
        kinds = [kind for kind in schema.pop("anyOf") if kind.get("type") != "null"]
        schema |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        if schema.get("default", ...) is None:
            del schema["default"]
    found = {"name": name, "in": "query", "required": required, "schema": schema}
    return {**found, "description": about} if about else found


def _headers(operation: Operation, compared: bool) -> list[Document]:
    text = {"type": "string"}  # tags are compared, in lists of any length
    taken = (
        ("Idempotency-Key", operation.creates, text | {"maxLength": 200}, _KEY),
        ("If-Match", compared, text, _MATCH),
        ("If-None-Match", operation.tagged, text, _NONE_MATCH),
    )
    return [
        {"name": name, "in": "header", "schema": schema, "description": about}
        for name, is_taken, schema, about in taken
        if is_taken
    ]


def _responses(operation: Operation, names: Names, compared: bool) -> Document:
    files = operation.files or {_JSON: names[operation.answer, "serialization"]}
    content = {media: {"schema": schema} for media, schema in files.items()}
    found: Document = {str(operation.status): {"description": operation.summary, "content": content}}
    if operation.tagged:
        found[str(operation.status)]["headers"] = {"ETag": _TAG}
        found["304"] = {"description": "It is as If-None-Match says.", "headers": {"ETag": _TAG}}
    shape = {_JSON: {"schema": names[Error, "serialization"]}}
    by_status: dict[int, list[str]] = {}
    for code in _codes(operation, compared):
        by_status.setdefault(CODES[code][0], []).append(code)
    for status, codes in sorted(by_status.items()):
        about = " ".join(f"`{code}`: {CODES[code][1]}" for code in codes)
        found[str(status)] = {"description": about, "content": shape}
    return found


def _links(operation: Operation, operations: Sequence[Operation]) -> Document:
    """What can be done with what it made or listed."""
    links: Document = {}
    for other in operations:
        known = {name: where for name, where in operation.gives.items() if name in other.parameters}
        if known and other.tag == operation.tag:
            parameters = {name: f"$response.body#{where}" for name, where in known.items()}
            links[other.id] = {"operationId": other.id, "parameters": parameters}
    return links


def _codes(operation: Operation, compared: bool) -> list[str]:
    codes = [*_ALWAYS, *_INVALID, *_WITH_BODY, "not_found", "no_such_operation"]
    if operation.scope not in ("none", "usage"):
        codes.append("scope_missing")
    if "cursor" in operation.query.model_fields:
        codes.append("invalid_cursor")
    if operation.changes:
        codes += ["conflict", "invalid_header"]
    if compared:
        codes.append("precondition_failed")
    if operation.creates:
        codes.append("idempotency_conflict")
    return [*codes, *operation.codes]
