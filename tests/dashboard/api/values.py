"""Values for a JSON schema, made by hypothesis: those that it allows, those that it does not, and a judge."""

import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=40)
_ODD = st.sampled_from(
    [
        "",
        " ",
        "\0",
        "'; DROP TABLE tokens --",
        "../..",
        "%00",
        "🦆",
        "*",
        "[a-",
        "9" * 30,
        "null",
        "\u202e",
        "{}",
    ]
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT
    | _ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
type Schema = dict[str, Any]


def resolved(schema: Schema, shared: Schema) -> Schema:
    name = schema.get("$ref", "").rpartition("/")[2]
    return (
        {**resolved(shared[name], shared), **{k: v for k, v in schema.items() if k != "$ref"}}
        if name
        else schema
    )


def values(
    schema: Schema, shared: Schema, known: st.SearchStrategy[str], depth: int = 0
) -> st.SearchStrategy[Any]:
    """What the schema allows. `known` are texts that mean something: names, ids, times."""
    schema = resolved(schema, shared)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return st.one_of([values(one, shared, known, depth) for one in schema[several]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    makers: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
        "string": lambda: _texts(schema, known),
        "integer": lambda: st.integers(*_bounds(schema, -(2**70), 2**70, 1)),
        "number": lambda: _numbers(schema),
        "boolean": st.booleans,
        "null": st.none,
        "array": lambda: _lists(schema, shared, known, depth),
        "object": lambda: _objects(schema, shared, known, depth),
    }
    return makers.get(schema.get("type", ""), lambda: ANYTHING)()


def _numbers(schema: Schema) -> st.SearchStrategy[float]:
    low, high = _bounds(schema, -1e9, 1e9, 1e-6)
    return st.floats(low, high, allow_nan=False)


def _lists(
    schema: Schema, shared: Schema, known: st.SearchStrategy[str], depth: int
) -> st.SearchStrategy[Any]:
    inner = values(schema.get("items", {}), shared, known, depth + 1)
    most = min(3, schema.get("maxItems", 3))
    return st.lists(inner, min_size=schema.get("minItems", 0), max_size=most)


def _bounds(schema: Schema, low: Any, high: Any, step: Any) -> tuple[Any, Any]:
    low = schema.get("minimum", schema["exclusiveMinimum"] + step if "exclusiveMinimum" in schema else low)
    high = schema.get("maximum", schema["exclusiveMaximum"] - step if "exclusiveMaximum" in schema else high)
    return low, high


def _texts(schema: Schema, known: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    least, most = schema.get("minLength", 0), schema.get("maxLength", 60)
    if "pattern" in schema:
        return st.from_regex(re.compile(schema["pattern"], re.ASCII)).map(
            lambda text: text.removesuffix("\n")
        )
    free = st.text(st.characters(codec="utf-8"), min_size=least, max_size=min(most, 60))
    fitting = (known | _ODD).filter(lambda text: least <= len(text) <= most)
    return st.one_of(free, fitting, *[known.filter(lambda text: least <= len(text) <= most)] * 4)


def _objects(
    schema: Schema, shared: Schema, known: st.SearchStrategy[str], depth: int
) -> st.SearchStrategy[Any]:
    if depth > 5:
        return st.just({})
    fields = {
        name: values(one, shared, known, depth + 1) for name, one in schema.get("properties", {}).items()
    }
    required = {name: fields.pop(name) for name in schema.get("required", [])}
    free = schema.get("additionalProperties")
    made = st.fixed_dictionaries(required, optional=fields)
    if not isinstance(free, dict):
        return made
    keys = values(schema.get("propertyNames", {"type": "string"}), shared, known, depth + 1)
    more = st.dictionaries(keys.map(str), values(free, shared, known, depth + 1), max_size=2)
    return st.tuples(more, made).map(lambda two: two[0] | two[1])


def spoilt(good: Any) -> st.SearchStrategy[Any]:
    """The same with one thing that cannot be right: a field too many, one missing, one of another kind."""
    if not isinstance(good, dict):
        return ANYTHING
    extra = st.just({**good, "surprise": 1})
    if not good:
        return extra
    name = st.sampled_from(sorted(good))
    missing = name.map(lambda one: {k: v for k, v in good.items() if k != one})
    other = st.tuples(name, ANYTHING).map(lambda two: {**good, two[0]: two[1]})
    return extra | missing | other


def misfit(value: Any, schema: Schema, shared: Schema, where: str = "answer") -> str:
    """Where a value is not as its schema says, for schemas as pydantic writes them; "" if it is."""
    schema = resolved(schema, shared)
    if "anyOf" in schema:
        tried = [misfit(value, one, shared, where) for one in schema["anyOf"]]
        return "" if "" in tried else f"{where}: {tried}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where}: {value!r} is not in {schema['enum']}"
    kinds = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
        "array": list,
        "object": dict,
    }
    kind = schema.get("type")
    if kind and (
        not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind in ("integer", "number"))
    ):
        return f"{where}: {value!r} is no {kind}"
    if isinstance(value, list) and "items" in schema:
        return next(filter(None, (misfit(v, schema["items"], shared, f"{where}[]") for v in value)), "")
    return _misfit_object(value, schema, shared, where) if isinstance(value, dict) else ""


def _misfit_object(value: Schema, schema: Schema, shared: Schema, where: str) -> str:
    properties, free = (
        schema.get("properties", {}),
        schema.get("additionalProperties", not schema.get("properties")),
    )
    missing = [name for name in schema.get("required", []) if name not in value]
    if missing:
        return f"{where}: {missing} missing"
    for name, inner in value.items():
        if name in properties:
            found = misfit(inner, properties[name], shared, f"{where}.{name}")
        elif isinstance(free, dict):
            found = misfit(inner, free, shared, f"{where}.{name}")
        else:
            found = "" if free else f"{where}: {name} is not declared"
        if found:
            return found
    return ""
