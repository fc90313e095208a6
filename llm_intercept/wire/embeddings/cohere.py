"""Cohere's shape: `/v2/embed`, and `/v1/embed` with its plain list of vectors."""

from collections.abc import Mapping

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.dialects import cohere as dialect
from llm_intercept.wire.embeddings.model import (
    EmbedAnswer,
    EmbedEncoded,
    EmbedRequest,
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
    words,
)
from llm_intercept.wire.fields import count, items, objects
from llm_intercept.wire.ir import Json

NAME = "cohere"
V1 = "v1"
V2 = "v2"
TYPES = ("float", "base64")
PURPOSES: dict[str, Purpose] = {
    "search_query": "query",
    "search_document": "document",
    "classification": "classification",
    "clustering": "clustering",
}
INPUT_TYPES: dict[Purpose, str] = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
    "similarity": "clustering",
    "question": "search_query",
    "fact": "search_query",
    "code": "search_query",
}
DEFAULT = "search_document"
KNOWN = (
    "model",
    "texts",
    "inputs",
    "images",
    "input_type",
    "embedding_types",
    "output_dimension",
    "truncate",
)


def decode_request(body: Mapping[str, Json], model: str = "", operation: str = "") -> EmbedRequest:
    """An endpoint is told by its answer: only the first version has one without types."""
    wanted = _types(body)
    known = V1 if operation.strip("/").startswith(V1) else V2
    cut = string(body.get("truncate")).upper()
    extras = extras_of(body, NAME, *KNOWN) if cut != "START" else extras_of(body, NAME, *KNOWN[:-1])
    return EmbedRequest(
        model=model or string(body.get("model")),
        inputs=_inputs(body),
        dimensions=count(body.get("output_dimension")),
        purpose=PURPOSES.get(string(body.get("input_type"))),
        types=wanted,
        truncate={"NONE": False, "START": True, "END": True}.get(cut),
        operation=known,
        extras=extras,
    )


def _inputs(body: Mapping[str, Json]) -> tuple[str, ...]:
    if body.get("images") or body.get("input_type") == "image":
        raise Untranslatable("images", "only texts can be embedded elsewhere")
    if not body.get("inputs"):
        return texts(body.get("texts"), "texts")[0]
    return tuple(_joined(one.get("content")) for one in objects(body["inputs"]))


def _joined(content: object) -> str:
    parts = objects(content)
    found = [
        part["text"] for part in parts if part.get("type") == "text" and isinstance(part.get("text"), str)
    ]
    if not found or len(found) < len(parts):
        raise Untranslatable("inputs", "only texts can be embedded elsewhere")
    return "\n".join(found)


def _types(body: Mapping[str, Json]) -> tuple[str, ...]:
    """None given: the first version's plain list; empty here."""
    wanted = tuple(string(item) for item in items(body.get("embedding_types")))
    for kind in wanted:
        if kind not in TYPES:
            raise Untranslatable("embedding_types", f"{kind!r}: no other shape knows quantised embeddings")
    return wanted


def encode_request(request: EmbedRequest, context: Context, operation: str = "") -> EmbedEncoded:
    body: Members = {"model": request.model, "texts": words(request, "Cohere")}
    body["input_type"] = _input_type(request, context)
    body["embedding_types"] = ["float"]
    chosen = operation or V2
    if request.dimensions is not None and chosen == V1:
        context.warn("dimensions: not known to Cohere's first version")
    elif request.dimensions is not None:
        body["output_dimension"] = request.dimensions
    if request.truncate is not None:
        body["truncate"] = "END" if request.truncate else "NONE"
    if request.title:
        context.warn("title: not known to Cohere")
    warn_of_others(request, NAME, context)
    return EmbedEncoded(body | of_own(request.extras, NAME), chosen)


def _input_type(request: EmbedRequest, context: Context) -> str:
    """Cohere must know what for; documents are what is embedded most."""
    if request.purpose is None:
        context.warn(f"input_type: not said by the client, sent as {DEFAULT}")
        return DEFAULT
    known = INPUT_TYPES[request.purpose]
    if PURPOSES[known] != request.purpose:
        context.warn(f"purpose: {request.purpose} is not known to Cohere, sent as {known}")
    return known


def decode_answer(body: Mapping[str, Json]) -> EmbedAnswer:
    made = body.get("embeddings")
    if isinstance(made, dict):
        made = made.get("float") or made.get("float_") or made.get("base64")
    usage = counted(dialect.read_answer, body)
    return EmbedAnswer("", vectors(items(made)), usage, string(body.get("id")))


def encode_answer(answer: EmbedAnswer, request: EmbedRequest, context: Context) -> Mapping[str, Json]:
    plain = request.operation == V1 and not request.types
    made: Json = list(answer.vectors)
    if not plain:
        made = {kind: [_written(one, kind) for one in answer.vectors] for kind in request.types or ("float",)}
    version = "1" if request.operation == V1 else "2"
    meta: Members = {"api_version": {"version": version}}
    tokens = input_tokens(answer, context)
    if tokens is not None:
        meta["billed_units"] = {"input_tokens": tokens}
    return {
        "id": answer.id or context.mint(24),
        "texts": [item for item in request.inputs if isinstance(item, str)],
        "embeddings": made,
        "meta": meta,
        "response_type": "embeddings_floats" if plain else "embeddings_by_type",
    }


def _written(vector: Vector, kind: str) -> Json:
    return packed(vector) if kind == "base64" else vector
