"""OpenAI's shape, which Azure, Voyage, Mistral and local servers share: `/v1/embeddings`."""

from collections.abc import Mapping

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.dialects import openai_embeddings as dialect
from llm_intercept.wire.embeddings.model import (
    EmbedAnswer,
    EmbedEncoded,
    EmbedRequest,
    Input,
    Members,
    Purpose,
    Vector,
    counted,
    extras_of,
    input_tokens,
    of_own,
    packed,
    string,
    texts,
    vectors,
    warn_of_others,
)
from llm_intercept.wire.fields import count, objects
from llm_intercept.wire.ir import Json

NAME = "openai_embeddings"
OPERATION = "embeddings"
TYPES = ("float", "base64")
# Voyage's and NVIDIA's words; they stay among the extras as well, for them.
PURPOSES: dict[str, Purpose] = {"query": "query", "document": "document", "passage": "document"}
KNOWN = ("model", "input", "dimensions", "encoding_format", "user")


def decode_request(body: Mapping[str, Json], model: str = "", operation: str = "") -> EmbedRequest:
    inputs, single = _inputs(body.get("input"))
    return EmbedRequest(
        model=model or string(body.get("model")),
        inputs=inputs,
        single=single,
        dimensions=count(body.get("dimensions", body.get("output_dimension"))),
        purpose=PURPOSES.get(string(body.get("input_type"))),
        types=(_type(body),),
        truncate=body["truncation"] if isinstance(body.get("truncation"), bool) else None,
        user=string(body.get("user")),
        operation=OPERATION,
        extras=extras_of(body, NAME, *KNOWN),
    )


def _inputs(value: object) -> tuple[tuple[Input, ...], bool]:
    """A text, texts, one text's tokens, or several texts' tokens."""
    if not isinstance(value, list):
        return texts(value, "input")
    if _tokens(value):
        return (tuple(value),), True
    if value and all(_tokens(item) for item in value):
        return tuple(tuple(item) for item in value), False
    return texts(value, "input")


def _tokens(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) is int for item in value)


def _type(body: Mapping[str, Json]) -> str:
    wanted = body.get("encoding_format") or "float"
    if wanted not in TYPES:
        raise Untranslatable("encoding_format", f"{wanted!r} is neither float nor base64")
    if body.get("output_dtype") not in (None, "float"):
        raise Untranslatable("output_dtype", "no other shape knows quantised embeddings")
    return string(wanted)


def encode_request(request: EmbedRequest, context: Context, operation: str = "") -> EmbedEncoded:
    """Numbers are asked for as they are: not every server that follows OpenAI knows base64."""
    own = of_own(request.extras, NAME)
    inputs: list[Json] = [item if isinstance(item, str) else list(item) for item in request.inputs]
    body: Members = {"model": request.model, "input": inputs[0] if request.single else inputs}
    if request.dimensions is not None and "output_dimension" not in own:
        body["dimensions"] = request.dimensions
    if request.user:
        body["user"] = request.user
    _warn(request, own, context)
    return EmbedEncoded(body | own, OPERATION)


def _warn(request: EmbedRequest, own: Members, context: Context) -> None:
    warn_of_others(request, NAME, context)
    if request.purpose is not None and "input_type" not in own:
        context.warn(f"purpose: {request.purpose} is not known to OpenAI's embeddings")
    if request.title:
        context.warn("title: not known to OpenAI's embeddings")
    if request.truncate is not None and "truncation" not in own:
        context.warn("truncate: not known to OpenAI's embeddings")


def decode_answer(body: Mapping[str, Json]) -> EmbedAnswer:
    data = objects(body.get("data"))
    if all(count(item.get("index")) is not None for item in data):
        data = sorted(data, key=lambda item: item["index"])
    found = vectors([item.get("embedding") for item in data])
    return EmbedAnswer(
        string(body.get("model")), found, counted(dialect.read_answer, body), string(body.get("id"))
    )


def encode_answer(answer: EmbedAnswer, request: EmbedRequest, context: Context) -> Mapping[str, Json]:
    body: Members = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _written(vector, request)}
            for index, vector in enumerate(answer.vectors)
        ],
        "model": context.requested_model or answer.model or request.model,
    }
    tokens = input_tokens(answer, context)
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return body


def _written(vector: Vector, request: EmbedRequest) -> Json:
    return packed(vector) if "base64" in request.types else vector
