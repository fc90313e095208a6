"""What a call means, whatever wire format it was written in: ordered typed parts, never OpenAI-shaped.

Decoders make these values, encoders read them. A target that cannot express something drops it
and says so (`Context.warn`); nothing is dropped silently. Three escape hatches keep what has no word here:
`extras` (members by dialect, written again by that dialect only), `Opaque` parts and `Opaque` tools.

JSON stays text where it is text on the wire (tool arguments), so that it survives byte for byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from llm_intercept.wire.usage import Usage

type Json = Any
type Extras = Mapping[str, Mapping[str, Json]]
"""dialect name -> members of that dialect's object that the IR has no word for."""

NO_EXTRAS: Extras = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Cache:
    """A prompt-cache breakpoint after this part; `ttl` is "5m" or "1h"."""

    ttl: str = "5m"


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    citations: tuple[Mapping[str, Json], ...] = ()  # in the dialect of `extras`' only key; others drop them
    cache: Cache | None = None
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class Media:
    """An image, document, audio or video; exactly one of `data` (base64), `url`, `file_id`, `text`."""

    kind: Literal["image", "document", "audio", "video"]
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    text: str = ""  # a plain-text document
    name: str = ""
    detail: str = ""  # OpenAI's low | high | auto
    cache: Cache | None = None
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class Thinking:
    """Reasoning. `signature` is opaque and means something to `origin` only: "" for a part without one.

    `redacted`: encrypted reasoning without text (`text` is ""), its content is in `signature`.
    """

    text: str = ""
    signature: str = ""
    origin: str = ""  # the dialect (with a provider where that matters) that issued the signature
    redacted: bool = False
    summary: bool = False  # a summary made for people, not the reasoning itself
    id: str = ""
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is JSON text exactly as received ("{}" for none). `signature` as in Thinking (Gemini)."""

    id: str
    name: str
    arguments: str = "{}"
    signature: str = ""
    origin: str = ""
    custom: bool = False  # OpenAI custom tools: `arguments` is free text, no JSON
    cache: Cache | None = None
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`parts` are Text and Media. `name` is the tool's name where the dialect gives it (Gemini)."""

    call_id: str
    parts: "tuple[Part, ...]" = ()
    is_error: bool = False
    name: str = ""
    custom: bool = False
    cache: Cache | None = None
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class RefusalText:
    """The model's own words for not answering (OpenAI `refusal`)."""

    text: str
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class Opaque:
    """Something only `dialect` understands (server tools and their results, new block types), as parsed JSON.

    `text` is what a person would read of it, for targets that can only say it in words; "" for nothing.
    """

    dialect: str
    raw: Mapping[str, Json]
    text: str = ""


type Part = Text | Media | Thinking | ToolCall | ToolResult | RefusalText | Opaque

type Role = Literal["system", "developer", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. Tool results are parts of `user` messages. System texts keep their place in the list."""

    role: Role
    parts: tuple[Part, ...]
    name: str = ""
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; `schema` is that of its arguments (None: free text, OpenAI custom).

    `grammar` of free text: `syntax` (lark or regex) and `definition`.
    """

    name: str
    description: str = ""
    schema: Mapping[str, Json] | None = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None
    cache: Cache | None = None
    extras: Extras = NO_EXTRAS
    grammar: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class OpaqueTool:
    """A tool that `dialect`'s provider runs itself (web search, ...). `kind`: its type or name."""

    dialect: str
    kind: str
    raw: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class ToolChoice:
    mode: Literal["auto", "required", "none", "named"] = "auto"
    name: str = ""
    parallel: bool | None = None  # None: not said


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What the client wants of reasoning; None where it did not say. `budget` is in tokens.

    `enabled` False switches it off. `adaptive`: the model decides (Anthropic adaptive). `effort` is one of
    none, minimal, low, medium, high, xhigh, max. `visible` False: think, but do not show it.
    """

    enabled: bool | None = None
    effort: str | None = None
    budget: int | None = None
    adaptive: bool = False
    visible: bool | None = None
    summary: str | None = None  # OpenAI responses: auto | concise | detailed


@dataclass(frozen=True, slots=True)
class Format:
    """Structured output: `json` any JSON object, `schema` that of `schema`."""

    kind: Literal["text", "json", "schema"] = "text"
    schema: Mapping[str, Json] | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """None: not said."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A call. `extras` are top-level members without a word here."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool | OpaqueTool, ...] = ()
    tool_choice: ToolChoice | None = None
    sampling: Sampling = field(default_factory=Sampling)
    reasoning: Reasoning | None = None
    format: Format | None = None
    verbosity: str | None = None
    stream: bool = False
    include_usage: bool = False  # OpenAI chat: the client wants usage in the stream
    user: str = ""
    cache_key: str = ""
    service_tier: str = ""
    metadata: Mapping[str, Json] | None = None
    extras: Extras = NO_EXTRAS


type Finish = Literal[
    "stop",
    "length",
    "tool_calls",
    "stop_sequence",
    "content_filter",
    "refusal",
    "pause",
    "overflow",
    "error",
    "other",
]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `created` is Unix seconds (0: not said). `extras` as in Request."""

    id: str
    model: str
    parts: tuple[Part, ...]
    finish: Finish
    usage: Usage = field(default_factory=Usage)
    created: int = 0
    stop_sequence: str = ""
    logprobs: tuple[Mapping[str, Json], ...] = ()  # OpenAI chat's `content` entries
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class Failure:
    """A provider's error: `kind` in our words (errors.RefusalKind and `overflow`), the rest in its own."""

    kind: str
    message: str
    status: int
    type: str = ""
    code: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """Stream: the answer begins. `usage` is what is known now (Anthropic's input tokens)."""

    id: str
    model: str
    created: int = 0
    usage: Usage | None = None
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class PartStarted:
    """Stream: `part` is the empty beginning (a ToolCall has id and name and arguments "").

    Indexes count up from 0. Parts may be open at the same time; deltas name their index.
    """

    index: int
    part: Part


@dataclass(slots=True)
class PartDelta:
    """Stream: what is appended to an open part: its text or arguments, its signature, a citation.

    A value like the others, and not frozen: one is made for every event, which would take four times as long.
    """

    index: int
    text: str = ""
    signature: str = ""
    origin: str = ""
    citation: Mapping[str, Json] | None = None
    logprobs: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True)
class PartEnded:
    index: int


@dataclass(frozen=True, slots=True)
class Finished:
    """Stream: the end. `usage` is final; the transport's own end follows by itself.

    `extras` and those of `Started` together are those of the whole answer.
    """

    finish: Finish
    usage: Usage
    stop_sequence: str = ""
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class Failed:
    """Stream: an error in place of the end."""

    failure: Failure


type Event = Started | PartStarted | PartDelta | PartEnded | Finished | Failed
