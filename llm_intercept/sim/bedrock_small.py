"""Bedrock's other operations: counting tokens, and embedding models behind InvokeModel."""

import base64
import binascii
from typing import Any

import orjson
from aiohttp import web

from llm_intercept.sim import anthropic, bedrock_converse, bedrock_invoke
from llm_intercept.sim.errors import bedrock_error
from llm_intercept.sim.prompt import Json, as_dict, positive, strings
from llm_intercept.sim.serve import BadRequest, Call, begin, generate, send_json, stamp
from llm_intercept.sim.tokens import count, weigh
from llm_intercept.sim.vectors import vector


async def count_tokens(call: Call) -> web.StreamResponse:
    given = as_dict(call.json().get("input"))
    if refused := await begin(call, call.path_model, bedrock_error):
        return refused
    if "converse" in given:
        return await send_json(
            call, {"inputTokens": bedrock_converse.input_tokens(as_dict(given["converse"]))}
        )
    body = _body(as_dict(given.get("invokeModel")).get("body"))
    tokens = anthropic.input_tokens(body) if "messages" in body else weigh(body)
    return await send_json(call, {"inputTokens": tokens})


def _body(encoded: Any) -> Json:
    try:
        return as_dict(orjson.loads(base64.b64decode(str(encoded))))
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise BadRequest(f"input.invokeModel.body: {error}") from error


async def invoke(call: Call) -> web.StreamResponse:
    """Embedding models answer at once, all others with text."""
    body = call.json()
    if "embed" in call.path_model:
        return await _embed(call, body)
    return await generate(call, bedrock_invoke.WHOLE)


async def _embed(call: Call, body: Json) -> web.StreamResponse:
    if refused := await begin(call, call.path_model, bedrock_error):
        return refused
    single = as_dict(body.get("singleEmbeddingParams"))
    texts = strings(body.get("texts")) or strings(body.get("inputText"))
    texts = texts or strings(as_dict(single.get("text")).get("value"))
    wanted = positive(body.get("dimensions"), body.get("output_dimension"), single.get("embeddingDimension"))
    vectors = [vector(text, call.path_model, wanted) for text in texts]
    tokens = sum(map(count, texts))
    mark = stamp(call.simulator)
    headers = (
        ("x-amzn-RequestId", mark.id),
        ("x-amzn-bedrock-invocation-latency", "1"),
        ("x-amzn-bedrock-input-token-count", str(tokens)),
    )
    if "texts" in body:
        about = {"id": mark.id, "texts": list(texts), "response_type": "embeddings_floats"}
        return await send_json(call, {**about, "embeddings": vectors}, headers)
    if single:
        made = [{"embeddingType": "TEXT", "embedding": values} for values in vectors]
        return await send_json(call, {"embeddings": made}, headers)
    values = vectors[0] if vectors else []
    return await send_json(call, {"embedding": values, "inputTextTokenCount": tokens}, headers)
