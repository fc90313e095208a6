"""What a scenario makes of an answer: its events until a fault, what the fault puts in, how it ends."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import orjson

from llm_intercept.sim.errors import anthropic_error, bedrock_exception, google_error, openai_error
from llm_intercept.sim.fate import Failure, Fate, Fault
from llm_intercept.sim.frames import Frame, aws_exception, crlf_sse, line, sse
from llm_intercept.sim.prompt import Json
from llm_intercept.sim.scenario import Rule
from llm_intercept.sim.wording import failure_of


@dataclass(frozen=True, slots=True)
class Played:
    """What is sent of a stream, and what comes then."""

    frames: Sequence[Frame]
    ending: Literal["end", "drop", "hang"] = "end"


def scripted(fate: Fate, rule: Rule, dialect: str) -> Fate:
    """A call's fate under a rule, which overrules what its model's name or the dice wanted."""
    fate = replace(fate, failure=None, cut=False, hang=False, event_delay=rule.event_delay, say=rule.text)
    match rule.then:
        case "drop" | "hang" | "garble":
            return replace(fate, fault=Fault(rule.then, rule.after_events, rule.after_bytes))
        case "stream_error":
            failure = failure_of(rule, dialect)
            return replace(fate, fault=Fault("stream_error", rule.after_events, failure=failure))
    return fate


def play(frames: Sequence[Frame], fate: Fate, dialect: str, kind: str) -> Played:
    """The frames of a stream as its fate has them; `kind` is the stream's content type."""
    if fate.cut:
        return Played(frames[: max(1, len(frames) // 2)], "drop")
    fault = fate.fault
    if fault is None:
        return Played(frames)
    before = frames[: fault.events or 0] if fault.bytes is None else _first_bytes(frames, fault.bytes)
    match fault.kind:
        case "drop" | "hang":
            return Played(before, fault.kind)
        case "garble":
            at = len(before)
            return Played([*before, *(_garbled(f) for f in frames[at : at + 1]), *frames[at + 1 :]])
    failure = fault.failure or Failure(500, "server", "Simulated error.")
    return Played([*before, error_frame(failure, dialect, kind, len(before))])


def cut_whole(body: bytes, fault: Fault) -> bytes:
    """What is sent of an answer in one piece; counted in events it breaks in its middle."""
    if fault.bytes is not None:
        return body[: fault.bytes]
    return b"" if fault.events is None else body[: len(body) // 2]


def garbled(body: bytes) -> bytes:
    """No longer JSON, whatever it was."""
    return body[: len(body) // 2] + b"\xef\xbf\xbd{"


def _first_bytes(frames: Sequence[Frame], size: int) -> list[Frame]:
    taken: list[Frame] = []
    for frame in frames:
        if size <= 0:
            break
        taken.append(Frame(frame.data[:size], frame.tokens))
        size -= len(frame.data)
    return taken


def _garbled(frame: Frame) -> Frame:
    """The same framing around broken JSON; a binary message gets a wrong checksum."""
    data = frame.data
    if data.startswith(b"\x00"):
        return Frame(data[:-1] + bytes([data[-1] ^ 0xFF]), frame.tokens)
    text = data.rstrip(b"\r\n")
    return Frame(garbled(text) + data[len(text) :], frame.tokens)


def error_frame(failure: Failure, dialect: str, kind: str, number: int) -> Frame:
    """The dialect's own error event, as event `number` (from 0) of a stream of this content type."""
    match dialect:
        case "anthropic":
            return sse(_without_id(anthropic_error(failure, "").body), "error")
        case "openai_responses":
            error = openai_error(failure, "").body["error"]
            said = {"code": error["code"] or error["type"], "message": error["message"], "param": None}
            return sse({"type": "error", **said, "sequence_number": number}, "error")
        case "gemini":
            return _google_frame(google_error(failure, "").body, kind, number)
        case "bedrock_converse" | "bedrock_invoke":
            name = bedrock_exception(failure.kind)
            return aws_exception(name[0].lower() + name[1:], failure.message)
        case "ollama":
            return line({"error": failure.message})
        case "cohere":
            delta = {"finish_reason": "ERROR", "error": failure.message}
            return sse({"type": "message-end", "delta": delta}, "message-end")
    return sse(openai_error(failure, "").body)


def _without_id(body: Json) -> Json:
    return {name: value for name, value in body.items() if name != "request_id"}


def _google_frame(body: Json, kind: str, number: int) -> Frame:
    if "event-stream" in kind:
        return crlf_sse(body)
    before = b",\n" if number else b"["
    return Frame(before + orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n]\n")
