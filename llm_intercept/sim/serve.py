"""One call from its request to its last byte: fate, delay, answer, framing and encoding, for every API."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import orjson
from aiohttp import web

from llm_intercept.settings import SimSettings
from llm_intercept.sim.answer import Answer, PromptCache, compose
from llm_intercept.sim.coding import ENCODERS, decode, encode
from llm_intercept.sim.dialects import dialect_of
from llm_intercept.sim.errors import ErrorShape
from llm_intercept.sim.fate import Dice, Failure, Fate, Fault
from llm_intercept.sim.faults import cut_whole, garbled, play, scripted
from llm_intercept.sim.files import FileStore
from llm_intercept.sim.frames import Frame
from llm_intercept.sim.prompt import Json, Prompt
from llm_intercept.sim.record import Received, Recorder
from llm_intercept.sim.scenario import Rule, load
from llm_intercept.sim.script import Script
from llm_intercept.sim.wording import limit_headers

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
        self.script = Script(load(Path(settings.scenario))) if settings.scenario else None


SIMULATOR = web.AppKey("simulator", Simulator)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was read to its end."""

    request: web.Request
    simulator: Simulator
    received: Received
    file: IO[bytes]  # the body as sent
    rule: Rule | None = None  # of the scenario

    @property
    def dialect(self) -> str:
        return dialect_of(self.request.path)

    def fate(self, model: str) -> Fate:
        """By the header, the model's name and the dice, or as the scenario has it."""
        fate = self.simulator.dice.fate(self.header(MODEL_HEADER) or model)
        return fate if self.rule is None else scripted(fate, self.rule, self.dialect)

    def fields(self, given: Headers) -> Headers:
        """The answer's headers with those of the scenario instead of their namesakes."""
        if self.rule is None:
            return given
        own = tuple(self.rule.headers.items())
        if self.rule.rate_limit_reset is not None:
            own += limit_headers(self.rule.rate_limit_reset, self.dialect, datetime.now(UTC))
        names = {name.lower() for name, _ in own}
        return (*(pair for pair in given if pair[0].lower() not in names), *own)

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
    fate = call.fate(prompt.model)
    refused = await meet(call, fate if prompt.stream else _whole_fate(fate), surface.error)
    if refused is not None:
        return refused
    if fate.say is not None:
        prompt = replace(prompt, text=fate.say, tools=(), schema=None, think=False)
        fate = replace(fate, behaviour="echo")
    answer = compose(prompt, fate.behaviour, call.simulator.cache, call.simulator.dice.lorem_start)
    mark = stamp(call.simulator)
    headers = surface.headers(prompt, answer, mark)
    if prompt.stream:
        frames = surface.stream(prompt, answer, mark)
        return await send_stream(call, frames, fate, surface.stream_type, headers)
    await pause(answer.counts.output / fate.pace if fate.pace else 0)
    return await send_json(call, surface.whole(prompt, answer, mark), headers, fate, surface.pretty)


async def begin(call: Call, model: str, shape: ErrorShape) -> web.StreamResponse | None:
    """For operations that are not text: waits, or answers if the call is fated to fail."""
    return await meet(call, _whole_fate(call.fate(model)), shape)


def _whole_fate(fate: Fate) -> Fate:
    """An error inside a stream is a plain error where there is none."""
    fault = fate.fault
    return replace(fate, failure=fault.failure) if fault and fault.kind == "stream_error" else fate


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
        headers.append(("Retry-After", f"{failure.retry_after:g}"))
    if failure.retry_after_ms is not None:
        headers.append(("retry-after-ms", str(failure.retry_after_ms)))
    return _whole(call, orjson.dumps(answer.body), "application/json", tuple(headers), answer.status)


async def send_json(
    call: Call, payload: Json, headers: Headers = (), fate: Fate | None = None, pretty: bool = False
) -> web.StreamResponse:
    """A whole JSON answer; a cut one breaks off in its middle."""
    body = orjson.dumps(payload, option=orjson.OPT_INDENT_2 if pretty else 0)
    fault = fate.fault if fate else _fault_of(call)
    if fault is not None and fault.kind == "garble":
        return _whole(call, garbled(body), "application/json", headers)
    response = _whole(call, body, "application/json", headers)
    if fault is None and not (fate and fate.cut):
        return response
    whole = response.body if isinstance(response.body, bytes) else b""
    broken = web.StreamResponse(headers=response.headers)
    broken.content_length = len(whole)
    await broken.prepare(call.request)
    await broken.write(cut_whole(whole, fault or Fault("drop", 1)))
    if fault is not None and fault.kind == "hang":
        await asyncio.Event().wait()
    return break_off(call, broken)


def _fault_of(call: Call) -> Fault | None:
    """The scenario's, for operations that roll no dice for their ending."""
    return None if call.rule is None else scripted(Fate("echo"), call.rule, call.dialect).fault


def send_bytes(call: Call, body: bytes, content_type: str, headers: Headers = ()) -> web.Response:
    """A whole answer that is not JSON."""
    return _whole(call, body, content_type, headers)


def _whole(call: Call, body: bytes, kind: str, headers: Headers, status: int = 200) -> web.Response:
    fields = [("Content-Type", kind), *headers]
    if encoding := _encoding(call):
        body = encode(body, encoding)
        fields.append(("Content-Encoding", encoding))
    return web.Response(body=body, status=status, headers=call.fields(tuple(fields)))


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
    response = web.StreamResponse(headers=call.fields(tuple(fields)))
    await response.prepare(call.request)
    played = play(list(frames), fate, call.dialect if fate.fault else "", kind)
    started, tokens = time.perf_counter(), 0
    for frame in played.frames:
        if fate.event_delay:
            await pause(fate.event_delay)
        await response.write(encoder.feed(frame.data) if encoder else frame.data)
        tokens += frame.tokens
        if fate.pace and frame.tokens:
            await pause(started + tokens / fate.pace - time.perf_counter())
    if played.ending == "hang":
        await asyncio.Event().wait()
    if played.ending == "drop":
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
