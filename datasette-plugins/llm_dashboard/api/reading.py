"""A request as it comes, read and checked against what its operation declares."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from datasette.utils.asgi import Request
from pydantic import BaseModel, ValidationError

from llm_dashboard.api.operation import Nothing, Operation
from llm_dashboard.api.problem import Problem, of_validation

MOST_BODY = 1_000_000
_MOST_PARAMETERS = 100
_MOST_PATH = 500
_JSON = re.compile(r"application/json\s*(;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,18}")


async def body_of(request: Request) -> bytes:
    """The whole body, unless it is too large: then no more of it is read."""
    said = request.headers.get("content-length", "0")
    if not _LENGTH.fullmatch(said):
        raise Problem("invalid_header", "Content-Length is not a number.", "content-length")
    if int(said) > MOST_BODY:
        raise _too_large()
    body, more = b"", True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Problem("invalid_json", "The connection ended before the body did.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MOST_BODY:
            raise _too_large()
    return body


def _too_large() -> Problem:
    return Problem("too_large", f"A body may have {MOST_BODY:,} bytes.")


def parsed_body(operation: Operation, body: bytes, content_type: str) -> BaseModel:
    """What the operation takes, each value of the kind that JSON gives it: 0 is not false, "1" is no number.

    Without a body every field has to have a default.
    """
    if body and not _JSON.fullmatch(content_type.strip()):
        raise Problem(
            "unsupported_media_type", "Send the body as application/json, in UTF-8.", "content-type"
        )
    try:
        return operation.body.model_validate_json(body or b"{}", strict=True)
    except ValidationError as error:
        if not body and operation.body is not Nothing:
            raise Problem("invalid_json", "This operation needs a JSON body.") from None
        raise of_validation(error) from None


def parsed_query(operation: Operation, query: str) -> BaseModel:
    """Every parameter once; those that are lists as often as there are values."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise Problem("invalid_path", "The parameters after the question mark cannot be read.") from None
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise Problem("invalid_value", f"{name} is given twice.", name)
        values[name] = value
    try:
        return operation.query.model_validate(values)
    except ValidationError as error:
        raise of_validation(error) from None


def parsed_path(operation: Operation, rest: str) -> Mapping[str, str] | None:
    """The parameters in the path; None if it is not the operation's."""
    try:
        found = operation.match(rest)
    except UnicodeDecodeError:
        raise Problem("invalid_path", "The path is not UTF-8.") from None
    if found and any(len(value) > _MOST_PATH or "\0" in value for value in found.values()):
        raise Problem("invalid_path", f"A part of the path is longer than {_MOST_PATH} characters.")
    return found
