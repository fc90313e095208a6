"""The aiohttp application: each route's handler records the request, answers it, and notes the status."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from aiohttp import web

from llm_intercept.settings import SimSettings
from llm_intercept.sim import inspection
from llm_intercept.sim.acting import act, asked
from llm_intercept.sim.errors import ErrorShape
from llm_intercept.sim.fate import Failure
from llm_intercept.sim.routes import ROUTES, Answerer
from llm_intercept.sim.serve import SIMULATOR, BadRequest, Call, Simulator, refuse

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(settings: SimSettings) -> web.Application:
    """The simulator as an aiohttp application."""
    app = web.Application()
    app[SIMULATOR] = Simulator(settings)
    app.add_routes(inspection.ROUTES)
    for method, path, answer, shape in ROUTES:
        app.router.add_route(method, path, _handler(answer, shape))
    return app


def _handler(answer: Answerer, shape: ErrorShape) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        simulator = request.app[SIMULATOR]
        received, body = await simulator.recorder.receive(request)
        with body:
            call = _directed(Call(request, simulator, received, body))
            try:
                response = await _answer(call, answer, shape)
            except BadRequest as error:
                response = refuse(call, Failure(400, "invalid", str(error)), shape)
        received.status = response.status
        return response

    return handle


def _directed(call: Call) -> Call:
    """The call with the rule of the scenario that it falls under."""
    if call.simulator.script is None:
        return call
    rule = call.simulator.script.choose(asked(call))
    if rule is not None:
        call.received.rule = rule.name or rule.then
    return replace(call, rule=rule)


async def _answer(call: Call, answer: Answerer, shape: ErrorShape) -> web.StreamResponse:
    acted = await act(call, call.rule, shape) if call.rule is not None else None
    return acted if acted is not None else await answer(call)
