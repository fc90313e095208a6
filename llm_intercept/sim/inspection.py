"""The simulator's own paths under `/__sim`: health, and what reached it."""

from aiohttp import web

from llm_intercept.sim.fate import MODELS
from llm_intercept.sim.serve import SIMULATOR

ROUTES = web.RouteTableDef()


@ROUTES.get("/__sim/health")
async def health(request: web.Request) -> web.Response:
    models = {f"sim/{name}": text for name, text in MODELS.items()}
    return web.json_response({"status": "ok", "models": models})


@ROUTES.get("/__sim/requests")
async def requests(request: web.Request) -> web.Response:
    recorder = request.app[SIMULATOR].recorder
    return web.json_response({"requests": [received.as_json() for received in recorder.requests]})


@ROUTES.delete("/__sim/requests")
async def clear(request: web.Request) -> web.Response:
    request.app[SIMULATOR].recorder.clear()
    return web.Response(status=204)
