"""Laws of the Converse codec over every recording; Amazon's service model and parsers are the oracle."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from botocore.exceptions import EventStreamError

from llm_intercept.wire.codec import Context, Target
from llm_intercept.wire.codecs import bedrock_converse as codec
from llm_intercept.wire.fold import fold, unfold
from llm_intercept.wire.framing.eventstream import EventStream, encode
from llm_intercept.wire.ir import (
    Answer,
    Event,
    Failure,
    PartDelta,
    PartEnded,
    PartStarted,
    Text,
    Thinking,
    ToolCall,
)
from tests.wire import cuts
from tests.wire.codecs import amazon
from tests.wire.recordings import Recording, recordings

CALLS = [r for r in recordings() if r.surface in ("converse", "converse-stream")]
REQUESTS = [r for r in CALLS if r.name.count("error") == 0]
ANSWERS = [r for r in CALLS if not r.stream and r.status == 200]
STREAMS = [r for r in CALLS if r.stream and r.status == 200]
ERRORS = [r for r in CALLS if r.status >= 400]


def of(found: list[Recording]) -> Any:
    return pytest.mark.parametrize("recording", found, ids=lambda r: r.name)


def model_of(recording: Recording) -> str:
    return unquote(recording.path.split("/")[2])


def decoded(data: Iterable[bytes]) -> list[Event]:
    framing, decoder = EventStream(), codec.decoder()
    frames = [frame for piece in data for frame in framing.feed(piece)]
    return [event for name, payload in frames for event in decoder.feed(name, payload)] + list(
        decoder.close()
    )


def encoded(events: Iterable[Event], context: Context | None = None) -> bytes:
    encoder = codec.encoder(context or Context())
    frames = [frame for event in events for frame in encoder.feed(event)] + list(encoder.close())
    return b"".join(encode(name, data) for name, data in frames)


@of(REQUESTS)
def test_a_request_survives(recording: Recording) -> None:
    body = json.loads(recording.request)
    model = model_of(recording)
    request = codec.decode_request(body, model, recording.stream)
    context = Context(target=Target(model=model))
    again = codec.encode_request(request, context)
    assert again.model_in_path
    assert codec.decode_request(again.body, model, recording.stream) == request
    assert context.warnings == []
    assert normal(again.body) == normal(body)


def normal(body: Mapping[str, Any]) -> Any:
    """The normalisations: what is empty or says the default is not written; one spelling of reasoning."""
    whole = json.loads(json.dumps(body))
    fields = whole.get("additionalModelRequestFields") or {}
    if "reasoning_config" in fields:
        fields["thinking"] = fields.pop("reasoning_config")
    for block in blocks(whole):
        if "toolResult" in block and block["toolResult"].get("status") == "success":
            del block["toolResult"]["status"]
    if "outputConfig" in whole:
        schema = whole["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        schema["schema"] = json.loads(schema["schema"])
    for name in ("inferenceConfig",):
        whole[name] = {key: value for key, value in whole.get(name, {}).items() if value != []}
    return {name: value for name, value in whole.items() if value not in ({}, [])}


def blocks(body: Any) -> list[dict[str, Any]]:
    return [block for message in body.get("messages", []) for block in message["content"]]


@of(REQUESTS)
def test_a_request_is_valid_for_amazon(recording: Recording) -> None:
    model = model_of(recording)
    request = codec.decode_request(json.loads(recording.request), model, recording.stream)
    body = codec.encode_request(request, Context(target=Target(model=model))).body
    assert amazon.faults(body, recording.stream) == []


@of(ANSWERS)
def test_an_answer_survives(recording: Recording) -> None:
    body = json.loads(recording.body)
    answer = codec.decode_answer(body)
    again = dict(codec.encode_answer(answer, Context()))
    assert codec.decode_answer(again) == answer
    counted = {name: value for name, value in body["usage"].items() if not name.endswith("TokenCount")}
    if counted.get("cacheDetails") and "1h" not in str(counted["cacheDetails"]):
        del counted["cacheDetails"]
    assert again == {**body, "usage": counted}
    theirs = amazon.answer(orjson.dumps(again))
    for name in ("output", "stopReason", "metrics"):
        assert theirs[name] == amazon.answer(recording.body)[name]


@of(ANSWERS)
def test_an_answer_becomes_a_stream(recording: Recording) -> None:
    answer = codec.decode_answer(json.loads(recording.body))
    check_stream(answer, amazon.events(encoded(unfold(answer))))


@of(STREAMS)
@pytest.mark.parametrize("cut", [cuts.by_byte, lambda body: cuts.at_random(body, 7)], ids=["bytes", "random"])
def test_cuts_change_nothing(recording: Recording, cut: Callable[[bytes], list[bytes]]) -> None:
    assert decoded(cut(recording.body)) == decoded([recording.body])


@of(STREAMS)
def test_a_stream_is_well_formed(recording: Recording) -> None:
    opened: set[int] = set()
    ended: set[int] = set()
    for event in decoded([recording.body]):
        match event:
            case PartStarted(index):
                assert index == len(opened)
                opened.add(index)
            case PartDelta(index):
                assert index in opened - ended
            case PartEnded(index):
                assert index in opened - ended
                ended.add(index)
    assert opened == ended


@of(STREAMS)
def test_a_stream_is_accepted_again(recording: Recording) -> None:
    events = decoded([recording.body])
    answer = fold(events)
    assert isinstance(answer, Answer)
    for again in (events, list(unfold(answer))):
        written = encoded(again)
        check_stream(answer, amazon.events(written))
        assert fold(decoded([written])) == answer


def check_stream(answer: Answer, events: list[dict[str, Any]]) -> None:
    """What boto3's user gathers is what the answer says."""
    grammar(events)
    texts, calls, thoughts = gathered(events)
    assert "".join(texts) == "".join(part.text for part in answer.parts if isinstance(part, Text))
    wanted = [(p.id, p.name, json.loads(p.arguments)) for p in answer.parts if isinstance(p, ToolCall)]
    assert calls == wanted
    assert "".join(thoughts) == "".join(part.text for part in answer.parts if isinstance(part, Thinking))
    last = {name: value for event in events for name, value in event.items()}
    assert codec.decode_answer({"stopReason": last["messageStop"]["stopReason"]}).finish in (
        answer.finish,
        "tool_calls",
    )
    assert codec.decode_answer({"usage": last.get("metadata", {}).get("usage")}).usage == answer.usage


def gathered(events: list[dict[str, Any]]) -> tuple[list[str], list[tuple[str, str, Any]], list[str]]:
    texts, thoughts = [], []
    calls: dict[int, list[Any]] = {}
    for event in events:
        start = event.get("contentBlockStart", {})
        use = start.get("start", {}).get("toolUse", {})
        if use and use.get("type") != "server_tool_use":
            calls[start["contentBlockIndex"]] = [use["toolUseId"], use["name"], ""]
        delta = event.get("contentBlockDelta", {})
        texts.append(delta.get("delta", {}).get("text", ""))
        thoughts.append(delta.get("delta", {}).get("reasoningContent", {}).get("text", ""))
        if "toolUse" in delta.get("delta", {}) and delta["contentBlockIndex"] in calls:
            calls[delta["contentBlockIndex"]][2] += delta["delta"]["toolUse"]["input"]
    return texts, [(i, n, json.loads(a)) for i, n, a in calls.values()], thoughts


def grammar(events: list[dict[str, Any]]) -> None:
    """messageStart, blocks one after the other with indexes from 0, messageStop, perhaps metadata."""
    kinds = [next(iter(event)) for event in events]
    assert kinds[0] == "messageStart"
    assert kinds[-1] in ("metadata", "messageStop")
    assert kinds.count("messageStart") == kinds.count("messageStop") == 1
    index, inside = -1, False
    for event in events:
        ((kind, value),) = event.items()
        if not kind.startswith("contentBlock"):
            assert not inside
            continue
        if not inside:
            assert kind in ("contentBlockStart", "contentBlockDelta")
            index, inside = index + 1, True
        else:
            assert kind != "contentBlockStart"
        assert value["contentBlockIndex"] == index
        inside = kind != "contentBlockStop"


@of(ERRORS)
def test_an_error_survives(recording: Recording) -> None:
    failure = codec.decode_error(recording.status, recording.headers, recording.body)
    assert failure.status == recording.status
    assert failure.message == json.loads(recording.body)["message"]
    status, headers, body = codec.encode_error(failure, "req-1")
    again = codec.decode_error(status, headers, body)
    assert (again.kind, status) == (failure.kind, recording.status)
    assert failure.message in again.message


def test_every_stream_can_be_cut_off() -> None:
    for recording in STREAMS[:5]:
        for size in range(0, len(recording.body) - 1, max(1, len(recording.body) // 25)):
            events = decoded([recording.body[:size]])
            folded = fold(events)
            assert isinstance(folded, Answer | Failure)
            try:
                written = amazon.events(encoded(events))
            except EventStreamError:
                assert isinstance(folded, Failure)
            else:
                grammar(written)
