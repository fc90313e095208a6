"""A value that satisfies a JSON schema: arguments of tool calls and structured answers."""

from typing import Any

from llm_intercept.sim.prompt import Json, as_dict

_FORMATS = {
    "date": "2025-01-31",
    "date-time": "2025-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "ada@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
}
_DEEPEST = 12


def example(schema: Any, root: Json | None = None, depth: int = 0) -> Any:
    """The plainest value of the schema's shape; required and optional properties are all given."""
    shape = as_dict(schema)
    root = shape if root is None else root
    if depth > _DEEPEST:
        return None
    if "$ref" in shape:
        return example(_resolve(str(shape["$ref"]), root), root, depth + 1)
    for key in ("const", "default"):
        if key in shape:
            return shape[key]
    if shape.get("enum"):
        return shape["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if shape.get(key):
            return example(shape[key][0], root, depth + 1)
    return _by_type(shape, root, depth)


def _by_type(shape: Json, root: Json, depth: int) -> Any:
    kind = shape.get("type", "object" if "properties" in shape else "string")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    match str(kind).lower():  # Gemini writes STRING, OBJECT
        case "object":
            return {k: example(v, root, depth + 1) for k, v in as_dict(shape.get("properties")).items()}
        case "array":
            length = max(1, int(shape.get("minItems", 1)))
            return [example(shape.get("items"), root, depth + 1) for _ in range(length)]
        case "integer" | "number":
            return shape.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
    return _text(shape)


def _text(shape: Json) -> str:
    text = _FORMATS.get(str(shape.get("format", "")), "sample")
    return text.ljust(int(shape.get("minLength", 0)), "x")[: int(shape.get("maxLength", 10_000))]


def _resolve(reference: str, root: Json) -> Any:
    value: Any = root
    for step in reference.removeprefix("#/").split("/"):
        value = as_dict(value).get(step)
    return value
