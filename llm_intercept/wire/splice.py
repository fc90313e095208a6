"""Changes to the top level of a JSON object as bytes: everything else stays as the client wrote it.

Re-serialising would reorder or respell what providers key their prompt caches on. A body that is
not a JSON object is returned unchanged. Duplicate names are all changed, and `peek` gives the
last one, as JSON readers do: no two of them may disagree on what was asked for.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from llm_intercept.wire.fields import mapping, parse, parse_object

STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'


def _nested(depth: int) -> bytes:
    """Everything up to an unmatched bracket, passing over balanced ones down to `depth`."""
    inner = _nested(depth - 1) if depth else rb""
    balanced = rb"|[\[{]" + inner + rb"[\]}]" if depth else rb""
    return rb'(?:[^"\[\]{}]++|' + STRING + balanced + rb")*+"


SPACE = re.compile(rb"[ \t\r\n]*+")
NAME = re.compile(rb"(" + STRING + rb")[ \t\r\n]*+:[ \t\r\n]*+", re.DOTALL)
SCALAR = re.compile(STRING + rb'|[^"\[\]{},: \t\r\n]++', re.DOTALL)
PASSAGE = re.compile(_nested(6), re.DOTALL)
DEEPEST = 1_024  # what our reader goes down to: whatever it reads can be spliced, deeper is not JSON to us
PARSED_AT_ONCE = 1024 * 1024  # up to here a parser is faster than the scanner


class Member(NamedTuple):
    """A top-level member: its name, and where its name, its value and its end are."""

    name: str
    start: int
    value: int
    end: int


class Shape(NamedTuple):
    """Where a JSON object's members are, and its closing brace."""

    members: list[Member]
    brace: int


def scan(body: bytes) -> Shape | None:
    """The top level of a JSON object; None if it is not one."""
    at = _space(body, 0)
    if body[at : at + 1] != b"{":
        return None
    members: list[Member] = []
    at = _space(body, at + 1)
    if body[at : at + 1] == b"}":
        return Shape(members, at) if _space(body, at + 1) == len(body) else None
    while (member := _member(body, at)) is not None:
        members.append(member)
        at = _space(body, member.end)
        if body[at : at + 1] == b"}":
            return Shape(members, at) if _space(body, at + 1) == len(body) else None
        if body[at : at + 1] != b",":
            return None
        at = _space(body, at + 1)
    return None


def _space(body: bytes, at: int) -> int:
    found = SPACE.match(body, at)
    return found.end() if found else at


def _member(body: bytes, at: int) -> Member | None:
    named = NAME.match(body, at)
    if named is None:
        return None
    end = _value_end(body, named.end())
    return None if end is None else Member(_plain(named.group(1)), at, named.end(), end)


def _plain(quoted: bytes) -> str:
    """A name may be written with escapes and still mean `model`."""
    if b"\\" not in quoted:
        return quoted[1:-1].decode("utf-8", "replace")
    name = parse(quoted)
    return name if isinstance(name, str) else ""


def _value_end(body: bytes, at: int) -> int | None:
    if body[at : at + 1] not in (b"{", b"["):
        scalar = SCALAR.match(body, at)
        return scalar.end() if scalar else None
    depth, at = 1, at + 1
    while depth and depth <= DEEPEST:
        passed = PASSAGE.match(body, at)
        at = passed.end() if passed else at
        if at >= len(body) or body[at] == 0x22:  # the end, or a string without one
            return None
        depth += 1 if body[at] in b"{[" else -1
        at += 1
    return None if depth else at


def peek(body: bytes, names: Collection[str]) -> dict[str, object]:
    """The values of these top-level members; {} for what is not a JSON object."""
    if len(body) <= PARSED_AT_ONCE:
        return {name: value for name, value in parse_object(body).items() if name in names}
    shape = scan(body)
    members = shape.members if shape else []
    return {m.name: parse(body[m.value : m.end]) for m in members if m.name in names}


def renamed(body: bytes, model: str) -> dict[str, object]:
    """What to set so that `body` names this model, wherever it says one; Gemini's may, inside a question."""
    found = peek(body, ("model", "generateContentRequest"))
    changes: dict[str, object] = {"model": model} if "model" in found else {}
    if inner := mapping(found.get("generateContentRequest")):
        changes["generateContentRequest"] = inner | {"model": f"models/{model.removeprefix('models/')}"}
    return changes


def set_top_level(body: bytes, changes: Mapping[str, object]) -> bytes:
    """Replaces the values of these members in place; members that are not there are put at the end.

    A value that is no JSON is not replaced: a body that nobody can read must not become one that can be.
    """
    shape = scan(body)
    if shape is None or not changes:
        return body
    if not all(_readable(body[m.value : m.end]) for m in shape.members if m.name in changes):
        return body
    return b"".join(_rewritten(body, shape, {name: _dump(value) for name, value in changes.items()}))


def _readable(value: bytes) -> bool:
    return bool(parse_object(b'{"value":' + value + b"}"))


def _rewritten(body: bytes, shape: Shape, changes: dict[str, bytes]) -> Iterator[bytes]:
    at = 0
    for member in shape.members:
        if member.name in changes:
            yield body[at : member.value]
            yield changes[member.name]
            at = member.end
    present = {member.name for member in shape.members}
    added = [_dump(name) + b":" + value for name, value in changes.items() if name not in present]
    end = shape.members[-1].end if shape.members else shape.brace
    yield body[at:end]
    yield b"".join((b"," if i or shape.members else b"") + pair for i, pair in enumerate(added))
    yield body[end:]


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def merge_member(body: bytes, name: str, changes: Mapping[str, object]) -> bytes:
    """Sets members of the object `name`, which keeps its others; it is created where it is missing."""
    shape = scan(body)
    if shape is None:
        return body
    last = next((m for m in reversed(shape.members) if m.name == name), None)
    inner = body[last.value : last.end] if last else b"null"
    if last is None or scan(inner) is None:
        return set_top_level(body, {name: dict(changes)})
    return body[: last.value] + set_top_level(inner, changes) + body[last.end :]


def ask_for_usage(body: bytes) -> bytes:
    """Asks an OpenAI-style stream for its usage chunk."""
    return merge_member(body, "stream_options", {"include_usage": True})


def drop_members(body: bytes, names: Collection[str]) -> bytes:
    """Takes these members out, each with its comma."""
    shape = scan(body)
    if shape is None:
        return body
    kept: list[bytes] = []
    at = 0
    follows = False  # a member that stays comes before
    for index, member in enumerate(shape.members):
        if member.name in names:
            start, end = _cut(shape.members, index, follows)
            kept.append(body[at:start])
            at = end
        else:
            follows = True
    return b"".join([*kept, body[at:]])


def _cut(members: list[Member], index: int, follows: bool) -> tuple[int, int]:
    """The comma before goes with a member; where none stays before it, the comma after."""
    member = members[index]
    if follows:
        return members[index - 1].end, member.end
    return member.start, members[index + 1].start if index + 1 < len(members) else member.end
