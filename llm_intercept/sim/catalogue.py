"""The model lists, in the shape of the provider that the client expects."""

from aiohttp import web

from llm_intercept.sim.fate import MODELS
from llm_intercept.sim.prompt import Json
from llm_intercept.sim.serve import Call, send_json

# fmt: off
NAMES = (
    *(f"sim/{name}" for name in MODELS),
    "gpt-4o", "gpt-4o-mini", "text-embedding-3-small",
    "claude-sonnet-4-5", "claude-haiku-4-5", "gemini-2.5-flash",
)
# fmt: on
_CREATED = 1_735_689_600
_CREATED_TEXT = "2025-01-01T00:00:00Z"


def _openai(name: str) -> Json:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "simulator"}


def _anthropic(name: str) -> Json:
    return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED_TEXT}


def _gemini(name: str) -> Json:
    about = {"name": f"models/{name}", "version": "001", "displayName": name, "description": "Simulated"}
    methods = ["generateContent", "countTokens", "embedContent"]
    limits = {"inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536}
    return {**about, **limits, "supportedGenerationMethods": methods}


def _wants_gemini(call: Call) -> bool:
    request = call.request
    asks = "x-goog-api-key" in request.headers or "key" in request.query
    return asks or "/v1beta/models" in request.path


def _wants_anthropic(call: Call) -> bool:
    return "anthropic-version" in call.request.headers


async def models(call: Call) -> web.StreamResponse:
    if _wants_gemini(call):
        return await send_json(call, {"models": [_gemini(name) for name in NAMES]}, pretty=True)
    if _wants_anthropic(call):
        ends = {"has_more": False, "first_id": NAMES[0], "last_id": NAMES[-1]}
        return await send_json(call, {"data": [_anthropic(name) for name in NAMES], **ends})
    return await send_json(call, {"object": "list", "data": [_openai(n) for n in NAMES]}, pretty=True)


async def model(call: Call) -> web.StreamResponse:
    """Any name exists, as any name can be called."""
    name = call.path_model
    if _wants_gemini(call):
        return await send_json(call, _gemini(name), pretty=True)
    return await send_json(call, _anthropic(name) if _wants_anthropic(call) else _openai(name))
