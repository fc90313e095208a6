"""One call from its request to its last byte: fate, delay, answer, framing and encoding, for every API."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO

import orjson
from aiohttp import web

from llm_intercept.settings import SimSettings
from llm_intercept.sim.answer import Answer, PromptCache, compose
from llm_intercept.sim.coding import ENCODERS, decode, encode
from llm_intercept.sim.errors import ErrorShape
from llm_intercept.sim.fate import Dice, Failure, Fate
from llm_intercept.sim.files import FileStore
from llm_intercept.sim.frames import Frame
from llm_intercept.sim.prompt import Json, Prompt
from llm_intercept.sim.record import Received, Recorder

type Headers = tuple[tuple[str, str], ...]

MODEL_HEADER = "x-sim-model"
ENCODING_HEADER = "x-sim-encoding"


class Simulator:
    """The state that calls share."""

    def __init__(self, settings: SimSettings) -> None:
        self.settings = settings
        self.dice = Dice(settings)
        self.cache = PromptCache()
        self.recorder = Recorder(settings.record, settings.record_bytes)
        self.files = FileStore()


SIMULATOR = web.AppKey("simulator", Simulator)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was read to its end."""

    request: web.Request
    simulator: Simulator
    received: Received
    file: IO[bytes]  # the body as sent

    def header(self, name: str) -> str:
        return self.request.headers.get(name, "")

    @property
    def path_model(self) -> str:
        """Google's SDK turns `sim/echo` on Vertex into `publishers/sim/models/echo`."""
        found = self.request.match_info
        name = found.get("model", "")
        return f"sim/{name}" if found.get("prefix", "").endswith("publishers/sim/") else name

    def json(self) -> Json:
        """The body as an object; BadRequest if it is none."""
        try:
            self.file.seek(0)
            value = orjson.loads(decode(self.file.read(), self.header("content-encoding")) or b"{}")
        except ValueError as error:
            raise BadRequest(f"We could not parse the body of your request: {error}") from error
        if not isinstance(value, dict):
            raise BadRequest("The body of the request has to be a JSON object.")
        return value


class BadRequest(Exception):
    """The request cannot be understood; its text goes into the provider's 400."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is unique in an answer: identifiers and time."""

    id: str
    created: int
    new_id: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Surface:
    """How one API operation reads its request and writes its answer. All functions are pure."""

    read: Callable[[Call, Json], Prompt]
    whole: Callable[[Prompt, Answer, Stamp], Json]
    stream: Callable[[Prompt, Answer, Stamp], Iterator[Frame]]
    error: ErrorShape
    stream_type: str = "text/event-stream; charset=utf-8"
    headers: Callable[[Prompt, Answer, Stamp], Headers] = field(default=lambda p, a, s: ())
    pretty: bool = False


def stamp(simulator: Simulator) -> Stamp:
    return Stamp(simulator.dice.id(), int(time.time()), simulator.dice.id)


async def generate(call: Call, surface: Surface) -> web.StreamResponse:
    """Answers one request for text."""
    prompt = surface.read(call, call.json())
    fate = call.simulator.dice.fate(call.header(MODEL_HEADER) or prompt.model)
    refused = await meet(call, fate, surface.error)
    if refused is not None:
        return refused
    answer = compose(prompt, fate.behaviour, call.simulator.cache, call.simulator.dice.lorem_start)
    mark = stamp(call.simulator)
    headers = surface.headers(prompt, answer, mark)
    if prompt.stream:
        frames = surface.stream(prompt, answer, mark)
        return await send_stream(call, frames, fate, surface.stream_type, headers)
    await pause(answer.counts.output / fate.pace if fate.pace else 0)
    return await send_json(call, surface.whole(prompt, answer, mark), headers, fate.cut, surface.pretty)


async def begin(call: Call, model: str, shape: ErrorShape) -> web.StreamResponse | None:
    """For operations that are not text: waits, or answers if the call is fated to fail."""
    return await meet(call, call.simulator.dice.fate(call.header(MODEL_HEADER) or model), shape)


async def meet(call: Call, fate: Fate, shape: ErrorShape) -> web.StreamResponse | None:
    """Waits for the first token's time; answers if the call is fated to fail."""
    if fate.hang:
        await asyncio.Event().wait()
    if fate.failure is not None:
        return refuse(call, fate.failure, shape)
    await pause(fate.latency)
    return None


async def pause(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


def refuse(call: Call, failure: Failure, shape: ErrorShape) -> web.Response:
    """An error in the provider's shape."""
    answer = shape(failure, f"req_{call.simulator.dice.id()}")
    headers = [*answer.headers]
    if failure.retry_after is not None:
        headers.append(("Retry-After", str(failure.retry_after)))
    return _whole(call, orjson.dumps(answer.body), "application/json", tuple(headers), answer.status)


async def send_json(
    call: Call, payload: Json, headers: Headers = (), cut: bool = False, pretty: bool = False
) -> web.StreamResponse:
    """A whole JSON answer; a cut one breaks off in its middle."""
    body = orjson.dumps(payload, option=orjson.OPT_INDENT_2 if pretty else 0)
    response = _whole(call, body, "application/json", headers)
    if not cut:
        return response
    whole = response.body if isinstance(response.body, bytes) else b""
    broken = web.StreamResponse(headers=response.headers)
    broken.content_length = len(whole)
    await broken.prepare(call.request)
    await broken.write(whole[: len(whole) // 2])
    return break_off(call, broken)


def send_bytes(call: Call, body: bytes, content_type: str, headers: Headers = ()) -> web.Response:
    """A whole answer that is not JSON."""
    return _whole(call, body, content_type, headers)


def _whole(call: Call, body: bytes, kind: str, headers: Headers, status: int = 200) -> web.Response:
    fields = [("Content-Type", kind), *headers]
    if encoding := _encoding(call):
        body = encode(body, encoding)
        fields.append(("Content-Encoding", encoding))
    return web.Response(body=body, status=status, headers=fields)


def _encoding(call: Call) -> str:
    wanted = call.header(ENCODING_HEADER).lower()
    return wanted if wanted in ENCODERS else ""


async def send_stream(
    call: Call, frames: Iterable[Frame], fate: Fate, kind: str, headers: Headers = ()
) -> web.StreamResponse:
    """A streamed answer: one write for each frame, at the fated pace, broken off half-way if fated so."""
    encoding = _encoding(call)
    encoder = ENCODERS[encoding]() if encoding else None
    coded = (("Content-Encoding", encoding),) if encoding else ()
    fields = [("Content-Type", kind), ("Cache-Control", "no-cache"), *headers, *coded]
    response = web.StreamResponse(headers=fields)
    await response.prepare(call.request)
    listed = list(frames)
    if fate.cut:
        listed = listed[: max(1, len(listed) // 2)]
    started, tokens = time.perf_counter(), 0
    for frame in listed:
        await response.write(encoder.feed(frame.data) if encoder else frame.data)
        tokens += frame.tokens
        if fate.pace and frame.tokens:
            await pause(started + tokens / fate.pace - time.perf_counter())
    if fate.cut:
        return break_off(call, response)
    if encoder and (rest := encoder.finish()):
        await response.write(rest)
    await response.write_eof()
    return response


def break_off(call: Call, response: web.StreamResponse) -> web.StreamResponse:
    """Closes the connection without ending the answer, once what was written is flushed."""
    if call.request.transport is not None:
        call.request.transport.close()
    return response
