"""Ollama's shape: `/api/embed`, and the older `/api/embeddings` with one prompt and one vector."""

from collections.abc import Mapping

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.dialects import ollama as dialect
from llm_intercept.wire.embeddings.model import (
    EmbedAnswer,
    EmbedEncoded,
    EmbedRequest,
    Members,
    counted,
    extras_of,
    input_tokens,
    of_own,
    string,
    texts,
    vectors,
    warn_of_others,
    words,
)
from llm_intercept.wire.fields import count, items
from llm_intercept.wire.ir import Json

NAME = "ollama"
EMBED = "embed"
LEGACY = "embeddings"
KNOWN = ("model", "input", "prompt", "truncate", "dimensions")


def decode_request(body: Mapping[str, Json], model: str = "", operation: str = "") -> EmbedRequest:
    legacy = (operation.rpartition("/")[2] or (LEGACY if "prompt" in body else EMBED)) == LEGACY
    name = "prompt" if legacy else "input"
    inputs, single = texts(body.get(name), name)
    extras = extras_of(body, NAME, *KNOWN)
    return EmbedRequest(
        model=model or string(body.get("model")),
        inputs=inputs,
        single=single,
        dimensions=count(body.get("dimensions")),
        truncate=body["truncate"] if isinstance(body.get("truncate"), bool) else None,
        operation=LEGACY if legacy else EMBED,
        extras=extras,
    )


def encode_request(request: EmbedRequest, context: Context, operation: str = "") -> EmbedEncoded:
    inputs = words(request, "Ollama")
    own = of_own(request.extras, NAME)
    _warn(request, context)
    if operation == LEGACY:
        if len(inputs) > 1:
            raise Untranslatable("input", "/api/embeddings takes one prompt at a time")
        return EmbedEncoded({"model": request.model, "prompt": inputs[0]} | own, LEGACY)
    body: Members = {"model": request.model, "input": inputs[0] if request.single else inputs}
    if request.truncate is not None:
        body["truncate"] = request.truncate
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    return EmbedEncoded(body | own, EMBED)


def _warn(request: EmbedRequest, context: Context) -> None:
    warn_of_others(request, NAME, context)
    if request.purpose is not None:
        context.warn(f"purpose: {request.purpose} is not known to Ollama")
    if request.title:
        context.warn("title: not known to Ollama")


def decode_answer(body: Mapping[str, Json]) -> EmbedAnswer:
    made = items(body.get("embeddings")) if "embeddings" in body else [body.get("embedding")]
    usage = counted(dialect.read_answer, body)
    return EmbedAnswer(string(body.get("model")), vectors(made), usage)


def encode_answer(answer: EmbedAnswer, request: EmbedRequest, context: Context) -> Mapping[str, Json]:
    """Durations are Ollama's own to measure, so there are none."""
    if request.operation == LEGACY:
        return {"embedding": answer.vectors[0] if answer.vectors else []}
    model = context.requested_model or answer.model or request.model
    body: Members = {"model": model, "embeddings": list(answer.vectors)}
    tokens = input_tokens(answer, context)
    return body | ({} if tokens is None else {"prompt_eval_count": tokens})
