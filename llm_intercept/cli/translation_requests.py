"""The features of requests that `docs/translation.md` has a row for, as probes."""

from collections.abc import Sequence
from typing import Any

import orjson

from llm_intercept.cli.translation_probes import MODEL, Made, Probe, Seen, asked, parts_of
from llm_intercept.wire.ir import (
    Cache,
    Format,
    Media,
    Message,
    Part,
    Reasoning,
    Request,
    Role,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = Tool("weather", "The weather.", SCHEMA)
CALL = ToolCall("call_abcdefgh1", "weather", '{"city":"Rome"}')
SECOND = ToolCall("call_abcdefgh2", "weather", '{"city":"Oslo"}')


def sampled(**values: Any) -> Made:
    """The request is one of its client's own: some values are for the provider that was called alone."""
    return lambda source: asked(sampling=Sampling(**values), extras={source: {}})


def value(name: str) -> Seen:
    return lambda request: getattr(request.sampling, name)


def media(kind: str, *names: str) -> Seen:
    def seen(found: Any) -> object:
        pictures = [part for part in parts_of(found) if isinstance(part, Media) and part.kind == kind]
        return [tuple(getattr(part, name) for name in names) for part in pictures]

    return seen


def of(kind: type, *names: str) -> Seen:
    """These members of all parts of a kind, as far as they say something."""

    def seen(found: Any) -> object:
        told = [tuple(getattr(p, name) for name in names) for p in parts_of(found) if isinstance(p, kind)]
        return [values for values in told if any(values)]

    return seen


def talked(*parts: Part, results: tuple[Part, ...] = (), **more: Any) -> Made:
    """A conversation in which the assistant said this, and the tools answered that."""
    back = results or (Text("And now?"),)
    question, answer = Message("user", (Text("Weather?"),)), Message("assistant", parts)
    messages = (question, answer, Message("user", back))
    return lambda source: Request(MODEL, messages, tools=(TOOL,), **more)


def result(*parts: Part, error: bool = False) -> ToolResult:
    return ToolResult(CALL.id, parts, is_error=error, name=CALL.name)


def cached(found: Request) -> object:
    kinds = (Text, Media, ToolCall, ToolResult)
    marked = [part.cache for part in parts_of(found) if isinstance(part, kinds)]
    return [cache for cache in (*marked, *(t.cache for t in found.tools if isinstance(t, Tool))) if cache]


def arguments(found: Any) -> object:
    """Calls with their arguments as values: spaces in between mean nothing."""
    calls = [part for part in parts_of(found) if isinstance(part, ToolCall)]
    return [(call.name, orjson.loads(call.arguments)) for call in calls]


def tool_results(found: Request) -> object:
    """Of each result, what it has of text."""
    results = [part for part in parts_of(found) if isinstance(part, ToolResult)]
    return ["".join(p.text for p in r.parts if isinstance(p, Text)) for r in results]


def tools_of(found: Request) -> object:
    return [(t.name, t.description, t.schema) for t in found.tools if isinstance(t, Tool)]


def signed(source: str) -> Request:
    thought = Thinking("Hm.", "c2lnbmF0dXJl", source)
    request: Request = talked(thought, Text("Fine."))(source)
    return request


def choice(mode: Any, name: str = "", parallel: bool | None = None) -> Made:
    return lambda source: asked(tools=(TOOL,), tool_choice=ToolChoice(mode, name, parallel))


def chosen(found: Request) -> object:
    return found.tool_choice and (found.tool_choice.mode, found.tool_choice.name)


def reasons(**values: Any) -> Made:
    return lambda source: asked(reasoning=Reasoning(**values), sampling=Sampling(max_tokens=9000))


def thinks(name: str) -> Seen:
    def seen(found: Request) -> object:
        """The same in another measure is there in another form."""
        told = found.reasoning
        exact = getattr(told, name, None)
        if exact is None and told is not None and told.enabled is not False and name != "enabled":
            return told.effort or told.budget or told.adaptive or told.enabled
        return exact

    return seen


def shaped(kind: Any) -> Made:
    schema = {**SCHEMA, "additionalProperties": False} if kind == "schema" else None
    return lambda source: asked(
        Text("Hello in JSON"),
        format=Format(kind, schema, "place" if schema else "", strict=bool(schema) or None),
    )


def shape(found: Request) -> object:
    return found.format and (found.format.kind, (found.format.schema or {}).get("properties"))


def instructed(role: Role) -> Made:
    messages = (Message(role, (Text("Be brief."),)), Message("user", (Text("Hi"),)))
    return lambda source: Request(MODEL, messages)


def instructions(found: Request) -> list[tuple[str, str]]:
    system = [message for message in found.messages if message.role in ("system", "developer")]
    return [(m.role, p.text) for m in system for p in m.parts if isinstance(p, Text)]


def shown(*parts: Part) -> Made:
    return lambda source: asked(*parts)


def answered(*results: Part) -> Made:
    return talked(CALL, results=(result(*results),))


def is_off(found: Request) -> object:
    told = found.reasoning
    return (told is not None and (told.enabled is False or told.effort == "none")) or None


def is_forbidden(found: Request) -> object:
    """Without tools there is nothing to call either."""
    return not found.tools or (found.tool_choice is not None and found.tool_choice.mode == "none")


def penalties(found: Request) -> object:
    sampling = found.sampling
    return [value for value in (sampling.presence_penalty, sampling.frequency_penalty) if value]


def logprobs(found: Request) -> object:
    return (found.sampling.top_logprobs or True) if found.sampling.logprobs else None


def is_serial(found: Request) -> object:
    return (found.tool_choice is not None and found.tool_choice.parallel is False) or None


SUN = Text("Sun")
IMAGE = Media("image", "image/png", PIXEL)
URL = "https://example.com/a"
FREE = Tool("patch", "A patch.", None)
BOTH = talked(CALL, SECOND, results=(result(SUN), ToolResult(SECOND.id, (Text("Ice"),), name="weather")))

REQUESTS: Sequence[Probe] = (
    Probe("text", shown(Text("Hello"), Text("you")), of(Text, "text")),
    Probe("system prompt", instructed("system"), lambda r: [text for _, text in instructions(r)]),
    Probe("role `developer`", instructed("developer"), instructions),
    Probe("image, base64", shown(IMAGE), media("image", "data", "media_type")),
    Probe("image, URL", shown(Media("image", url=URL)), media("image", "url", "data")),
    Probe(
        "PDF, base64",
        shown(Media("document", "application/pdf", PDF, name="a.pdf")),
        media("document", "data", "media_type"),
    ),
    Probe(
        "PDF, URL",
        shown(Media("document", "application/pdf", url=URL)),
        media("document", "url", "data"),
    ),
    Probe("audio", shown(Media("audio", "audio/wav", "UklGRg==")), media("audio", "data")),
    Probe("tools", lambda s: asked(tools=(TOOL,)), tools_of),
    Probe("tool calls in the history", answered(SUN), arguments),
    Probe("parallel calls", BOTH, arguments),
    Probe("ids of calls", answered(SUN), of(ToolCall, "id")),
    Probe("tool results", answered(SUN), tool_results),
    Probe("images in tool results", answered(SUN, IMAGE), media("image", "data")),
    Probe(
        "failed tool results",
        talked(CALL, results=(result(Text("No"), error=True),)),
        of(ToolResult, "is_error"),
    ),
    Probe(
        "free-text (custom) tools",
        lambda s: asked(tools=(FREE,)),
        lambda r: [(t.name, t.schema) for t in r.tools if isinstance(t, Tool)],
    ),
    Probe("tool choice: any", choice("required"), chosen),
    Probe("tool choice: one by name", choice("named", "weather"), chosen),
    Probe("tool choice: none", choice("none"), is_forbidden),
    Probe("no parallel calls", choice("auto", parallel=False), is_serial),
    Probe("thinking in the history", talked(Thinking("Hm."), Text("Fine.")), of(Thinking, "text")),
    Probe("signatures of thinking", signed, of(Thinking, "signature")),
    Probe("cache breakpoints", shown(Text("Long", cache=Cache())), cached),
    Probe("JSON by schema", shaped("schema"), shape),
    Probe("any JSON", shaped("json"), shape),
    Probe("`max_tokens`", sampled(max_tokens=500), value("max_tokens")),
    Probe("`temperature`", sampled(temperature=0.5), value("temperature")),
    Probe("`top_p`", sampled(top_p=0.5), value("top_p")),
    Probe("`top_k`", sampled(top_k=5), value("top_k")),
    Probe("stop sequences", sampled(stop=("END",)), value("stop")),
    Probe("`seed`", sampled(seed=7), value("seed")),
    Probe("penalties", sampled(presence_penalty=0.5, frequency_penalty=0.5), penalties),
    Probe("`n` of 2", sampled(n=2), value("n")),
    Probe("logprobs asked for", sampled(logprobs=True, top_logprobs=2), logprobs),
    Probe("reasoning effort", reasons(effort="high", enabled=True), thinks("effort")),
    Probe("reasoning budget", reasons(budget=4000, enabled=True), thinks("budget")),
    Probe("reasoning switched off", reasons(enabled=False), is_off),
    Probe("verbosity", lambda s: asked(verbosity="low"), lambda r: r.verbosity),
    Probe("end user's id", lambda s: asked(user="u-1"), lambda r: r.user),
    Probe("metadata", lambda s: asked(metadata={"team": "a"}), lambda r: dict(r.metadata or {})),
    Probe("prompt cache key", lambda s: asked(cache_key="k"), lambda r: r.cache_key),
    Probe("service tier", lambda s: asked(service_tier="flex"), lambda r: r.service_tier),
)
