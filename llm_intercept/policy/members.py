"""What a body says, read strictly and whole: every member of a JSON object or a form, the doubled ones too.

Two readers of one body may disagree about a name that stands there twice, or is written with another case
(some servers do not mind that): a rule has to look at all of them.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

# Objects that hold parameters of a call, by their normal names: what lies in them counts as its own.
_CONTAINERS = frozenset(
    (
        *("generationconfig", "inferenceconfig", "textgenerationconfig", "options", "parameters"),
        *("additionalmodelrequestfields", "generatecontentrequest", "requests", "request", "params"),
        *("batch", "inputconfig", "session", "response", "config", "extrabody", "body"),
    )
)
# What is said in a conversation is no parameter, whatever it is called.
_CONTENT = frozenset(
    (
        *("messages", "contents", "content", "input", "system", "systeminstruction", "prompt", "tools"),
        *("metadata", "documents", "instances", "instructions", "jsonschema", "schema", "responseschema"),
        *("responsejsonschema", "toolconfig", "suffix", "labels", "logitbias"),
    )
)
_DEEPEST = 12
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"\\]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)
_UTF_8 = frozenset(("utf-8", "utf8", "us-ascii", "ascii"))
_PART = re.compile(
    rb'\r\n(?:content-type:[^\r\n]*\r\n)?content-disposition: form-data; name="([^"\\\r\n]*)"'
    rb'(; filename="[^"\r\n]*")?\r\n(?:content-type:[^\r\n]*\r\n)?(?:content-length: [0-9]+\r\n)?\r\n',
    re.IGNORECASE,
)


class Pairs(list[tuple[str, object]]):
    """An object's members in their order."""


class FormText(str):
    """A value of a form, where numbers are written as text."""

    __slots__ = ()


class Leaf(NamedTuple):
    """One member: its normal name with those of the objects around it (containers left out, and all of
    them), how it is written, and its value.
    """

    name: tuple[str, ...]
    whole: tuple[str, ...]
    written: str
    value: object


def normal(name: str) -> str:
    """A name as every server may read it: `maxOutputTokens` and `max_output_tokens` are the same."""
    return name.replace("_", "").replace("-", "").lower()


def read(body: bytes | None, content_type: str) -> tuple[Leaf, ...] | None:
    """All members that can be parameters; None for what cannot be read, () for no body."""
    if body is None:
        return None
    if not body.strip():
        return ()
    if any(name.lower() not in _UTF_8 for name in _CHARSET.findall(content_type)):
        return None
    multipart = content_type.strip().lower().startswith("multipart/")
    members = _form(body, content_type) if multipart else _json(body)
    return None if members is None else tuple(_leaves(members, (), (), "", 0))


def _json(body: bytes) -> Pairs | None:
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=Pairs, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, Pairs) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _leaves(
    members: Pairs, name: tuple[str, ...], whole: tuple[str, ...], written: str, depth: int
) -> Iterator[Leaf]:
    for key, value in members:
        plain = normal(key)
        here = (*whole, plain)
        text = f"{written}.{key}" if written else key
        yield Leaf((*name, plain), here, text, value)
        if plain not in _CONTENT and depth < _DEEPEST:
            # Only what is in containers alone counts as said by the call itself.
            inner = name if plain in _CONTAINERS and not name else (*name, plain)
            for each in value if type(value) is list else (value,):
                if isinstance(each, Pairs):
                    yield from _leaves(each, inner, here, text, depth + 1)
        elif plain == "tools":
            yield from _models_of_tools(value, text)


def _models_of_tools(value: object, written: str) -> Iterator[Leaf]:
    """A tool may run a model of its own."""
    for tool in value if type(value) is list else ():
        for key, found in tool if isinstance(tool, Pairs) else ():
            if normal(key) == "model":
                yield Leaf(("tools", "model"), ("tools", "model"), f"{written}.{key}", found)


def _form(body: bytes, content_type: str) -> Pairs | None:
    """A multipart form as browsers and SDKs write it; anything else that may pass for one is not read."""
    boundaries = _BOUNDARY.findall(content_type)
    if len(boundaries) != 1 or content_type.lower().count("boundary") != 1:
        return None
    delimiter = b"--" + "".join(boundaries[0]).encode("latin-1", "replace")
    before, *parts = body.split(delimiter)
    if before.strip() or not parts or parts[-1].strip() != b"--":
        return None
    found = Pairs()
    for part in parts[:-1]:
        head = _PART.match(part)
        if head is None or not part.endswith(b"\r\n"):
            return None
        value = b"(a file)" if head[2] else part[head.end() : -2]
        found.append((head[1].decode("utf-8", "replace"), FormText(value.decode("utf-8", "replace"))))
    return found
