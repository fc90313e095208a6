"""Amazon's own service model as oracle: botocore parses what we write, and its rules judge our requests."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
from botocore.eventstream import EventStream
from botocore.model import Shape
from botocore.parsers import EventStreamJSONParser, create_parser
from botocore.validate import ParamValidator


@cache
def operation(name: str) -> Any:
    return botocore.session.get_session().get_service_model("bedrock-runtime").operation_model(name)


class Wire:
    """The raw stream of an HTTP answer, as botocore wants it."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def stream(self) -> Iterator[bytes]:
        yield self.data

    def close(self) -> None:
        pass


def events(data: bytes) -> list[dict[str, Any]]:
    """The events that boto3's user gets; raises EventStreamError for an exception in the stream."""
    shape = operation("ConverseStream").output_shape.members["stream"]
    return list(EventStream(Wire(data), shape, EventStreamJSONParser(), "ConverseStream"))


def answer(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """What boto3's user gets of a whole answer, or of an error."""
    given = {"status_code": status, "headers": headers or {}, "body": body}
    return create_parser("rest-json").parse(given, operation("Converse").output_shape)


def faults(body: Any, stream: bool = False) -> list[str]:
    """What the service model has against a request: types, required members, unknown ones, patterns."""
    shape = operation("ConverseStream" if stream else "Converse").input_shape
    whole = {"modelId": "anthropic.claude", **body}
    report = ParamValidator().validate(whole, shape)
    found = [report.generate_report()] if report.has_errors() else []
    return found + list(_faults(whole, shape, ""))


def _faults(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        yield from _structure(value, shape, path)
    elif shape.type_name == "list":
        for at, item in enumerate(value):
            yield from _faults(item, shape.member, f"{path}[{at}]")
    elif shape.type_name == "string":
        yield from _string(value, shape, path)
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    size = (
        value
        if shape.type_name in ("integer", "float")
        else len(value)
        if hasattr(value, "__len__")
        else None
    )
    if size is not None and ((least is not None and size < least) or (most is not None and size > most)):
        yield f"{path}: {size} is not in {least}..{most}"


def _structure(value: Any, shape: Any, path: str) -> Iterator[str]:
    if shape.is_tagged_union and len(value) != 1:
        yield f"{path}: one member wanted, {sorted(value)} given"
    for name, member in value.items():
        if name not in shape.members:
            yield f"{path}.{name}: unknown"
        else:
            yield from _faults(member, shape.members[name], f"{path}.{name}")


def _string(value: str, shape: Any, path: str) -> Iterator[str]:
    if shape.enum and value not in shape.enum:
        yield f"{path}: {value!r} is not in {shape.enum}"
    pattern = shape.metadata.get("pattern")
    if pattern and path != ".modelId" and not re.fullmatch(pattern, value):
        yield f"{path}: {value!r} does not match {pattern}"
