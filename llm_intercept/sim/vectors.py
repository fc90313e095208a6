"""Embedding vectors: deterministic, of length one, the same for the same text."""

import base64
import math
import random
import struct
from typing import Any

from llm_intercept.sim.prompt import text_of
from llm_intercept.sim.tokens import count

_KNOWN = {"text-embedding-3-large": 3072, "text-embedding-3-small": 1536, "text-embedding-ada-002": 1536}
_USUAL = 256


def vector(text: str, model: str, dimensions: int | None) -> list[float]:
    """A unit vector drawn from the text; `dimensions` as asked, as the model has them, or 256."""
    draw = random.Random(text)
    raw = [draw.random() - 0.5 for _ in range(dimensions or _KNOWN.get(model, _USUAL))]
    length = math.sqrt(sum(x * x for x in raw)) or 1.0
    return [round(x / length, 9) for x in raw]


def as_base64(values: list[float]) -> str:
    """Little-endian 32-bit floats, as `encoding_format: base64` wants them."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def inputs(value: Any) -> list[tuple[str, int]]:
    """(text, tokens) of each input: strings, lists of strings, token ids or lists of them."""
    if isinstance(value, list) and value and all(isinstance(v, int) for v in value):
        return [(str(value), len(value))]
    return [_one(item) for item in (value if isinstance(value, list) else [value])]


def _one(item: Any) -> tuple[str, int]:
    if isinstance(item, list):
        return str(item), len(item)
    text = item if isinstance(item, str) else text_of(item)
    return text, count(text)
