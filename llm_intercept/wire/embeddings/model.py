"""What a call for embeddings means, and what all shapes share: reading inputs, vectors and counters.

Decoders of requests raise `Untranslatable` with the member's name; those of answers are total.
"""

import binascii
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.dialects import MALFORMED
from llm_intercept.wire.ir import NO_EXTRAS, Extras, Json
from llm_intercept.wire.reading import Reading
from llm_intercept.wire.usage import Usage

type Input = str | tuple[int, ...]
"""A text, or the tokens of one."""
type Vector = Sequence[float]
type Members = dict[str, Any]

type Purpose = Literal[
    "query", "document", "similarity", "classification", "clustering", "question", "fact", "code"
]


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """`single`: the client gave one input, not a list. `operation` is its endpoint, in its shape's words.

    `types` are the encodings of the numbers that the client wants: "float", "base64", or both (Cohere).
    `truncate` None: not said. `extras` are members without a word here, by shape.
    """

    model: str
    inputs: tuple[Input, ...]
    single: bool = False
    dimensions: int | None = None
    purpose: Purpose | None = None
    title: str = ""
    types: tuple[str, ...] = ("float",)
    truncate: bool | None = None
    user: str = ""
    operation: str = ""
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class EmbedAnswer:
    """One vector for each input, in their order."""

    model: str
    vectors: tuple[Vector, ...]
    usage: Usage = field(default_factory=Usage)
    id: str = ""


@dataclass(frozen=True, slots=True)
class EmbedEncoded:
    """A request for the wire; `operation` is the endpoint that it is for."""

    body: Mapping[str, Json]
    operation: str
    model_in_path: bool = False


class Shape(Protocol):
    """Both directions of one shape; modules satisfy it."""

    NAME: str

    def decode_request(self, body: Mapping[str, Json], model: str = "", operation: str = "") -> EmbedRequest:
        """`model` is that of the path. `operation` is the endpoint; "" where the body tells it."""

    def encode_request(self, request: EmbedRequest, context: Context, operation: str = "") -> EmbedEncoded:
        """`operation` "": the shape's newest endpoint that can say it."""

    def decode_answer(self, body: Mapping[str, Json]) -> EmbedAnswer: ...

    def encode_answer(
        self, answer: EmbedAnswer, request: EmbedRequest, context: Context
    ) -> Mapping[str, Json]:
        """`request` is the client's, which decides the form of its answer."""


def string(value: object) -> str:
    return value if isinstance(value, str) else ""


def texts(value: object, name: str) -> tuple[tuple[str, ...], bool]:
    """(texts, whether it was one alone)."""
    if isinstance(value, str):
        return (value,), True
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return tuple(value), False
    raise Untranslatable(name, "a text or a list of texts is wanted")


def words(request: EmbedRequest, target: str) -> list[str]:
    """The inputs for a target that takes no tokens."""
    found = [item for item in request.inputs if isinstance(item, str)]
    if len(found) < len(request.inputs):
        raise Untranslatable("input", f"{target} takes texts only, not tokens")
    return found


def of_own(extras: Extras, shape: str) -> Members:
    return dict(extras.get(shape, {}))


def extras_of(body: Mapping[str, Json], shape: str, *known: str) -> Extras:
    left = {name: value for name, value in body.items() if name not in known and value is not None}
    return {shape: left} if left else NO_EXTRAS


# Members that stay among the extras for their own shape although they are understood, or that do not matter.
QUIET = frozenset({"input_type", "truncation", "output_dimension", "output_dtype", "keep_alive"})


def warn_of_others(request: EmbedRequest, shape: str, context: Context) -> None:
    """Members of other shapes that have no word here."""
    for other, members in request.extras.items():
        if other != shape:
            for name in members.keys() - QUIET:
                context.warn(f"{name}: of {other}, not known to {shape}")


def numbers(value: object) -> Vector | None:
    """A list of numbers, or of 32-bit floats in base64; None for anything else."""
    if isinstance(value, str):
        return _floats(value)
    if not isinstance(value, list):
        return None
    try:
        array("d", value)
    except (TypeError, OverflowError):
        return None
    return value


def _floats(text: str) -> Vector | None:
    found = array("f")
    try:
        found.frombytes(b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None
    if sys.byteorder == "big":
        found.byteswap()
    return found.tolist()


def packed(vector: Vector) -> str:
    """32-bit floats, lowest byte first, in base64."""
    found = array("f", vector)
    if sys.byteorder == "big":
        found.byteswap()
    return b64encode(found.tobytes()).decode()


def vectors(values: Sequence[object]) -> tuple[Vector, ...]:
    """What is no vector is an empty one, so that the others keep their places."""
    return tuple(numbers(value) or () for value in values)


def counted(read: Callable[[Reading, Members], None], body: Mapping[str, Json]) -> Usage:
    """The usage as the shape's dialect reads it."""
    reading = Reading()
    try:
        read(reading, dict(body))
    except MALFORMED:
        return Usage()
    return reading.usage


def input_tokens(answer: EmbedAnswer, context: Context) -> int | None:
    """What the provider counted, or the estimate; None rather than a figure that nobody has counted."""
    return answer.usage.input if answer.usage.input is not None else context.input_estimate
