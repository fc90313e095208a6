"""The envelopes in which hosts take the same messages: Anthropic's own, Bedrock's and Vertex's.

The neutral body has `model` and `stream` in it, and `betas` for what the header `anthropic-beta` says.

    Anthropic   model, stream in the body; betas in the header
    Bedrock     invoke: model in the path, stream by the path's last word; anthropic_version and
                anthropic_beta in the body; streams are event stream chunks of base64
    Vertex      rawPredict: model in the path, streamRawPredict to stream (stream stays in the body);
                anthropic_version in the body, betas in the header
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson

from llm_intercept.wire.codec import Frame
from llm_intercept.wire.fields import parse_object
from llm_intercept.wire.ir import Json

type Body = Mapping[str, Json]

BEDROCK_VERSION = "bedrock-2023-05-31"
VERTEX_VERSION = "vertex-2023-10-16"
CHUNK = "chunk"
_BEDROCK = frozenset({"anthropic_version", "anthropic_beta"})


def betas(body: Body) -> tuple[str, ...]:
    """What belongs into the header `anthropic-beta` on hosts that have it there."""
    return tuple(name for name in body.get("betas") or () if isinstance(name, str))


def for_anthropic(body: Body) -> dict[str, Json]:
    """Anthropic's own host; `betas(body)` go into the header."""
    return _without(body, "betas")


def for_bedrock(body: Body) -> dict[str, Json]:
    """InvokeModel and InvokeModelWithResponseStream."""
    new = _without(body, "model", "stream", "betas")
    if body.get("betas"):
        new["anthropic_beta"] = body["betas"]
    return {"anthropic_version": BEDROCK_VERSION, **new}


def for_vertex(body: Body) -> dict[str, Json]:
    """rawPredict and streamRawPredict; `betas(body)` go into the header."""
    return {"anthropic_version": VERTEX_VERSION, **_without(body, "model", "betas")}


def from_bedrock(body: Body, model: str, stream: bool) -> dict[str, Json]:
    """`model` and `stream` are those of the path."""
    return _addressed(opened(body), model, stream)


def from_vertex(body: Body, model: str, stream: bool) -> dict[str, Json]:
    return _addressed(opened(body), model, stream)


def opened(body: Body) -> Body:
    """The body without what belongs to an envelope."""
    if _BEDROCK.isdisjoint(body):
        return body
    new = _without(body, *_BEDROCK)
    if body.get("anthropic_beta"):
        new["betas"] = body["anthropic_beta"]
    return new


def _addressed(body: Body, model: str, stream: bool) -> dict[str, Json]:
    new = {**body, "model": model}
    return {**new, "stream": True} if stream else new


def _without(body: Body, *names: str) -> dict[str, Json]:
    return {name: value for name, value in body.items() if name not in names}


def chunk(frame: Frame) -> Frame:
    """An event of a message stream as Bedrock sends it."""
    payload = {"bytes": base64.b64encode(frame[1]).decode()}
    return CHUNK, orjson.dumps(payload)


def unchunked(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The event inside such a chunk; total."""
    try:
        return parse_object(base64.b64decode(payload.get("bytes") or b""))
    except (binascii.Error, ValueError, TypeError):
        return {}
