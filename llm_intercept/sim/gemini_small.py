"""Google's other operations: counting tokens and embeddings, and the choice between the two streams."""

from aiohttp import web

from llm_intercept.sim import gemini
from llm_intercept.sim.errors import google_error
from llm_intercept.sim.prompt import Json, as_dict, dicts, positive, text_of
from llm_intercept.sim.serve import Call, begin, generate, send_json
from llm_intercept.sim.tokens import count
from llm_intercept.sim.vectors import vector


async def stream(call: Call) -> web.StreamResponse:
    events = call.request.query.get("alt") == "sse"
    return await generate(call, gemini.EVENTS if events else gemini.ARRAY)


async def count_tokens(call: Call) -> web.StreamResponse:
    body = call.json()
    if refused := await begin(call, call.path_model, google_error):
        return refused
    tokens = gemini.contents_tokens(as_dict(body.get("generateContentRequest")) or body)
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return await send_json(call, {"totalTokens": tokens, "promptTokensDetails": details}, pretty=True)


def _values(call: Call, request: Json) -> Json:
    wanted = positive(request.get("outputDimensionality"), request.get("output_dimensionality"))
    return {"values": vector(text_of(request.get("content")), call.path_model, wanted)}


def _counted(requests: list[Json]) -> Json:
    tokens = sum(count(text_of(r.get("content"))) for r in requests)
    return {"promptTokenCount": tokens, "totalTokenCount": tokens}


async def embed(call: Call) -> web.StreamResponse:
    body = call.json()
    if refused := await begin(call, call.path_model, google_error):
        return refused
    return await send_json(call, {"embedding": _values(call, body), "usageMetadata": _counted([body])})


async def batch_embed(call: Call) -> web.StreamResponse:
    requests = dicts(call.json().get("requests"))
    if refused := await begin(call, call.path_model, google_error):
        return refused
    embeddings = [_values(call, request) for request in requests]
    return await send_json(call, {"embeddings": embeddings, "usageMetadata": _counted(requests)})


async def predict(call: Call) -> web.StreamResponse:
    """Vertex's older embeddings."""
    body = call.json()
    if refused := await begin(call, call.path_model, google_error):
        return refused
    wanted = positive(as_dict(body.get("parameters")).get("outputDimensionality"))
    predictions = [
        _prediction(text_of(i.get("content")), call.path_model, wanted) for i in dicts(body.get("instances"))
    ]
    return await send_json(call, {"predictions": predictions})


def _prediction(text: str, model: str, wanted: int | None) -> Json:
    statistics = {"token_count": count(text), "truncated": False}
    return {"embeddings": {"values": vector(text, model, wanted), "statistics": statistics}}
