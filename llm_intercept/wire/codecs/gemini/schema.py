"""JSON Schema cut down to what Gemini's `Schema` knows: it refuses a whole request for one unknown keyword.

What the vocabulary lacks is said in the nearest words it has (a constant is an enumeration of one, a bound
that excludes its value the next whole number), in the description, or not at all; then it is reported.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import orjson

from llm_intercept.wire.codecs.gemini.schema_types import (
    FORMATS,
    OF_ONE_TYPE,
    bounded,
    described,
    enumerated,
    inferred,
    single_type,
)
from llm_intercept.wire.codecs.gemini.shapes import listed
from llm_intercept.wire.fields import compact, mapping

_COPIED = frozenset(
    (
        "title",
        "description",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "pattern",
        "minProperties",
        "maxProperties",
        "minimum",
        "maximum",
        "default",
        "nullable",
        "example",
        "propertyOrdering",
    )
)
_HANDLED = frozenset(
    (
        "type",
        "format",
        "enum",
        "const",
        "properties",
        "required",
        "items",
        "prefixItems",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "exclusiveMinimum",
        "exclusiveMaximum",
    )
)
# Annotations: nothing is lost that the model would have to obey.
_NOISE = frozenset(
    (
        "$schema",
        "$id",
        "id",
        "$defs",
        "definitions",
        "$comment",
        "$anchor",
        "$vocabulary",
        "examples",
        "additionalProperties",
        "additionalItems",
        "unevaluatedProperties",
        "readOnly",
        "writeOnly",
        "deprecated",
        "defer_loading",
        "strict",
        "contentMediaType",
        "contentEncoding",
        "markdownDescription",
    )
)
_NODES = 5_000
_DEPTH = 60


@dataclass(frozen=True, slots=True)
class Cleaned:
    schema: dict[str, Any]
    dropped: tuple[str, ...] = ()  # keywords that meant something
    cut: tuple[str, ...] = ()  # references that could not be followed


def cleaned(schema: object) -> Cleaned:
    """The same schema gives the same answer, which is shared: nobody may change it."""
    return _cleaned(compact(schema))


@lru_cache(maxsize=1024)
def _cleaned(text: str) -> Cleaned:
    source = mapping(orjson.loads(text))
    cleaner = _Cleaner(source)
    result = cleaner.node(source, ())
    return Cleaned(_object(result), tuple(sorted(cleaner.dropped)), tuple(sorted(cleaner.cut)))


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    """Arguments are an object: alternatives of objects become one with all their properties."""
    variants = schema.get("anyOf")
    if not variants:
        return schema if schema.get("type") == "object" else {"type": "object"}
    properties: dict[str, Any] = {}
    for variant in variants:
        properties = _also(properties, mapping(variant.get("properties")))
    required = [set(variant.get("required") or ()) for variant in variants]
    always = [name for name in properties if all(name in names for names in required)]
    joined: dict[str, Any] = {"type": "object", "properties": properties, "required": always}
    return {key: value for key, value in joined.items() if value}


@dataclass(slots=True)
class _Cleaner:
    root: dict[str, Any]
    dropped: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    _left: int = _NODES

    def node(self, schema: object, active: tuple[str, ...]) -> dict[str, Any]:
        self._left -= 1
        if self._left < 0 or len(active) > _DEPTH:
            self.cut.add("too large")
            return {"type": "object"}
        source = mapping(schema)  # `true`, `false` and `{}` say nothing that can be said
        if "$ref" in source:
            return self._reference(source, active)
        if "allOf" in source:
            source = self._merged(source, active)
        source = _of_types(source)
        self._note(source)
        if "anyOf" in source or "oneOf" in source:
            return self._alternatives(source, active)
        return self._plain(source, active)

    def _note(self, source: dict[str, Any]) -> None:
        self.dropped.update(source.keys() - _COPIED - _HANDLED - _NOISE)
        if mapping(source.get("additionalProperties")) and "properties" not in source:
            self.dropped.add("additionalProperties")

    def _reference(self, source: dict[str, Any], active: tuple[str, ...]) -> dict[str, Any]:
        """The schema it points at, with what stands beside the reference; a circle ends as an object."""
        target, rest = self._resolved(source, active)
        if target is None:
            return described({"type": "object"}, source.get("description"))
        return self.node({**target, **rest}, (*active, str(source["$ref"])))

    def _resolved(
        self, source: dict[str, Any], active: tuple[str, ...]
    ) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        pointer = source["$ref"]
        rest = {key: value for key, value in source.items() if key != "$ref"}
        found = self._at(pointer) if isinstance(pointer, str) and pointer not in active else None
        if found is None:
            self.cut.add(str(pointer)[:200])
        return found, rest

    def _at(self, pointer: str) -> dict[str, Any] | None:
        """Only references within the document can be followed."""
        if pointer != "#" and not pointer.startswith("#/"):
            return None
        here: Any = self.root
        for step in pointer.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(here, list) and name.isdecimal() and int(name) < len(here):
                here = here[int(name)]
            else:
                here = mapping(here).get(name)
        return here if isinstance(here, dict) else None

    def _merged(self, source: dict[str, Any], active: tuple[str, ...]) -> dict[str, Any]:
        """All of them at once: properties and required names together, the first word on anything else."""
        total = {key: value for key, value in source.items() if key != "allOf"}
        branches = source["allOf"] if isinstance(source["allOf"], list) else []
        for branch in branches[:100]:
            part, seen = mapping(branch), active
            while "$ref" in part and len(seen) <= _DEPTH:
                target, rest = self._resolved(part, seen)
                seen = (*seen, str(part["$ref"]))
                part = {**(target or {}), **rest}
            if "allOf" in part and len(seen) <= _DEPTH:
                part = self._merged(part, (*seen, "allOf"))
            properties = _also(mapping(total.get("properties")), mapping(part.get("properties")))
            required = list(dict.fromkeys([*_names(total), *_names(part)]))
            total = {**part, **total}
            total.update({"properties": properties} if properties else {})
            total.update({"required": required} if required else {})
        return total

    def _alternatives(self, source: dict[str, Any], active: tuple[str, ...]) -> dict[str, Any]:
        """`anyOf` has to stand alone, so what stood beside it goes into each alternative."""
        raw = source.get("anyOf") or source.get("oneOf")
        rest = {key: value for key, value in source.items() if key not in ("anyOf", "oneOf")}
        variants = [mapping(item) for item in raw] if isinstance(raw, list) else []
        real = [item for item in variants if item.get("type") != "null"]
        if not real or all(_only_rules(item) for item in real):
            self.dropped.update({"anyOf"} if real else ())
            return self.node(rest, (*active, "anyOf"))
        nullable = len(real) < len(variants) or source.get("nullable") is True
        shared = {
            key: value for key, value in rest.items() if key not in ("description", "nullable", "default")
        }
        found = _flat([self.node(_beside(item, shared), (*active, "anyOf")) for item in real])
        if nullable:
            found = [{**item, "nullable": True} for item in found]
        if len(found) == 1:
            return described(found[0], source.get("description"))
        return {"anyOf": [described(found[0], source.get("description")), *found[1:]]}

    def _plain(self, source: dict[str, Any], active: tuple[str, ...]) -> dict[str, Any]:
        kind = inferred(source)
        out: dict[str, Any] = {"type": kind}
        out.update((key, value) for key, value in source.items() if key in _COPIED and value is not None)
        if not isinstance(out.get("description", ""), str):
            del out["description"]
        bounded(out, source, kind)
        enumerated(out, source, kind)
        if source.get("format") in FORMATS.get(kind, ()):
            out["format"] = source["format"]
        if kind == "object":
            self._properties(out, source, active)
        if kind == "array":
            out["items"] = self._items(source, active)
        return out

    def _properties(self, out: dict[str, Any], source: dict[str, Any], active: tuple[str, ...]) -> None:
        properties = mapping(source.get("properties"))
        below = (*active, "properties")
        if not properties:
            return
        out["properties"] = {name: self.node(value, below) for name, value in properties.items()}
        required = [name for name in _names(source) if name in properties]
        if required:
            out["required"] = required

    def _items(self, source: dict[str, Any], active: tuple[str, ...]) -> dict[str, Any]:
        """A tuple's elements become the alternatives of one list."""
        raw = source.get("prefixItems") or source.get("items")
        if not isinstance(raw, list):
            return self.node(raw, (*active, "items"))
        kinds = {compact(item): item for item in raw if isinstance(item, dict)}
        if len(kinds) > 1:
            return self.node({"anyOf": list(kinds.values())}, (*active, "items"))
        return self.node(next(iter(kinds.values()), {}), (*active, "items"))


def _also(first: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Both, the first word on each and in this order."""
    return {**first, **{name: value for name, value in more.items() if name not in first}}


def _names(source: dict[str, Any]) -> list[str]:
    names = source.get("required")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _only_rules(variant: dict[str, Any]) -> bool:
    """An alternative like "at least one of these is required", which says nothing about the value's form."""
    return not variant.keys() & {
        "type",
        "properties",
        "items",
        "enum",
        "const",
        "$ref",
        "anyOf",
        "oneOf",
        "allOf",
    }


def _beside(variant: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    both = "properties" in variant and "properties" in shared
    return {**variant, "allOf": [*listed(variant.get("allOf")), shared]} if both else {**shared, **variant}


def _flat(variants: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Alternatives within alternatives, and those that came out the same, once."""
    flat = [inner for variant in variants for inner in variant.get("anyOf") or (variant,)]
    return list({compact(variant): variant for variant in flat}.values())


def _of_types(source: dict[str, Any]) -> dict[str, Any]:
    """A list of types: with null it is nullable, of several it is a choice."""
    kinds = source.get("type")
    if not isinstance(kinds, list):
        return source
    real = [kind for kind in kinds if isinstance(kind, str) and kind != "null"]
    rest = {**source, "nullable": True} if "null" in kinds else dict(source)
    rest.pop("type")
    if len(real) == 1:
        return {**rest, "type": real[0]}
    if not real:
        return rest
    shared = {key: value for key, value in rest.items() if key not in OF_ONE_TYPE}
    return {**shared, "anyOf": [single_type(rest, kind) for kind in real]}
