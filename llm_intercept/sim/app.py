"""The routes: which path is which API. No behaviour lives here."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from llm_intercept.settings import SimSettings
from llm_intercept.sim import anthropic, inspection, openai_chat, openai_responses
from llm_intercept.sim.errors import ErrorShape, anthropic_error, openai_error
from llm_intercept.sim.fate import Failure
from llm_intercept.sim.serve import SIMULATOR, BadRequest, Call, Simulator, Surface, generate, refuse

type Answerer = Callable[[Call], Awaitable[web.StreamResponse]]
type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(settings: SimSettings) -> web.Application:
    """The simulator as an aiohttp application."""
    app = web.Application()
    app[SIMULATOR] = Simulator(settings)
    app.add_routes(inspection.ROUTES)
    for method, path, answer, shape in _routes():
        app.router.add_route(method, path, _handler(answer, shape))
    return app


def _text(surface: Surface) -> Answerer:
    async def answer(call: Call) -> web.StreamResponse:
        return await generate(call, surface)

    return answer


def _handler(answer: Answerer, shape: ErrorShape) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        simulator = request.app[SIMULATOR]
        received, body = await simulator.recorder.receive(request)
        with body:
            call = Call(request, simulator, received, body)
            try:
                response = await answer(call)
            except BadRequest as error:
                response = refuse(call, Failure(400, "invalid", str(error)), shape)
        received.status = response.status
        return response

    return handle


def _routes() -> list[tuple[str, str, Answerer, ErrorShape]]:
    return [
        ("POST", "/{prefix:.*}chat/completions", _text(openai_chat.SURFACE), openai_error),
        ("POST", "/{prefix:.*}responses", _text(openai_responses.SURFACE), openai_error),
        ("POST", "/{prefix:.*}messages", _text(anthropic.SURFACE), anthropic_error),
    ]
