"""The simulator's own paths under `/__sim`: health, what reached it, and the scenario."""

from aiohttp import web

from llm_intercept.errors import ConfigError
from llm_intercept.sim.fate import MODELS
from llm_intercept.sim.scenario import parse
from llm_intercept.sim.script import Script
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


@ROUTES.get("/__sim/scenario")
async def scenario(request: web.Request) -> web.Response:
    script = request.app[SIMULATOR].script
    return web.json_response(script.as_json() if script else {"calls": 0, "unruled": 0, "rules": []})


@ROUTES.put("/__sim/scenario")
async def replace_scenario(request: web.Request) -> web.Response:
    """From the next call on; the counters begin anew."""
    try:
        script = Script(parse((await request.read()).decode("utf-8", "replace"), "the request's body"))
    except ConfigError as error:
        return web.json_response({"error": str(error)}, status=400)
    request.app[SIMULATOR].script = script
    return web.json_response(script.as_json())


@ROUTES.delete("/__sim/scenario")
async def clear_scenario(request: web.Request) -> web.Response:
    request.app[SIMULATOR].script = None
    return web.Response(status=204)
