"""The features of answers that `docs/translation.md` has a row for, as probes."""

from collections.abc import Sequence
from typing import Any

from llm_intercept.cli.translation_probes import MODEL, Made, Probe, Seen
from llm_intercept.cli.translation_requests import CALL, SECOND, arguments, of
from llm_intercept.wire.ir import Answer, Finish, Part, RefusalText, Text, Thinking, ToolCall
from llm_intercept.wire.usage import Usage


def answered(*parts: Part, finish: Finish = "stop", **more: Any) -> Made:
    return lambda source: Answer("id_1", MODEL, parts, finish, Usage(3, 5), 7, **more)


CITED: dict[str, dict[str, Any]] = {
    "anthropic": {
        "type": "char_location", "cited_text": "a", "document_index": 0, "document_title": "t",
        "start_char_index": 0, "end_char_index": 1,
    },
    "openai_chat": {
        "type": "url_citation",
        "url_citation": {"url": "https://example.com", "title": "t", "start_index": 0, "end_index": 1},
    },
    "openai_responses": {
        "type": "url_citation", "url": "https://example.com", "title": "t", "start_index": 0, "end_index": 1,
    },
}  # fmt: skip
SCORES = ({"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []},)


def cites(source: str) -> Answer:
    known = CITED.get(source)
    text = Text("a", (known,), extras={source: {}}) if known else Text("a")
    return Answer("id_1", MODEL, (text,), "stop", Usage(3, 5), 7)


def counted(name: str) -> Made:
    usage = Usage(30, 20)
    setattr(usage, name, 8)
    return lambda source: Answer("id_1", MODEL, (Text("a"),), "stop", usage, 7)


def counter(name: str) -> Seen:
    return lambda answer: getattr(answer.usage, name)


def ends(finish: Finish, *parts: Part, stop: str = "") -> Probe:
    said = parts or (Text("a"),)
    made = answered(*said, finish=finish, stop_sequence=stop)
    return Probe(f"end: {finish.replace('_', ' ')}", made, lambda answer: answer.finish)


def signed(source: str) -> Answer:
    return Answer("id_1", MODEL, (Thinking("Hm.", "c2ln", source), Text("a")), "stop", Usage(3, 5), 7)


def texts(found: Answer) -> str:
    return "".join(part.text for part in found.parts if isinstance(part, Text))


def refused(found: Answer) -> object:
    """The words; of a refusal, or of a text where there are no refusals."""
    words = [part.text for part in found.parts if isinstance(part, RefusalText)]
    return ("refusal", *words) if words else ("text", texts(found))


def citations(found: Answer) -> object:
    return [citation for part in found.parts if isinstance(part, Text) for citation in part.citations]


def totals(found: Answer) -> object:
    return (found.usage.input, found.usage.output) if found.usage.known else None


ANSWERS: Sequence[Probe] = (
    Probe("text", answered(Text("a"), Text("b")), texts),
    Probe("tool calls", answered(CALL, finish="tool_calls"), arguments),
    Probe("parallel calls", answered(CALL, SECOND, finish="tool_calls"), arguments),
    Probe("ids of calls", answered(CALL, finish="tool_calls"), of(ToolCall, "id")),
    Probe("thinking", answered(Thinking("Hm."), Text("a")), of(Thinking, "text")),
    Probe("signatures of thinking", signed, of(Thinking, "signature", "origin")),
    Probe("refusals", answered(RefusalText("No."), finish="refusal"), refused),
    Probe("citations", cites, citations),
    Probe("logprobs", answered(Text("a"), logprobs=SCORES), lambda a: [e.get("token") for e in a.logprobs]),
    ends("stop"),
    ends("length"),
    ends("tool_calls", CALL),
    ends("stop_sequence", stop="END"),
    ends("content_filter"),
    Probe(
        "which stop sequence",
        answered(Text("a"), finish="stop_sequence", stop_sequence="END"),
        lambda a: a.stop_sequence,
    ),
    Probe("usage: input and output", answered(Text("a")), totals),
    Probe("usage: read from cache", counted("cache_read"), counter("cache_read")),
    Probe("usage: written to cache", counted("cache_write"), counter("cache_write")),
    Probe("usage: reasoning", counted("reasoning"), counter("reasoning")),
)
