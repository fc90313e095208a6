"""The translation engine alone, in this process: each dialect's events and requests into every other.

Its own CPU time, the best of several times; of the pairs of dialects the slowest counts.
"""

import time
from collections.abc import Callable, Iterable
from itertools import permutations

import orjson

from bench.report import Row, progress
from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context, Target
from llm_intercept.wire.framing.write import FrameWriter
from llm_intercept.wire.ir import (
    Event,
    Finished,
    Message,
    PartDelta,
    PartEnded,
    PartStarted,
    Request,
    Sampling,
    Started,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from llm_intercept.wire.translation import Side, Translation
from llm_intercept.wire.usage import Usage

DIALECTS = ("openai_chat", "openai_responses", "anthropic", "gemini", "bedrock_converse", "ollama")
WORDS, ARGUMENTS, TURNS, TOOLS = 400, 100, 40, 24
REQUEST_KB = 190

_SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": "Absolute path of the file, in the project's folder."},
        "pattern": {"type": "string", "description": "A regular expression to look for in each line."},
        "limit": {"type": "integer", "description": "At most so many matches are given back."},
    },
    "required": ["path"],
}


def measure(rounds: int) -> list[Row]:
    """An SSE event, and a request as long as those of coding agents."""
    progress("translation: events and requests of every pair of dialects")
    pairs = list(permutations(DIALECTS, 2))
    framed = {name for name in DIALECTS if codecs.get(name).FRAMING == "sse"}
    events = {f"{there} as {here}": _event_us(there, here, rounds) for there, here in pairs}
    judged = max(us for name, us in events.items() if set(name.split(" as ")) <= framed)
    requests = {f"{here} to {there}": _request_ms(here, there, rounds) for here, there in pairs}
    slowest = max(requests.values())
    return [
        Row("an event translated", "us", {"ours": judged}, judged, "us", 15.0, {"pairs": events}),
        Row("190 KB translated", "ms", {"ours": slowest}, slowest, "ms", 2.0, {"pairs": requests}),
    ]


def _event_us(there: str, here: str, rounds: int) -> float:
    """From the provider's dialect (`there`) to the client's, each event in a chunk of its own."""
    stream = list(_frames(there))

    def work() -> None:
        translation = Translation(Side(here), Side(there), _context(there), stream=True)
        relay = translation.relay(FrameWriter(codecs.get(there).FRAMING).content_type)
        for chunk in stream:
            relay.feed(chunk)
        relay.close()

    return _best(work, rounds) / len(stream) * 1e6


def _frames(dialect: str) -> Iterable[bytes]:
    codec = codecs.get(dialect)
    encoder, writer = codec.encoder(_context(dialect)), FrameWriter(codec.FRAMING)
    for event in _answer():
        for frame in encoder.feed(event):
            yield writer.write([frame])
    yield writer.write(encoder.close()) + writer.end()


def _answer() -> Iterable[Event]:
    yield Started("msg_bench", "bench", 1_760_000_000, Usage(input=61))
    yield PartStarted(0, Text(""))
    yield from (PartDelta(0, f" t{number:03d}") for number in range(WORDS))
    yield PartEnded(0)
    yield PartStarted(1, ToolCall("call_bench0001", "search", ""))
    pieces = ['{"path": "', *(f"/f{number:03d}" for number in range(ARGUMENTS)), '"}']
    yield from (PartDelta(1, piece) for piece in pieces)
    yield PartEnded(1)
    yield Finished("tool_calls", Usage(input=61, output=500))


def _request_ms(here: str, there: str, rounds: int) -> float:
    """From the client's bytes to the provider's."""
    encoded = codecs.get(here).encode_request(_conversation(), _context(here))
    body = orjson.dumps(encoded.body)

    def work() -> None:
        translation = Translation(Side(here), Side(there), _context(there), stream=True)
        request = translation.read(body, "bench", True)
        orjson.dumps(translation.encode(request).body)

    return _best(work, rounds) * 1e3


def _conversation() -> Request:
    """System text, tools, and turns of a tool loop, of about 190 KB."""
    tools = tuple(Tool(f"tool_{number:02d}", "Looks into files. " * 20, _SCHEMA) for number in range(TOOLS))
    size = (REQUEST_KB * 1000 - TOOLS * 900) // (TURNS + 2)
    messages = [Message("system", (Text("Be a careful engineer. " * (size // 23)),))]
    messages.append(Message("user", (Text("Find the fault. " * (size // 16)),)))
    for number in range(TURNS):
        call = ToolCall(f"call_{number:08d}", "tool_01", orjson.dumps({"path": f"/src/{number}.py"}).decode())
        messages.append(Message("assistant", (Text("Let me look at that file."), call)))
        found = Text("def handle(event):\n    return event\n" * (size // 38))
        messages.append(Message("user", (ToolResult(call.id, (found,)),)))
    return Request("bench", tuple(messages), tools, sampling=Sampling(max_tokens=4096), stream=True)


def _context(dialect: str) -> Context:
    return Context(target=Target(model="bench"), now=1.76e9, requested_model="bench", include_usage=True)


def _best(work: Callable[[], None], rounds: int) -> float:
    """Seconds of this thread's CPU time: the least of several, for what else the machine does only adds."""
    found = []
    for _ in range(rounds):
        started = time.thread_time()
        work()
        found.append(time.thread_time() - started)
    return min(found)
