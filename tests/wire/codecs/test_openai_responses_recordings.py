"""Laws over every recording of this dialect: nothing is lost on the way through the neutral model."""

import json
from dataclasses import replace
from typing import Any

import pytest

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs import openai_responses as codec
from llm_intercept.wire.fold import fold, unfold
from llm_intercept.wire.framing.sse import SSE
from llm_intercept.wire.ir import (
    Answer,
    Event,
    Failure,
    Finished,
    Part,
    RefusalText,
    Text,
    Thinking,
    ToolCall,
)
from tests.wire.codecs import responses_sdk as sdk
from tests.wire.cuts import at_random, by_byte, by_event, whole
from tests.wire.recordings import Recording, recordings

ALL = [r for r in recordings() if r.dialect == codec.NAME]
STREAMS = [r for r in ALL if r.stream and r.status == 200]
ANSWERS = [r for r in ALL if not r.stream and r.status == 200]
ERRORS = [r for r in ALL if r.status != 200]

# What goes without saying and is not written again.
SILENT: tuple[Any, ...] = (None, [], "", False)


def named(found: list[Recording]) -> Any:
    return pytest.mark.parametrize("recording", found, ids=lambda recording: recording.name)


def request_of(recording: Recording) -> dict[str, Any]:
    body = json.loads(recording.request)
    return body if isinstance(body, dict) else {}


def plain(value: Any) -> Any:
    """The normalisations: absent is null; a string is one text; that an item is completed is its default."""
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    found = {name: plain(entry) for name, entry in value.items() if entry not in SILENT}
    found.pop("status", None) if found.get("status") == "completed" else None
    found.pop("type", None) if found.get("type") == "message" else None
    text = found.get("content")
    if isinstance(text, list) and len(text) == 1 and set(text[0]) == {"type", "text"}:
        found["content"] = text[0]["text"]
    return found


def plain_request(body: dict[str, Any]) -> Any:
    body = dict(body)
    if isinstance(body.get("input"), str):
        body["input"] = [{"role": "user", "content": body["input"]}]
    reasoning = dict(body.get("reasoning") or {})
    if reasoning.get("generate_summary"):  # the old name
        body["reasoning"] = {**reasoning, "summary": reasoning["generate_summary"], "generate_summary": None}
    return plain(body)


def decoded(pieces: list[bytes]) -> list[Event]:
    framing, decoder = SSE(), codec.decoder()
    frames = [frame for piece in pieces for frame in framing.feed(piece)] + framing.close()
    found = [event for name, payload in frames for event in decoder.feed(name, payload)]
    return [*found, *decoder.close()]


def final_response(recording: Recording) -> dict[str, Any]:
    frames = SSE().feed(recording.body)
    payloads = [json.loads(payload) for _, payload in frames if payload.startswith(b"{")]
    return next(p["response"] for p in reversed(payloads) if "response" in p)


def substance(part: Part) -> Any:
    """Without ids and the encrypted content, which OpenAI encrypts anew for its last event."""
    match part:
        case Text():
            return "text", part.text, part.citations
        case Thinking():
            return "thinking", part.text, part.summary, bool(part.signature), part.origin, part.id
        case RefusalText():
            return "refusal", part.text
    return part


@named(ALL)
def test_request_survives(recording: Recording):
    body = request_of(recording)
    request = codec.decode_request(body, "", False)
    context = Context()
    written = json.loads(json.dumps(codec.encode_request(request, context).body))
    assert codec.decode_request(written, "", False) == request
    assert plain_request(written) == plain_request(body)
    assert context.warnings == []


@named(ANSWERS)
def test_answer_survives(recording: Recording):
    body = json.loads(recording.body)
    answer = codec.decode_answer(body)
    written = json.loads(json.dumps(codec.encode_answer(answer, Context(now=1.0))))
    assert codec.decode_answer(written) == answer
    assert plain(written) == plain(body)


@named(STREAMS)
def test_stream_says_what_its_last_event_says(recording: Recording):
    answer = fold(decoded(whole(recording.body)))
    assert isinstance(answer, Answer)
    told = codec.decode_answer(final_response(recording))
    assert [substance(part) for part in answer.parts] == [substance(part) for part in told.parts]
    assert (answer.id, answer.model, answer.created) == (told.id, told.model, told.created)
    assert (answer.finish, answer.usage) == (told.finish, told.usage)


@named(STREAMS)
def test_cuts_change_nothing(recording: Recording):
    events = decoded(whole(recording.body))
    pieces = [by_event(recording.body), at_random(recording.body, 7)]
    if len(recording.body) < 40_000:
        pieces.append(by_byte(recording.body))
    assert all(decoded(cut) == events for cut in pieces)


def answer_of(recording: Recording) -> tuple[Answer, list[Event]]:
    if not recording.stream:
        answer = codec.decode_answer(json.loads(recording.body))
        return answer, list(unfold(answer))
    events = decoded(whole(recording.body))
    folded = fold(events)
    assert isinstance(folded, Answer)
    return folded, events


@named(STREAMS + ANSWERS)
def test_sdk_accumulates_what_we_write(recording: Recording):
    answer, events = answer_of(recording)
    request = codec.decode_request(request_of(recording), "", False)
    context = Context(request=request, now=1_700_000_000.0)
    for sequence in (events, list(unfold(answer))):
        frames = sdk.frames(sequence, context)
        sdk.check(frames)
        agrees(sdk.accumulated(frames), answer)
    assert context.warnings == []


def agrees(response: Any, answer: Answer) -> None:
    texts = "".join(part.text for part in answer.parts if isinstance(part, Text))
    calls = [(p.id, p.name, p.arguments) for p in answer.parts if isinstance(p, ToolCall)]
    made = [item for item in response.output if item.type == "function_call"]
    assert response.output_text == texts
    assert [(item.call_id, item.name, item.arguments) for item in made] == calls
    assert codec.decode_answer(response.to_dict()).finish == answer.finish
    counted = response.usage
    assert (counted.input_tokens, counted.output_tokens) == (answer.usage.input, answer.usage.output)
    assert counted.input_tokens_details.cached_tokens == (answer.usage.cache_read or 0)
    assert counted.output_tokens_details.reasoning_tokens == (answer.usage.reasoning or 0)


@named(STREAMS)
def test_written_stream_is_read_as_the_same(recording: Recording):
    """Reasoning in several sections becomes one, ids of a wrong form are replaced: nothing else changes."""
    answer = fold(decoded(whole(recording.body)))
    assert isinstance(answer, Answer)
    again = fold(decoded([sdk.wire(sdk.frames(unfold(answer)))]))
    assert isinstance(again, Answer)
    usage = replace(again.usage, cache_write=answer.usage.cache_write, cost_nanos=answer.usage.cost_nanos)
    usage = replace(usage, service_tier=answer.usage.service_tier, web_searches=answer.usage.web_searches)
    assert replace(again, usage=usage) == answer


@named(STREAMS)
def test_cut_off_streams_fail(recording: Recording):
    events = decoded([recording.body[: len(recording.body) // 2]])
    assert isinstance(fold(events), Failure)
    assert not any(isinstance(event, Finished) for event in events)


@named(ERRORS)
def test_errors_keep_their_meaning(recording: Recording):
    failure = codec.decode_error(recording.status, recording.headers, recording.body)
    status, headers, body = codec.encode_error(failure, "req_1")
    assert status == recording.status
    assert headers["content-type"] == "application/json"
    error = json.loads(body)["error"]
    assert error["message"] == failure.message
    again = codec.decode_error(status, headers, body)
    assert (again.kind, again.message) == (failure.kind, failure.message)
