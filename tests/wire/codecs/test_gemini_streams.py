"""Gemini's streams: chunks read in any shape, and whatever events come, chunks that the SDK accepts."""

import itertools
import random
from typing import Any

import orjson
import pytest
from google.genai import errors as google_errors
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.codecs import gemini
from llm_intercept.wire.fields import parse_object
from llm_intercept.wire.fold import fold, unfold
from llm_intercept.wire.ir import (
    Answer,
    Event,
    Failed,
    Failure,
    Finished,
    Media,
    Opaque,
    Part,
    PartDelta,
    PartEnded,
    PartStarted,
    RefusalText,
    Started,
    Text,
    Thinking,
    ToolCall,
)
from llm_intercept.wire.usage import Usage
from tests.wire.codecs import gemini_sdk as sdk

END = {"candidates": [{"finishReason": "STOP", "index": 0}]}


def chunk(*parts: Any, **members: Any) -> dict[str, Any]:
    content = {"parts": list(parts), "role": "model"}
    return {
        "candidates": [{"content": content, "index": 0}],
        "responseId": "r",
        "modelVersion": "m",
        **members,
    }


def events(*chunks: Any) -> list[Event]:
    return sdk.decoded(gemini, [("", c if isinstance(c, bytes) else orjson.dumps(c)) for c in chunks])


def answer(*chunks: Any) -> Answer:
    folded = fold(events(*chunks))
    assert isinstance(folded, Answer)
    return folded


def chunks(*events_given: Event, context: Context | None = None) -> list[dict[str, Any]]:
    frames = sdk.encoded(gemini.encoder(context or Context()), events_given)
    assert all(event == "" for event, _ in frames)
    return [orjson.loads(data) for _, data in frames]


def parts(written: list[dict[str, Any]]) -> list[Any]:
    return [
        p
        for c in written
        for k in c.get("candidates", ())
        for p in k["content"]["parts"]
        if p != {"text": ""}
    ]


def test_texts_and_thoughts_go_on_from_chunk_to_chunk():
    found = events(
        chunk({"text": "h", "thought": True}),
        chunk({"text": "m", "thought": True}, {"text": "a"}),
        chunk({"text": "b"}, usageMetadata={"promptTokenCount": 3}),
        chunk({"text": ""}),
        END,
    )
    assert found == [
        Started("r", "m"),
        PartStarted(0, Thinking("", "", "gemini", summary=True)),
        PartDelta(0, "h"),
        PartDelta(0, "m"),
        PartEnded(0),
        PartStarted(1, Text("")),
        PartDelta(1, "a"),
        PartDelta(1, "b"),
        PartEnded(1),
        Finished("stop", Usage(input=3), extras={"gemini": {"usageMetadata": {"promptTokenCount": 3}}}),
    ]


def test_calls_come_whole_and_get_ids():
    call = {"functionCall": {"name": "f", "args": {"b": 1, "a": 2}}, "thoughtSignature": "Zm9v"}
    found = answer(chunk({"text": "go"}, call, {"functionCall": {"name": "f"}}), END)
    assert found.finish == "tool_calls"
    first, second = found.parts[1:]
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert (first.name, first.arguments, first.signature, first.origin) == (
        "f",
        '{"b":1,"a":2}',
        "Zm9v",
        "gemini",
    )
    assert second.arguments == "{}"
    assert first.id != second.id
    assert (
        found.parts == answer(chunk({"text": "go"}, call), chunk({"functionCall": {"name": "f"}}), END).parts
    )
    whole = chunk({"text": "go"}, call, {"functionCall": {"name": "f"}})
    assert found.parts == gemini.decode_answer(whole).parts


def test_arguments_in_pieces():
    def piece(**call: Any) -> dict[str, Any]:
        return chunk({"functionCall": call})

    found = answer(
        piece(name="f", id="c1", willContinue=True),
        piece(
            partialArgs=[{"jsonPath": "$.city", "stringValue": "Par", "willContinue": True}],
            willContinue=True,
        ),
        piece(partialArgs=[{"jsonPath": "$.city", "stringValue": "is"}], willContinue=True),
        piece(partialArgs=[{"jsonPath": "$.days[1].n", "numberValue": 2}], willContinue=True),
        piece(
            partialArgs=[
                {"jsonPath": "$['od.d']", "boolValue": True},
                {"jsonPath": "$.x", "nullValue": "NULL_VALUE"},
            ]
        ),
        piece(name="g", willContinue=True),
        END,
    )
    assert [(p.id, p.name, p.arguments) for p in found.parts if isinstance(p, ToolCall)] == [
        ("c1", "f", '{"city":"Paris","days":[null,{"n":2}],"od.d":true,"x":null}'),
        (found.parts[1].id, "g", "{}"),  # type: ignore[union-attr]
    ]
    assert found.finish == "tool_calls"


def test_signatures_end_their_part():
    signed = {"text": "b", "thought": True, "thoughtSignature": "Zm9v"}
    found = answer(
        chunk({"text": "a", "thought": True}),
        chunk(signed),
        chunk({"text": "c", "thought": True}),
        chunk({"text": "x"}),
        chunk({"text": "", "thoughtSignature": "YmFy"}),
        END,
    )
    assert found.parts == (
        Thinking("ab", "Zm9v", "gemini", summary=True),
        Thinking("c", "", "gemini", summary=True),
        Text("x"),
        Thinking("", "YmFy", "gemini", redacted=True),
    )


def test_counters_are_cumulative_and_the_last_word_counts():
    found = answer(
        chunk({"text": "a"}, usageMetadata={"promptTokenCount": 9, "candidatesTokenCount": 1}),
        chunk({"text": "b"}, usageMetadata={"promptTokenCount": 9, "thoughtsTokenCount": 5}),
        {**END, "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 5}},
    )
    assert found.usage == Usage(input=9, output=9, reasoning=5)


def test_members_of_the_answer_come_back():
    grounding = {"webSearchQueries": ["x"]}
    last = {
        "candidates": [
            {"finishReason": "STOP", "groundingMetadata": grounding, "avgLogprobs": -0.5, "index": 0}
        ]
    }
    found = answer(chunk({"text": "a"}), last)
    assert found.extras["gemini"]["candidate"] == {"groundingMetadata": grounding, "avgLogprobs": -0.5}
    written = chunks(*unfold(found))
    assert written[-1]["candidates"][0]["groundingMetadata"] == grounding
    assert gemini.encode_answer(found, Context())["candidates"][0]["groundingMetadata"] == grounding


def test_what_ends_a_stream():
    assert (
        answer(chunk({"text": "a"}), {"promptFeedback": {"blockReason": "SAFETY"}}).finish == "content_filter"
    )
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    failed = Failure("unavailable", "overloaded", 503, "UNAVAILABLE")
    assert events(chunk({"text": "a"}), error, chunk({"text": "late"}), END)[-1] == Failed(failed)
    assert events([error])[-1] == Failed(failed)
    cut = events(chunk({"text": "a"}))[-1]
    assert isinstance(cut, Failed)
    assert cut.failure.kind == "upstream"
    assert isinstance(events()[-1], Failed)


def test_an_envelope_and_a_whole_array_are_read():
    assert answer({"response": chunk({"text": "a"})}, {"response": END}).parts == (Text("a"),)
    assert answer([chunk({"text": "a"}), END]).parts == (Text("a"),)


def test_a_second_candidate_is_left_alone():
    other = {"candidates": [{"content": {"parts": [{"text": "b"}]}, "index": 1}]}
    assert answer(chunk({"text": "a"}), other, END).parts == (Text("a"),)


JUNK = [
    b"",
    b"{",
    b"\xff\xfe",
    b"null",
    b"5",
    b'"x"',
    b"[1,null]",
    b'{"candidates":5}',
    b'{"candidates":[{"content":5,"finishReason":{}}]}',
    b'{"candidates":[{"content":{"parts":[{"text":5},{"functionCall":5},{"inlineData":[]}]}}]}',
    b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":5,"args":"x","id":7}}]}}]}',
    b'{"candidates":[{"logprobsResult":{"chosenCandidates":[{"token":5}]}}]}',
    b'{"usageMetadata":5,"createTime":7,"responseId":[]}',
    b'{"candidates":[{"content":{"parts":[{"functionCall":{"partialArgs":[{"jsonPath":"$[0][99999999].a.b"}]}}]}}]}',
    b'{"candidates":[{"content":{"parts":[{"thoughtSignature":5},{"thought":true},{"text":"a\\ud83d"}]}}]}',
    b'{"promptFeedback":[]}',
]


@pytest.mark.parametrize("data", JUNK)
def test_junk_does_no_harm(data: bytes):
    found = events(chunk({"text": "a"}), data, chunk({"text": "b"}), END)
    assert isinstance(found[-1], Finished)
    folded = fold(found)
    assert isinstance(folded, Answer)
    assert "a" in "".join(p.text for p in folded.parts if isinstance(p, Text))
    gemini.decode_answer(parse_object(data))


NAMES = (
    *(
        "candidates",
        "content",
        "parts",
        "text",
        "thought",
        "thoughtSignature",
        "functionCall",
        "functionResponse",
    ),
    *(
        "name",
        "args",
        "id",
        "response",
        "inlineData",
        "mimeType",
        "data",
        "fileData",
        "partialArgs",
        "jsonPath",
    ),
    *("finishReason", "usageMetadata", "promptTokenCount", "promptFeedback", "blockReason", "index", "error"),
    *("createTime", "logprobsResult", "chosenCandidates", "contents", "role", "systemInstruction", "tools"),
    *("functionDeclarations", "parameters", "toolConfig", "functionCallingConfig", "mode", "willContinue"),
    *(
        "generationConfig",
        "thinkingConfig",
        "thinkingBudget",
        "stopSequences",
        "responseSchema",
        "code",
        "type",
    ),
)
ANY = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-2, 700), st.floats(allow_nan=False), st.text(max_size=4)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=25,
)
BODY = st.dictionaries(st.sampled_from(NAMES), ANY, max_size=6)


@settings(max_examples=200, deadline=None)
@given(BODY, ANY)
def test_decoders_are_total(body: Any, part: Any):
    held = {**body, "candidates": [{"content": {"parts": [part]}}]}
    for value in (body, held):
        gemini.encode_answer(gemini.decode_answer(value), Context())
        gemini.decode_error(500, {}, orjson.dumps(value))
        found = events(value)
        assert isinstance(found[-1], Finished | Failed)
        chunks(*found)


@settings(max_examples=200, deadline=None)
@given(BODY, ANY)
def test_a_request_is_read_or_refused_by_name(body: Any, part: Any):
    for value in (body, {**body, "contents": [{"parts": [part], "role": "model"}]}):
        try:
            request = gemini.decode_request(value, "m", True)
        except Untranslatable:
            continue
        orjson.dumps(dict(gemini.encode_request(request, Context()).body))


EVENTS = [
    Started("chatcmpl-1", "m", 5, Usage(input=7)),
    PartStarted(0, Text("")),
    PartDelta(0, "Hel"),
    PartDelta(0, "lo"),
    PartEnded(0),
    PartStarted(1, ToolCall("c1", "f", "")),
    PartStarted(2, ToolCall("c2", "g", "")),
    PartDelta(1, '{"a"'),
    PartDelta(2, '{"b":2}'),
    PartEnded(2),
    PartDelta(1, ":1}"),
    PartEnded(1),
    Finished("tool_calls", Usage(output=9, reasoning=4)),
]


def test_parallel_calls_whose_arguments_alternate():
    written = chunks(*EVENTS)
    assert [p for p in parts(written)] == [
        {"text": "Hel"},
        {"text": "lo"},
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
        {"functionCall": {"id": "c2", "name": "g", "args": {"b": 2}}},
    ]
    assert written[0]["usageMetadata"] == {"promptTokenCount": 7, "totalTokenCount": 7}
    assert written[-1]["usageMetadata"] == {
        "promptTokenCount": 7,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 4,
        "totalTokenCount": 16,
    }
    assert {c["responseId"] for c in written} == {"chatcmpl-1"}
    seen = sdk.seen(sdk.streamed(sdk.encoded(gemini.encoder(Context()), EVENTS)))
    assert seen["text"] == "Hello"
    assert seen["calls"] == [("f", {"a": 1}), ("g", {"b": 2})]
    assert seen["finish"] == "STOP"


def test_the_sdk_s_chat_keeps_the_turn():
    google = sdk.client(sdk.sse(sdk.encoded(gemini.encoder(Context()), EVENTS)), "text/event-stream")
    chat = google.chats.create(model="m")
    assert "".join(c.text or "" for c in chat.send_message_stream("hi")) == "Hello"
    history = chat.get_history(curated=True)
    assert {content.role for content in history} == {"user", "model"}
    called = [p.function_call.name for c in history for p in c.parts or [] if p.function_call]
    assert called == ["f", "g"]


def test_a_late_start_does_not_change_the_id():
    ids = itertools.count()
    encoder = gemini.encoder(Context(now=1.0, mint=lambda size: str(next(ids))))
    late = [
        PartStarted(0, Text("")),
        PartDelta(0, "a"),
        Started("other", "m", usage=Usage(7)),
        PartDelta(0, "b"),
    ]
    frames = [frame for event in late for frame in encoder.feed(event)]
    frames += encoder.feed(Finished("stop", Usage(7, 2)))
    assert len({orjson.loads(data)["responseId"] for _, data in frames}) == 1


def test_text_streams_while_it_is_its_turn():
    encoder = gemini.encoder(Context())
    list(encoder.feed(PartStarted(0, Text(""))))
    assert list(encoder.feed(PartDelta(0, "a")))
    list(encoder.feed(PartStarted(1, Text(""))))
    assert not list(encoder.feed(PartDelta(1, "waits")))
    assert list(encoder.feed(PartDelta(0, "b")))
    (frame,) = encoder.feed(PartEnded(0))
    assert b'"waits"' in frame[1]
    assert list(encoder.feed(PartDelta(1, " no more")))


def test_thoughts_with_signatures_of_others():
    written = chunks(
        Started("a", "m"),
        PartStarted(0, Thinking("", "")),
        PartDelta(0, "hm"),
        PartDelta(0, "", "si", "anthropic"),
        PartDelta(0, "", "g", "anthropic"),
        PartEnded(0),
        PartStarted(1, Thinking("", "secret", "openai_responses", redacted=True)),
        PartEnded(1),
        PartStarted(2, Thinking("", "")),
        PartEnded(2),
        Finished("stop", Usage()),
    )
    thought, signature, secret = parts(written)
    assert thought == {"text": "hm", "thought": True}
    request = gemini.decode_request(
        {"contents": [{"role": "model", "parts": [signature, secret]}]}, "m", False
    )
    assert request.messages[0].parts == (
        Thinking("", "sig", "anthropic"),
        Thinking("", "secret", "openai_responses", redacted=True),
    )


def test_kinds_of_parts():
    context = Context()
    written = chunks(
        *unfold(
            Answer(
                "a",
                "m",
                (
                    RefusalText("no"),
                    Media("image", "image/png", data="AAAA"),
                    Opaque("gemini", {"executableCode": {"code": "1", "language": "PYTHON"}}),
                    Opaque("anthropic", {"type": "server_tool_use"}),
                    ToolCall("c", "f", "not json"),
                ),
                "stop",
            )
        ),
        context=context,
    )
    assert parts(written) == [
        {"text": "no"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"executableCode": {"code": "1", "language": "PYTHON"}},
        {"functionCall": {"id": "c", "name": "f", "args": {"input": "not json"}}},
    ]
    assert [w.partition(":")[0] for w in context.warnings] == ["server_tool_use", "tool_calls.f"]


def test_citations_of_others_are_reported():
    cited = Answer("a", "m", (Text("x", ({"type": "char_location"},), extras={"anthropic": {}}),), "stop")
    for write in (lambda c: chunks(*unfold(cited), context=c), lambda c: gemini.encode_answer(cited, c)):
        context = Context()
        write(context)
        assert [w.partition(":")[0] for w in context.warnings] == ["citations"]


def test_log_probabilities_go_with_their_text():
    entry = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    written = chunks(
        PartStarted(0, Text("")),
        PartDelta(0, "a", logprobs=(entry,)),
        PartEnded(0),
        Finished("stop", Usage()),
    )
    assert written[0]["candidates"][0]["logprobsResult"]["chosenCandidates"] == [
        {"token": "a", "logProbability": -0.1}
    ]
    assert answer(*written).logprobs == (entry,)


ODD: list[tuple[str, list[Event]]] = [
    ("nothing", []),
    ("no start", [PartStarted(0, Text("")), PartDelta(0, "a"), Finished("stop", Usage())]),
    ("no end of a part", [*EVENTS[:4], *EVENTS[5:9], EVENTS[-1]]),
    ("late delta", [*EVENTS[:5], PartDelta(0, "late"), PartEnded(0), EVENTS[-1]]),
    ("unknown part", [EVENTS[0], PartDelta(7, "x"), PartEnded(9), EVENTS[-1]]),
    ("two ends", [*EVENTS, EVENTS[-1], PartStarted(3, Text("")), PartDelta(3, "x")]),
    ("a number twice", [*EVENTS[:3], PartStarted(0, Text("")), PartDelta(0, "again"), EVENTS[-1]]),
    ("two starts", [EVENTS[0], *EVENTS]),
]


@pytest.mark.parametrize("odd", [c[1] for c in ODD], ids=[c[0] for c in ODD])
def test_whatever_comes_the_grammar_holds(odd: list[Event]):
    assert_grammar(chunks(*odd))


def assert_grammar(written: list[dict[str, Any]]) -> None:
    """Every chunk has candidates or is the error; the reason to end is in the last and only there."""
    assert written
    *rest, last = written
    for item in rest:
        assert "finishReason" not in item["candidates"][0]
        assert item["candidates"][0]["content"]["role"] == "model"
        assert len(item["candidates"][0]["content"]["parts"]) == 1
    if "error" in last:
        assert set(last["error"]) == {"code", "message", "status"}
        assert next(iter(last)) == "error"
    else:
        assert last["candidates"][0]["finishReason"]
        assert last["usageMetadata"] is not None
    for item in rest:
        types.GenerateContentResponse.model_validate_json(orjson.dumps(item))


def test_events_in_any_order():
    pool: list[Event] = [*EVENTS, PartStarted(0, Thinking("", "")), PartDelta(0, "x", "s", "anthropic")]
    rng = random.Random(7)
    for _ in range(300):
        assert_grammar(chunks(*(rng.choice(pool) for _ in range(rng.randrange(14)))))


@pytest.mark.parametrize("at", range(len(EVENTS)))
def test_a_failure_at_any_time_is_the_sdk_s_exception(at: int):
    failure = Failed(Failure("rate_limit", "slow down", 429, retry_after=3))
    frames = sdk.encoded(gemini.encoder(Context()), [*EVENTS[:at], failure, *EVENTS[at:]])
    assert frames[-1][1].startswith(b'{"error":')
    with pytest.raises(google_errors.ClientError) as raised:
        sdk.streamed(frames)
    assert raised.value.code == 429
    assert raised.value.message == "slow down"


def test_a_stream_that_breaks_off_ends_in_an_error():
    frames = sdk.encoded(gemini.encoder(Context()), EVENTS[:3])
    with pytest.raises(google_errors.ServerError):
        sdk.streamed(frames)


def test_the_estimate_of_the_input_comes_first():
    context = Context(input_estimate=42, requested_model="mine", now=1.0, mint=lambda n: "i" * n)
    written = chunks(
        Started("", "m"),
        PartStarted(0, Text("")),
        PartDelta(0, "a"),
        Finished("stop", Usage(40, 1)),
        context=context,
    )
    assert written[0]["usageMetadata"] == {"promptTokenCount": 42, "totalTokenCount": 42}
    assert written[-1]["usageMetadata"]["promptTokenCount"] == 40
    assert {(c["modelVersion"], c["responseId"]) for c in written} == {("mine", "i" * 22)}


VALUES: list[Part] = [
    Text("a"),
    Thinking("t", "Zm9v", "gemini", summary=True),
    Thinking("t", "", "gemini", summary=True),
    Thinking("", "YmFy", "gemini", redacted=True),
    ToolCall("c", "f", '{"x":[1,2.5,null]}', "c2ln", "gemini"),
    Media("image", "image/png", data="AAAA", extras={"gemini": {}}),
    Opaque("gemini", {"hologram": 1}),
]


@pytest.mark.parametrize("pair", list(itertools.permutations(VALUES, 2)))
def test_any_two_parts_come_back_in_their_order(pair: tuple[Part, ...]):
    whole = Answer(
        "r", "m", pair, "tool_calls" if any(isinstance(p, ToolCall) for p in pair) else "stop", created=5
    )
    assert gemini.decode_answer(gemini.encode_answer(whole, Context())).parts == pair
    if all(isinstance(p, Thinking) and not p.redacted for p in pair) and not pair[0].signature:  # type: ignore[union-attr]
        return  # nothing tells two unsigned thoughts apart in a stream
    assert answer(*chunks(*unfold(whole))).parts == pair
