"""What the simulated model says: `compose` turns a prompt into an `Answer`, without any randomness."""

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import orjson

from llm_intercept.sim.example import example
from llm_intercept.sim.prompt import CacheMark, Prompt, Tool
from llm_intercept.sim.tokens import count, pieces

type Finish = Literal["stop", "length", "tool", "stop_sequence"]

LOREM = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore "
    "et dolore magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut "
    "aliquip ex ea commodo consequat. Duis aute irure dolor in reprehenderit in voluptate velit esse cillum "
    "dolore eu fugiat nulla pariatur. Excepteur sint occaecat cupidatat non proident, sunt in culpa."
)
LOREM_TOKENS = 64  # without a limit in the request
LOREM_MOST = 20_000
_LOREM_PIECES = pieces(" " + LOREM)


@dataclass(frozen=True, slots=True)
class Counts:
    """Usage of one call: `input` is everything, cached parts included; `output` includes `reasoning`."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_hour: int = 0  # the part of cache_write that is kept for an hour
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output

    @property
    def fresh(self) -> int:
        """Input that neither came from nor went into a cache: the `input_tokens` of Anthropic and Bedrock."""
        return self.input - self.cache_read - self.cache_write


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of an offered tool; `arguments` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer, cut into the tokens that a stream sends one by one."""

    text: tuple[str, ...]
    finish: Finish
    counts: Counts
    reasoning: tuple[str, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    stop: str | None = None  # the stop sequence that was met

    @property
    def whole_text(self) -> str:
        return "".join(self.text)

    @property
    def whole_reasoning(self) -> str:
        return "".join(self.reasoning)


class PromptCache:
    """Remembers which prompt parts were seen, as a provider's prompt cache does."""

    def __init__(self, size: int = 1000) -> None:
        self._size = size
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def counts(self, mark: CacheMark | None) -> tuple[int, int, int]:
        """(read, written, written for an hour) for this call, which is then remembered."""
        if mark is None:
            return 0, 0, 0
        key = sha256(mark.key).digest()
        if key in self._seen:
            self._seen.move_to_end(key)
            return mark.tokens, 0, 0
        self._seen[key] = None
        if len(self._seen) > self._size:
            self._seen.popitem(last=False)
        written = 0 if mark.automatic else mark.tokens
        return 0, written, written if mark.hour else 0


def compose(prompt: Prompt, behaviour: str, cache: PromptCache, lorem_start: int = 0) -> Answer:
    """The answer of `behaviour` (`echo`, `lorem`, `tools`, `think`) to a prompt."""
    read, written, hour = cache.counts(prompt.cache)
    reasoning = _think(prompt) if prompt.think or behaviour == "think" else []
    calls = _calls(prompt, behaviour)
    text, finish, stop = ([], "tool", None) if calls else _say(prompt, behaviour, lorem_start)
    if prompt.max_output is not None and not calls:
        reasoning = reasoning[: prompt.max_output]
        room = prompt.max_output - len(reasoning)
        if len(text) > room:
            text, finish, stop = text[:room], "length", None
    spoken = len(text) + sum(count(c.name) + count(c.arguments) for c in calls)
    output = (len(reasoning) + spoken) * prompt.n
    counts = Counts(prompt.input_tokens, output, read, written, hour, len(reasoning) * prompt.n)
    return Answer(tuple(text), finish, counts, tuple(reasoning), calls, stop)


def _think(prompt: Prompt) -> list[str]:
    about = " ".join(prompt.text.split()[:12])
    return pieces(f"The user wrote: {about}. I will answer that in their own words.")


def _calls(prompt: Prompt, behaviour: str) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(tool.name, orjson.dumps(example(tool.schema) or {}).decode())
        for tool in _chosen(prompt, behaviour)
    )


def _chosen(prompt: Prompt, behaviour: str) -> list[Tool]:
    """Forced, then by `sim/tools`, then those that the text names; a tool's result is answered with text."""
    tools = list(prompt.tools)
    if not tools or prompt.forbid_tools:
        return []
    if prompt.force_tool is not None:
        return [t for t in tools if t.name == prompt.force_tool] or tools[:1]
    if prompt.after_tool:
        return []
    if behaviour == "tools":
        return tools[:1]
    named = [t for t in tools if t.name and t.name in prompt.text]
    asked = "tool" in prompt.text.lower().replace(",", " ").replace(".", " ").split()
    return named or (tools[:1] if asked else [])


def _say(prompt: Prompt, behaviour: str, lorem_start: int) -> tuple[list[str], Finish, str | None]:
    if prompt.schema is not None:
        return pieces(orjson.dumps(example(prompt.schema)).decode()), "stop", None
    if behaviour == "lorem":
        return _lorem(prompt.max_output, lorem_start)
    text = prompt.text
    if prompt.after_tool and behaviour == "tools":
        text = f"The tool returned: {text}"
    text = text or "Hello from the simulator."
    found = [(text.find(stop), stop) for stop in prompt.stops if stop in text]
    if found:
        at, stop = min(found)
        return pieces(text[:at]), "stop_sequence", stop
    return pieces(text), "stop", None


def _lorem(limit: int | None, start: int) -> tuple[list[str], Finish, str | None]:
    length = min(limit, LOREM_MOST) if limit else LOREM_TOKENS
    words = [_LOREM_PIECES[(start + i) % len(_LOREM_PIECES)] for i in range(length)]
    words[0] = words[0].lstrip()
    return words, "length" if limit == length else "stop", None
