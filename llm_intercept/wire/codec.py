"""The contract of a codec: a dialect that can be translated from and to. One package each under `codecs/`.

A codec is a module; mypy checks it against `Codec`. Codecs never import one another. Decoders accept
anything a real client or provider may send and raise `Untranslatable` (for requests) with the field's
name where they cannot; for answers and streams they are total.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from llm_intercept.errors import InterceptError
from llm_intercept.wire.ir import Answer, Event, Extras, Failure, Json, Request


class Untranslatable(InterceptError):
    """A request that cannot be said in the target's dialect: `field` is the JSON path, the text says why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Target:
    """What is known of the model that will answer; None or empty where nothing is known.

    `reasoning` is the form it takes reasoning in: "effort", "budget", "adaptive", "level" (Gemini 3),
    "content" (DeepSeek's reasoning_content), "openrouter" (its own object), or "none": does not reason.
    `reasoning` "fixed": it reasons and takes no word of how. `efforts`: the levels it takes, if known.
    `rejects` are parameters (IR names: temperature, top_p, ...) that it refuses; `a+b`: only one of the two;
    `prefill`: an answer that the client begins; `name`: that of a message; `json_schema`: as the form of an
    answer; and members of chat completions that only some servers know (`stream_options`, ...).
    `context` is the size of its window in tokens.
    `provider` decides nothing but the origin of signatures and OpenRouter's own `reasoning` object.
    `structured`: whether it takes a JSON schema for its answers; None where that is not known.
    """

    provider: str = ""
    model: str = ""
    max_output: int | None = None
    reasoning: str = ""
    budget_range: tuple[int, int] | None = None
    rejects: frozenset[str] = frozenset()
    images: bool = True
    structured: bool | None = None
    fetches: bool = True  # images and documents by their URL, where its dialect has that
    short_tool_ids: bool = False  # takes no tool ids but nine letters and digits (Mistral)
    context: int | None = None
    efforts: tuple[str, ...] = ()


@dataclass(slots=True)
class Context:
    """One translation. `warnings` end on the row; `now` is Unix seconds; `mint` gives random URL-safe text.

    `input_estimate`: the input in tokens, for dialects that report it before the answer.
    `requested_model` is the name the client used: answers carry it. `request` is the client's, as decoded:
    some dialects repeat it in their answers, and tools are called by the names that the client gave them.
    """

    target: Target = field(default_factory=Target)
    now: float = 0.0
    mint: Callable[[int], str] = lambda length: "0" * length
    requested_model: str = ""
    input_estimate: int | None = None
    include_usage: bool = False
    request: Request | None = None
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Notes once what was dropped or changed, the field first: `temperature: not taken by o3`."""
        if text not in self.warnings:
            self.warnings.append(text)


_NESTED = frozenset(("generationConfig", "toolConfig", "thinking", "output_config", "options"))
# Kept by their own codec as they were written, although the IR has a word for what they say.
_WORDED = frozenset(
    ("thinkingConfig", "responseSchema", "responseJsonSchema", "output_format", "display", "usage", "betas")
)
QUIET = frozenset(
    (
        *("store", "include", "stream_options", "obfuscation", "client_metadata", "keep_alive"),
        *("anthropic_version", "anthropic_beta", "betas", "generate", "type", "id", "object"),
    )
)
"""What only says how the provider that was called keeps or delivers: no answer is another without it."""
_SILENT: tuple[Json, ...] = (None, False, "", [], {}, ["TEXT"], ["text"])


def foreign_members(extras: Extras, dialect: str) -> Iterator[str]:
    """Names of what clients of other dialects said and the IR has no word for, without codecs' notes."""
    for origin, members in extras.items():
        if origin != dialect:
            known = ((name, value) for name, value in _flat(members) if name not in QUIET)
            yield from (name for name, value in known if value not in _SILENT)


def _flat(members: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    for name, value in members.items():
        if not name[:1].isalpha() or name in _WORDED:
            continue
        if name in _NESTED and isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", v) for inner, v in value.items() if inner not in _WORDED)
        else:
            yield name, value


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request for the wire: JSON body, and what of it stands in the path (Gemini, Bedrock)."""

    body: Mapping[str, Json]
    model_in_path: bool = False


type Frame = tuple[str, bytes]
"""(event name or "", payload). How frames are written on the wire is the framing's business."""


class EventDecoder(Protocol):
    """Reads one stream of frames; total. `close` ends it: a stream that broke off gives Failed."""

    def feed(self, event: str, data: bytes) -> Iterable[Event]: ...

    def close(self) -> Iterable[Event]: ...


class EventEncoder(Protocol):
    """Writes one stream; whatever events come, the frames obey the dialect's own grammar."""

    def feed(self, event: Event) -> Iterable[Frame]: ...

    def close(self) -> Iterable[Frame]: ...


class Codec(Protocol):
    """Both directions of one dialect."""

    NAME: str
    FRAMING: str  # "sse" | "eventstream" | "lines" | "jsonarray": how its streams are framed by default

    def decode_request(self, body: Mapping[str, Json], model: str, stream: bool) -> Request:
        """`model` and `stream` are those of the path where the dialect has them there."""

    def encode_request(self, request: Request, context: Context) -> Encoded: ...

    def decode_answer(self, body: Mapping[str, Json]) -> Answer: ...

    def encode_answer(self, answer: Answer, context: Context) -> Mapping[str, Json]: ...

    def decoder(self) -> EventDecoder: ...

    def encoder(self, context: Context) -> EventEncoder: ...

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure: ...

    def encode_error(self, failure: Failure, request_id: str) -> tuple[int, Mapping[str, str], bytes]: ...
