"""OpenAI's operations that are no conversation: embeddings and moderations."""

from aiohttp import web

from llm_intercept.sim.errors import openai_error
from llm_intercept.sim.prompt import Json, positive
from llm_intercept.sim.serve import Call, begin, send_json, stamp
from llm_intercept.sim.vectors import as_base64, inputs, vector

_CATEGORIES = ("harassment", "hate", "illicit", "self-harm", "sexual", "violence")
_CATEGORIES_MORE = (
    "harassment/threatening",
    "hate/threatening",
    "illicit/violent",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual/minors",
    "violence/graphic",
)


async def embeddings(call: Call) -> web.StreamResponse:
    body = call.json()
    model = str(body.get("model") or call.path_model)
    if refused := await begin(call, model, openai_error):
        return refused
    given = inputs(body.get("input"))
    vectors = [vector(text, model, positive(body.get("dimensions"))) for text, _ in given]
    packed = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": i, "embedding": as_base64(v) if packed else v}
        for i, v in enumerate(vectors)
    ]
    tokens = sum(n for _, n in given)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return await send_json(
        call, {"object": "list", "data": data, "model": model, "usage": usage}, pretty=True
    )


async def moderations(call: Call) -> web.StreamResponse:
    body = call.json()
    model = str(body.get("model") or "omni-moderation-latest")
    if refused := await begin(call, model, openai_error):
        return refused
    results = [_judged(text) for text, _ in inputs(body.get("input"))]
    return await send_json(
        call, {"id": f"modr-{stamp(call.simulator).id}", "model": model, "results": results}
    )


def _judged(text: str) -> Json:
    """Nothing is ever flagged, but what mentions violence."""
    names = (*_CATEGORIES, *_CATEGORIES_MORE)
    hit = {name: name == "violence" and "violence" in text for name in names}
    return {
        "flagged": any(hit.values()),
        "categories": hit,
        "category_scores": {name: 0.9 if found else 0.0001 for name, found in hit.items()},
        "category_applied_input_types": {name: ["text"] for name in names},
    }
