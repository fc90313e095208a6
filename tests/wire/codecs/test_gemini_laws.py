"""The laws of a codec over every recorded call of Gemini, at AI Studio and at Vertex."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs import gemini
from llm_intercept.wire.codecs.gemini.shapes import camel
from llm_intercept.wire.fold import fold, unfold
from llm_intercept.wire.framing.choose import choose
from llm_intercept.wire.ir import Answer, Failure, Thinking
from tests.wire import cuts
from tests.wire.codecs import gemini_sdk as sdk
from tests.wire.recordings import Recording, recordings, sdk_usage

OURS = [r for r in recordings() if r.surface in ("generateContent", "streamGenerateContent")]
REQUESTS = [r for r in OURS if b'"contents"' in r.request]
WHOLE = [r for r in OURS if r.surface == "generateContent" and r.status == 200]
STREAMS = [r for r in OURS if r.surface == "streamGenerateContent" and r.status == 200]
ERRORS = [r for r in OURS if r.status != 200]
CAPTURE = Path(__file__).resolve().parents[4] / "shared" / "captures" / "gemini-cli.json"


def of(found: list[Recording]) -> Any:
    return pytest.mark.parametrize("recording", found, ids=lambda r: r.name)


def bodies() -> Iterator[Any]:
    for recording in REQUESTS:
        yield pytest.param(json.loads(recording.request), id=recording.name)
    if CAPTURE.exists():
        for index, call in enumerate(json.loads(CAPTURE.read_text())):
            yield pytest.param(call["body"], id=f"capture-{index}")


def frames(recording: Recording, pieces: list[bytes]) -> list[tuple[str, bytes]]:
    framing = choose(recording.content_type, recording.body)
    assert framing is not None
    found = [frame for piece in pieces for frame in framing.feed(piece)]
    return [*found, *framing.close()]


def answer(recording: Recording) -> Answer:
    folded = fold(sdk.decoded(gemini, frames(recording, [recording.body])))
    assert isinstance(folded, Answer)
    return folded


@pytest.mark.parametrize("body", list(bodies()))
def test_requests_come_back_as_they_were(body: Any):
    request = gemini.decode_request(body, "gemini-x", True)
    context = Context()
    encoded = gemini.encode_request(request, context)
    assert encoded.model_in_path
    assert gemini.decode_request(encoded.body, "gemini-x", True) == request
    assert not context.warnings
    assert orjson.loads(orjson.dumps(encoded.body)) == normal(body)
    if b'"type":6' not in orjson.dumps(encoded.body):  # enumerations as numbers are not for this SDK
        sdk.valid_request({**encoded.body, "tools": without_search_stores(encoded.body.get("tools", []))})


def without_search_stores(tools: list[Any]) -> list[Any]:
    """One recording has the members of `fileSearch` in snake_case, which the types read as well."""
    return [tool for tool in tools if "fileSearch" not in tool]


UNTOUCHED = {
    "args",
    "parametersJsonSchema",
    "responseJsonSchema",
    "parameters",
    "responseSchema",
    "fileSearch",
}


def normal(value: Any) -> Any:
    """The documented changes: spelling, joined neighbours, no empty members, no model, no system role."""
    body = cased(value)
    contents: list[Any] = []
    for content in body["contents"]:
        if contents and contents[-1]["role"] == content["role"]:
            contents[-1]["parts"] += content["parts"]
        else:
            contents.append(content)
    body["contents"] = contents
    body.pop("model", None)
    system = body.pop("systemInstruction", None)
    if system:
        parts = system["parts"] if isinstance(system["parts"], list) else [system["parts"]]
        body.update({"systemInstruction": {"parts": parts}} if parts[0]["text"] else {})
    if isinstance(body.get("tools"), dict):
        body["tools"] = [body["tools"]]
    for tool in body.get("tools", ()):
        for function in tool.get("functionDeclarations", ()):
            if not function.get("description"):
                function.pop("description", None)
    declared = [t for t in body.get("tools", ()) if "functionDeclarations" in t]
    for other in declared[1:]:
        declared[0]["functionDeclarations"] += other["functionDeclarations"]
        body["tools"].remove(other)
    config = body.get("generationConfig", {})
    if config.get("stopSequences") == []:
        del config["stopSequences"]
    return {name: member for name, member in body.items() if member not in ({}, [])}


def cased(value: Any, name: str = "") -> Any:
    if name in UNTOUCHED:
        return value
    if isinstance(value, dict):
        if name in ("response", "modelArmorConfig", "thinkingConfig"):
            return value
        return {camel(key): cased(member, camel(key)) for key, member in value.items()}
    return [cased(item) for item in value] if isinstance(value, list) else value


@of(WHOLE)
def test_answers_come_back_as_they_were(recording: Recording):
    body = json.loads(recording.body)
    decoded = gemini.decode_answer(body)
    encoded = gemini.encode_answer(decoded, Context())
    assert gemini.decode_answer(encoded) == decoded
    candidate = body["candidates"][0]
    candidate["index"] = 0
    candidate.setdefault("content", {}).setdefault("parts", [])
    candidate["content"].setdefault("role", "model")
    if candidate.get("finishReason") == 1:
        candidate["finishReason"] = "STOP"
    if "createTime" in body:
        body["createTime"] = body["createTime"][:19] + "Z"
    assert encoded == body


@of(WHOLE)
def test_the_sdk_sees_the_same_answer(recording: Recording):
    body = json.loads(recording.body)
    if "finishReason" in body["candidates"][0] and isinstance(body["candidates"][0]["finishReason"], int):
        pytest.skip("enumerations as numbers are not for this SDK")
    ours = gemini.encode_answer(gemini.decode_answer(body), Context())
    assert sdk.seen([sdk.whole(ours)]) == sdk.seen([sdk.whole(body)])


@of(WHOLE)
def test_a_whole_answer_streamed_is_the_same_answer(recording: Recording):
    decoded = gemini.decode_answer(json.loads(recording.body))
    written = sdk.encoded(gemini.encoder(Context()), unfold(decoded))
    assert unmarked(fold(sdk.decoded(gemini, written))) == unmarked(decoded)


@of(STREAMS)
def test_cuts_do_not_matter(recording: Recording):
    expected = sdk.decoded(gemini, frames(recording, [recording.body]))
    pieces = [cuts.by_event(recording.body), *(cuts.at_random(recording.body, seed) for seed in range(3))]
    if len(recording.body) < 20_000:
        pieces.append(cuts.by_byte(recording.body))
    for cut in pieces:
        assert sdk.decoded(gemini, frames(recording, cut)) == expected


@of(STREAMS)
def test_streams_come_back_as_they_were(recording: Recording):
    decoded = answer(recording)
    written = sdk.encoded(gemini.encoder(Context()), unfold(decoded))
    assert unmarked(fold(sdk.decoded(gemini, written))) == unmarked(decoded)
    live = sdk.encoded(gemini.encoder(Context()), sdk.decoded(gemini, frames(recording, [recording.body])))
    assert unmarked(fold(sdk.decoded(gemini, live))) == unmarked(decoded)


def unmarked(folded: Answer | Failure) -> Answer | Failure:
    """A signature on a text is a chunk of its own in a stream; an answer without an id gets one."""
    if isinstance(folded, Failure):
        return folded
    named = {"id": "", "parts": ()} if not folded.id.strip("0") else {}
    parts = tuple(replace(p, extras={}) if isinstance(p, Thinking) else p for p in folded.parts)
    return replace(folded, **{"parts": parts, **named})


@of(STREAMS)
def test_the_sdk_sees_the_same_stream(recording: Recording):
    original = [("", orjson.dumps(orjson.loads(data))) for _, data in frames(recording, [recording.body])]
    if b'"finishReason": 1' in recording.body:
        pytest.skip("enumerations as numbers are not for this SDK")
    decoded = answer(recording)
    ours = sdk.encoded(gemini.encoder(Context()), unfold(decoded))
    theirs = sdk.seen(sdk.streamed(original))
    seen = sdk.seen(sdk.streamed(ours))
    assert {k: seen[k] for k in ("text", "thoughts", "calls", "finish")} == {
        k: theirs[k] for k in ("text", "thoughts", "calls", "finish")
    }
    body = gemini.encode_answer(decoded, Context())
    assert sdk.seen([sdk.whole(body)]) == seen


@of([r for r in OURS if r.status == 200])
def test_usage_is_what_the_sdk_says(recording: Recording):
    expected = sdk_usage().get(recording.name) or [None, None]
    decoded = (
        gemini.decode_answer(json.loads(recording.body))
        if recording.surface == "generateContent"
        else answer(recording)
    )
    usage = decoded.usage
    counters = mapping_of(decoded)
    if expected[1] is not None:  # it sees the last chunk alone, which may not say
        assert (usage.output or 0) - (usage.reasoning or 0) == expected[1]
    if expected[0] is not None:
        assert (usage.input or 0) - counters.get("toolUsePromptTokenCount", 0) == expected[0]


def mapping_of(decoded: Answer) -> dict[str, Any]:
    return dict(decoded.extras.get("gemini", {}).get("usageMetadata", {}))


@of(ERRORS)
def test_errors_have_a_kind_and_come_back(recording: Recording):
    failure = gemini.decode_error(recording.status, recording.headers, recording.body)
    assert failure.kind in ("rate_limit", "not_found", "authentication", "invalid_request", "overflow")
    assert failure.message
    status, headers, body = gemini.encode_error(failure, "req-1")
    again = gemini.decode_error(status, headers, body)
    assert (again.kind, again.message) == (failure.kind, failure.message)


def test_every_recorded_overflow_is_one():
    found = [gemini.decode_error(r.status, r.headers, r.body).kind for r in ERRORS]
    assert not found or found.count("overflow") == 1
