"""Streams and answers: the grammar of our events whatever happens, and what odd servers send."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs import openai_responses as codec
from llm_intercept.wire.fold import fold, unfold
from llm_intercept.wire.ir import (
    Answer,
    Event,
    Failed,
    Failure,
    Finish,
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
from tests.wire.codecs import responses_sdk as sdk

OWN = codec.NAME
USAGE = Usage(input=20, output=9, cache_read=8, cache_write=4, reasoning=3)
BEGIN = Started("msg_01X", "claude", 1_600_000_000)
DONE = Finished("stop", USAGE)
CUT = Failure("rate_limit", "Slow down.", 429, retry_after=7)


def payloads(found: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
    return [json.loads(payload) for _, payload in found]


def obeys_the_grammar(found: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """Begins once, ends once; items are added in order, filled while open, done once, and all in the end."""
    if not _failed(found):  # the codes of failures that OpenAI sends are not all in the SDK's types
        sdk.check(found)
    events = payloads(found)
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    ends = [
        e for e in events if e["type"] in ("response.completed", "response.incomplete", "response.failed")
    ]
    assert ends == [events[-1]]
    opened: dict[int, str] = {}
    finished: dict[int, Any] = {}
    for event in events[2:-1]:
        place, kind = event.get("output_index"), event["type"]
        if kind == "response.output_item.added":
            assert place == len(opened)
            opened[place] = event["item"].get("id")
        elif kind == "response.output_item.done":
            assert place in opened
            assert place not in finished
            finished[place] = event["item"]
        elif kind != "error":
            assert place in opened
            assert place not in finished
            assert event["item_id"] == opened[place]
    assert set(finished) == set(opened)
    assert events[-1]["response"]["output"] == [finished[place] for place in sorted(finished)]
    sections_are_whole(events)
    return events


def _failed(found: list[tuple[str, bytes]]) -> bool:
    return found[-1][0] == "response.failed"


TEXTS = ("output_text", "refusal", "reasoning_text", "reasoning_summary_text", "function_call_arguments")


def sections_are_whole(events: list[dict[str, Any]]) -> None:
    """What is streamed of a text is what its end says."""
    streamed: dict[Any, str] = {}
    for event in events:
        stem, _, what = event["type"].removeprefix("response.").rpartition(".")
        key = (stem, event.get("output_index"), event.get("content_index"), event.get("summary_index"))
        if stem in TEXTS and what == "delta":
            streamed[key] = streamed.get(key, "") + event["delta"]
        elif stem in TEXTS and what == "done":
            told = event.get("text", event.get("arguments", event.get("refusal")))
            assert streamed.pop(key, "") == told
    assert streamed == {}


def test_the_whole_grammar_of_a_text():
    events = [BEGIN, PartStarted(0, Text("")), PartDelta(0, "He"), PartDelta(0, "llo"), PartEnded(0), DONE]
    found = obeys_the_grammar(sdk.frames(events))
    assert [event["type"].removeprefix("response.") for event in found] == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta",
        "output_text.delta", "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert found[2]["item"]["status"] == "in_progress"
    assert found[2]["item"]["content"] == []
    assert found[-1]["response"]["usage"] == {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 4},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 29,
    }


def test_parallel_calls_stay_apart():
    events: list[Event] = [BEGIN, PartStarted(0, Text("")), PartDelta(0, "so")]
    events += [PartStarted(1, ToolCall("a", "f", "")), PartStarted(2, ToolCall("b", "g", ""))]
    events += [PartDelta(2, '{"y":'), PartDelta(1, '{"x":'), PartDelta(0, " it is"), PartDelta(1, "1}")]
    events += [
        PartEnded(1),
        PartDelta(2, "2}"),
        PartEnded(0),
        PartEnded(2),
        replace(DONE, finish="tool_calls"),
    ]
    found = obeys_the_grammar(sdk.frames(events))
    output = found[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "function_call"]
    assert [item["arguments"] for item in output[1:]] == ['{"x":1}', '{"y":2}']
    assert output[0]["content"][0]["text"] == "so it is"
    assert sdk.accumulated(sdk.frames(events)).output_text == "so it is"


def test_texts_without_anything_between_are_one_message():
    answer = Answer("a", "m", (Text("one "), Text("two"), ToolCall("c", "f"), Text("three")), "stop", USAGE)
    output = obeys_the_grammar(sdk.frames(unfold(answer)))[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "message"]
    assert [part["text"] for part in output[0]["content"]] == ["one ", "two"]


@pytest.mark.parametrize(
    ("part", "item"),
    [
        (Thinking("hm", "sig", "anthropic"), {"summary": "hm", "encrypted_content": "lli1.anthropic.sig"}),
        (Thinking("", "blob", "anthropic", redacted=True), {"encrypted_content": "lli1.anthropic!.blob"}),
        (
            Thinking("hm", "gAAA", OWN, summary=True, id="rs_7"),
            {"summary": "hm", "encrypted_content": "gAAA"},
        ),
        (Thinking("raw", extras={OWN: {}}, id="rs_7"), {"content": "raw"}),
        (Thinking("", "sig", "anthropic"), {"encrypted_content": "lli1.anthropic.sig"}),
        (Thinking("hm"), {"summary": "hm"}),
        (Thinking(), {}),
    ],
    ids=lambda v: f"{v.text}-{v.origin}" if isinstance(v, Thinking) else "",
)
def test_thinking(part: Thinking, item: dict[str, str]):
    answer = Answer("a", "m", (part, Text("x")), "stop", USAGE)
    found = obeys_the_grammar(sdk.frames(unfold(answer)))
    raw = found[-1]["response"]["output"][0]
    assert raw["type"] == "reasoning"
    assert "".join(entry["text"] for entry in raw["summary"]) == item.get("summary", "")
    assert "".join(entry["text"] for entry in raw.get("content", [])) == item.get("content", "")
    assert raw.get("encrypted_content") == item.get("encrypted_content")
    assert codec.encode_answer(answer, Context())["output"][0] == raw
    back = codec.decode_request({"model": "m", "input": [raw]}, "", False).messages[0].parts[0]
    assert isinstance(back, Thinking)
    assert (back.text, back.signature, back.redacted) == (part.text, part.signature, part.redacted)
    assert back.origin == part.origin


def test_foreign_thinking_does_not_go_to_a_provider_of_this_dialect():
    answer = Answer("a", "m", (Thinking("hm"), Thinking("hm", "sig", "gemini"), Text("x")), "stop")
    output = codec.encode_answer(answer, Context())["output"]
    body = codec.encode_request(codec.decode_request({"input": output}, "m", False), Context()).body
    assert [item["type"] for item in body["input"]] == ["message"]


def test_signatures_of_calls_are_carried_beside_them():
    calls = ToolCall("a.1", "f", "{}", "s1.x", "gemini"), ToolCall("b", "g", "{}", "s2", "gemini")
    answer = Answer("r", "m", (*calls, Text("x")), "tool_calls", USAGE)
    output = obeys_the_grammar(sdk.frames(unfold(answer)))[-1]["response"]["output"]
    assert [item["type"] for item in output] == [
        "function_call",
        "reasoning",
        "function_call",
        "reasoning",
        "message",
    ]
    reordered = [output[0], output[2], output[1], output[3]]
    (turn,) = codec.decode_request({"input": reordered}, "m", False).messages
    assert [(p.id, p.signature, p.origin) for p in turn.parts if isinstance(p, ToolCall)] == [
        ("a.1", "s1.x", "gemini"),
        ("b", "s2", "gemini"),
    ]
    assert len(turn.parts) == 2


def test_empty_arguments_are_an_object():
    answer = Answer("r", "m", (ToolCall("a", "f", ""),), "tool_calls", USAGE)
    for call in (
        codec.encode_answer(answer, Context())["output"][0],
        sdk.accumulated(sdk.frames(unfold(answer))).output[0],
    ):
        assert (call["arguments"] if isinstance(call, dict) else call.arguments) == "{}"


@pytest.mark.parametrize(
    "ids", [("", ""), ("same", "same"), ("x" * 100, "y" * 100)], ids=["none", "same", "long"]
)
def test_calls_have_ids_of_their_own(ids: tuple[str, str]):
    answer = Answer("r", "m", tuple(ToolCall(name, "f") for name in ids), "tool_calls", USAGE)
    output = obeys_the_grammar(sdk.frames(unfold(answer)))[-1]["response"]["output"]
    assert len({call["call_id"] for call in output}) == len({call["id"] for call in output}) == 2
    assert all(len(call["call_id"]) <= 64 for call in output)
    assert output == codec.encode_answer(answer, Context())["output"]


def test_pictures_are_generated_images():
    answer = Answer("r", "m", (Media("image", "image/webp", "UklG"), Media("audio", data="x")), "stop", USAGE)
    context = Context()
    (item,) = codec.encode_answer(answer, context)["output"]
    assert (item["type"], item["result"], item["output_format"]) == ("image_generation_call", "UklG", "webp")
    assert context.warnings == ["audio: OpenAI responses has none in answers"]
    obeys_the_grammar(sdk.frames(unfold(answer)))


def test_opaque_parts():
    hosted = Opaque(
        OWN,
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "search", "query": "q"},
        },
    )
    other = (
        Opaque("anthropic", {"type": "server_tool_use"}),
        Opaque("gemini", {"executableCode": 1}, "print(1)"),
    )
    answer = Answer("r", "m", (hosted, *other), "stop", USAGE)
    context = Context(now=1.0)
    found = obeys_the_grammar(sdk.frames(unfold(answer), context))
    output = found[-1]["response"]["output"]
    assert output[0] == hosted.raw
    assert output[1]["content"][0]["text"] == "print(1)"
    assert context.warnings == ["server_tool_use: of anthropic, not known to OpenAI responses"]


def test_citations_of_this_dialect_only():
    note = {"type": "url_citation", "url": "https://x", "title": "t", "start_index": 0, "end_index": 1}
    parts = Text("a", (note,), extras={OWN: {}}), Text("b", ({"cited_text": "x"},), extras={"anthropic": {}})
    context = Context()
    found = obeys_the_grammar(sdk.frames(unfold(Answer("r", "m", parts, "stop", USAGE)), context))
    assert [e["annotation"] for e in found if e["type"].endswith("annotation.added")] == [note]
    assert [part["annotations"] for part in found[-1]["response"]["output"][0]["content"]] == [[note], []]
    assert context.warnings == ["citations: written in another dialect, not known to OpenAI responses"]


def test_logprobs_stand_at_their_own_text():
    entries = tuple(
        {"token": token, "logprob": -0.1, "bytes": [], "top_logprobs": []} for token in ("ab", "c", "de")
    )
    answer = Answer("r", "m", (Text("abc"), Text("de")), "stop", USAGE, logprobs=entries)
    body = codec.encode_answer(answer, Context())
    found = [[entry["token"] for entry in part["logprobs"]] for part in body["output"][0]["content"]]
    assert found == [["ab", "c"], ["de"]]
    assert codec.decode_answer(body).logprobs == entries


ENDINGS: list[tuple[Finish, str, str | None]] = [
    ("stop", "completed", None),
    ("tool_calls", "completed", None),
    ("stop_sequence", "completed", None),
    ("pause", "completed", None),
    ("other", "completed", None),
    ("length", "incomplete", "max_output_tokens"),
    ("overflow", "incomplete", "max_output_tokens"),
    ("content_filter", "incomplete", "content_filter"),
    ("refusal", "incomplete", "content_filter"),
    ("error", "failed", None),
]


@pytest.mark.parametrize(("finish", "status", "reason"), ENDINGS, ids=lambda v: str(v))
def test_endings(finish: Finish, status: str, reason: str | None):
    answer = Answer("r", "m", (Text("x"),), finish, USAGE)
    whole = codec.encode_answer(answer, Context())
    streamed = obeys_the_grammar(sdk.frames(unfold(answer)))[-1]
    assert streamed["type"] == f"response.{status}"
    for body in (whole, streamed["response"]):
        assert body["status"] == status
        assert (body["incomplete_details"] or {}).get("reason") == reason
        assert bool(body["error"]) is (status == "failed")
        assert body["output"][0]["status"] == (
            "completed" if status == "completed" or (status == "failed" and body is whole) else "incomplete"
        )


def test_a_refusal_in_words_is_complete():
    answer = Answer("r", "m", (RefusalText("I cannot."),), "refusal", USAGE)
    found = obeys_the_grammar(sdk.frames(unfold(answer)))
    assert found[-1]["type"] == "response.completed"
    assert codec.decode_answer(found[-1]["response"]).finish == "refusal"


class TestEnvelope:
    def test_it_repeats_the_request(self):
        body = {
            "model": "alias",
            "instructions": "i",
            "input": "x",
            "tools": [{"type": "function", "name": "f", "parameters": {}}],
        }
        body |= {
            "tool_choice": "required",
            "temperature": 0.5,
            "metadata": {"a": "b"},
            "store": False,
            "user": "u",
        }
        body |= {"text": {"verbosity": "low"}, "reasoning": {"effort": "high"}, "max_output_tokens": 99}
        request = codec.decode_request(body, "", False)
        context = Context(request=request, requested_model="alias", now=1_700_000_000.5)
        answer = Answer("msg_1", "claude", (Text("x"),), "stop", USAGE)
        told = codec.encode_answer(answer, context)
        sdk.ANSWER.validate_python(dict(told))
        for name, value in (
            ("model", "alias"),
            ("instructions", "i"),
            ("tool_choice", "required"),
            ("user", "u"),
        ):
            assert told[name] == value
        assert told["temperature"] == 0.5
        assert told["tools"][0]["name"] == "f"
        assert told["text"] == {"format": {"type": "text"}, "verbosity": "low"}
        assert told["reasoning"] == {"effort": "high", "summary": None}
        assert (told["created_at"], told["completed_at"]) == (1_700_000_000, 1_700_000_000)
        assert context.warnings == []

    def test_it_is_valid_without_a_request(self):
        told = codec.encode_answer(Answer("", "m", (), "stop"), Context(mint=lambda n: "abc"))
        sdk.ANSWER.validate_python(dict(told))
        assert told["id"].startswith("resp_")
        assert told["usage"]["total_tokens"] == 0

    def test_an_estimate_stands_in_for_unknown_input(self):
        told = codec.encode_answer(Answer("", "m", (), "stop", Usage(output=2)), Context(input_estimate=40))
        assert (told["usage"]["input_tokens"], told["usage"]["total_tokens"]) == (40, 42)

    @pytest.mark.parametrize(
        "name", ["resp_0aF", "22d57125-3b6a-9932-9f9e-e82867682c4f", "gen-17-x", "msg_01X"]
    )
    def test_ids_of_this_dialect_are_kept(self, name: str):
        told = codec.encode_answer(Answer(name, "m", (), "stop"), Context())
        assert (told["id"] == name) is (name != "msg_01X")
        assert told["id"] == codec.encode_answer(Answer(name, "m", (), "stop"), Context())["id"]


class TestFailures:
    @pytest.mark.parametrize(
        ("events", "text"),
        [
            ([Failed(CUT)], ""),
            ([BEGIN, Failed(CUT)], ""),
            ([BEGIN, PartStarted(0, Text("")), PartDelta(0, "half"), Failed(CUT), DONE, Failed(CUT)], "half"),
        ],
        ids=["at once", "begun", "half"],
    )
    def test_a_failure_ends_the_stream(self, events: list[Event], text: str):
        found = obeys_the_grammar(sdk.frames(events))
        assert [event["type"] for event in found[-2:]] == ["error", "response.failed"]
        error = {"code": "rate_limit_exceeded", "message": "Slow down. Please try again in 7s."}
        assert found[-1]["response"]["error"] == error
        assert found[-2]["error"] == {"type": "rate_limit_error", **error, "param": None}
        assert (found[-2]["code"], found[-2]["message"]) == tuple(error.values())
        assert [item["content"][0]["text"] for item in found[-1]["response"]["output"]] == (
            [text] if text else []
        )

    def test_the_sdk_raises_it(self):
        with pytest.raises(Exception, match="Slow down"):
            sdk.accumulated(sdk.frames([BEGIN, Failed(CUT)]))

    def test_a_stream_that_just_stops_has_failed(self):
        encoder = codec.encoder(Context())
        found = [*encoder.feed(BEGIN), *encoder.close(), *encoder.close()]
        assert obeys_the_grammar(found)[-1]["response"]["error"]["code"] == "server_error"

    def test_codex_learns_that_its_context_is_full(self):
        failure = Failure("overflow", "prompt is too long: 205000 tokens > 200000 maximum", 400)
        found = payloads(sdk.frames([BEGIN, Failed(failure)]))
        assert found[-1]["response"]["error"]["code"] == "context_length_exceeded"

    @pytest.mark.parametrize(
        ("frame", "kind", "status"),
        [
            ({"type": "error", "code": "rate_limit_exceeded", "message": "m"}, "rate_limit", 429),
            (
                {"type": "error", "error": {"type": "insufficient_quota", "code": "x", "message": "m"}},
                "budget",
                429,
            ),
            ({"error": {"message": "m", "type": "server_error"}}, "upstream", 502),
            ({"error": "m"}, "upstream", 502),
            (
                {
                    "type": "response.failed",
                    "response": {"error": {"code": "context_length_exceeded", "message": "m"}},
                },
                "overflow",
                400,
            ),
            (
                {
                    "type": "response.failed",
                    "response": {"error": {"code": "server_is_overloaded", "message": "m"}},
                },
                "unavailable",
                503,
            ),
            (
                {"type": "response.completed", "response": {"status": "failed", "error": {"message": "m"}}},
                "upstream",
                502,
            ),
        ],
        ids=str,
    )
    def test_failures_are_read(self, frame: dict[str, Any], kind: str, status: int):
        decoder = codec.decoder()
        found = [*decoder.feed("", json.dumps(frame).encode()), *decoder.close()]
        failure = found[-1]
        assert isinstance(failure, Failed)
        assert (failure.failure.kind, failure.failure.status, failure.failure.message) == (kind, status, "m")
        assert sum(isinstance(event, Failed) for event in found) == 1

    @pytest.mark.parametrize(
        ("failure", "status", "kind", "code"),
        [
            (Failure("overflow", "m", 413), 400, "invalid_request_error", "context_length_exceeded"),
            (
                Failure("rate_limit", "m", 429, "rate_limit_error", retry_after=2.5),
                429,
                "rate_limit_error",
                "rate_limit_exceeded",
            ),
            (
                Failure("unavailable", "m", 529, "overloaded_error"),
                503,
                "server_error",
                "server_is_overloaded",
            ),
            (Failure("budget", "m", 429), 429, "insufficient_quota", "insufficient_quota"),
            (Failure("not_found", "m", 404), 404, "not_found_error", "model_not_found"),
            (Failure("authentication", "m", 401), 401, "authentication_error", "invalid_api_key"),
            (
                Failure("invalid_request", "m", 400, code="decimal_below"),
                400,
                "invalid_request_error",
                "decimal_below",
            ),
            (Failure("nonsense", "m", 0), 502, "server_error", "server_error"),
        ],
        ids=lambda v: v.kind if isinstance(v, Failure) else str(v),
    )
    def test_errors_are_openais(self, failure: Failure, status: int, kind: str, code: str):
        told, headers, body = codec.encode_error(failure, "req_9")
        error = json.loads(body)["error"]
        assert (told, error["type"], error["code"], error["message"]) == (status, kind, code, "m")
        assert headers["x-request-id"] == "req_9"
        assert ("retry-after" in headers) is (failure.retry_after is not None)

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "3"}, 3.0),
            ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
            ({"retry-after": "soon"}, None),
        ],
        ids=str,
    )
    def test_retry_after(self, headers: dict[str, str], seconds: float | None):
        assert codec.decode_error(429, headers, b"{}").retry_after == seconds

    @pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": null}', b"[1]", b"\xff"], ids=repr)
    def test_errors_of_any_shape(self, body: bytes):
        assert codec.decode_error(502, {}, body).kind == "upstream"


def stream(*events: dict[str, Any]) -> list[Event]:
    decoder = codec.decoder()
    found = [event for raw in events for event in decoder.feed("", json.dumps(raw).encode())]
    return [*found, *decoder.close()]


CREATED = {"type": "response.created", "response": {"id": "resp_1", "model": "m", "created_at": 5.0}}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "hello"}],
}
COMPLETED = {"type": "response.completed", "response": {"status": "completed", "output": []}}


def added(item: dict[str, Any], place: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": place, "item": item}


def done(item: dict[str, Any], place: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": place, "item": item}


def delta(text: str, kind: str = "output_text", **members: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "output_index": 0, "content_index": 0, "delta": text, **members}


class TestOddServers:
    """Servers that speak the dialect with gaps."""

    @pytest.mark.parametrize(
        "events",
        [
            [done(MESSAGE)],
            [delta("hello")],
            [added({**MESSAGE, "content": []}), delta("he"), done(MESSAGE)],
            [
                added({**MESSAGE, "content": []}),
                delta("he", content_index=1),
                delta("llo", content_index=1),
                done(MESSAGE),
            ],
            [{"type": "response.completed", "response": {"status": "completed", "output": [MESSAGE]}}],
            [done(MESSAGE), {"type": "response.completed", "response": {"output": [MESSAGE]}}],
            [delta("hello"), {"type": "response.new_thing", "delta": "x"}, {"type": 7}, {"x": 1}],
        ],
        ids=[
            "done only",
            "delta only",
            "cut short",
            "index off by one",
            "final only",
            "twice",
            "unknown events",
        ],
    )
    def test_the_text_is_whole(self, events: list[dict[str, Any]]):
        answer = fold(stream(CREATED, *events, COMPLETED))
        assert isinstance(answer, Answer)
        assert [part.text for part in answer.parts if isinstance(part, Text)] == ["hello"]
        assert (answer.id, answer.created) == ("resp_1", 5)

    def test_calls_without_deltas(self):
        call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": '{"a":1}'}
        empty = {"type": "function_call", "id": "fc_2", "call_id": "d", "name": "g", "arguments": ""}
        answer = fold(
            stream(
                CREATED,
                added({**call, "arguments": ""}),
                done(call),
                added(empty, 1),
                done(empty, 1),
                COMPLETED,
            )
        )
        assert isinstance(answer, Answer)
        assert [(p.id, p.arguments) for p in answer.parts if isinstance(p, ToolCall)] == [
            ("c", '{"a":1}'),
            ("d", "{}"),
        ]
        assert answer.finish == "tool_calls"

    def test_parallel_calls_interleaved(self):
        calls = [
            {"type": "function_call", "id": f"fc_{n}", "call_id": n, "name": "f", "arguments": ""}
            for n in "ab"
        ]
        pieces = [
            delta(text, "function_call_arguments", output_index=place)
            for place, text in ((0, "{"), (1, "[")) * 2
        ]
        answer = fold(stream(CREATED, added(calls[0]), added(calls[1], 1), *pieces, COMPLETED))
        assert isinstance(answer, Answer)
        assert [(p.id, p.arguments) for p in answer.parts if isinstance(p, ToolCall)] == [
            ("a", "{{"),
            ("b", "[["),
        ]

    def test_sections_of_a_summary(self):
        pieces = [
            delta(text, "reasoning_summary_text", summary_index=n)
            for n, text in ((0, "a"), (0, "b"), (1, "c"))
        ]
        item = {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA"}
        item["summary"] = [{"type": "summary_text", "text": text} for text in ("ab", "c")]
        (part,) = fold(
            stream(CREATED, added({"type": "reasoning", "id": "rs_1"}), *pieces, done(item), COMPLETED)
        ).parts  # type: ignore[union-attr]
        assert isinstance(part, Thinking)
        assert (part.text, part.signature, part.summary) == ("ab\n\nc", "gAAA", True)

    def test_nothing_before_the_beginning_and_nothing_after_the_end(self):
        events = stream(delta("x"), COMPLETED, delta("late"), CREATED, {"type": "error", "message": "late"})
        assert isinstance(events[0], Started)
        assert isinstance(events[-1], Finished)
        assert sum(isinstance(event, Started | Finished | Failed) for event in events) == 2

    @pytest.mark.parametrize(
        "data", [b"", b"[DONE]", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b'{"type":null}'], ids=repr
    )
    @pytest.mark.parametrize("event", ["", "response.output_text.delta", "response.completed", "error"])
    def test_any_frame_is_survived(self, event: str, data: bytes):
        decoder = codec.decoder()
        found = [*decoder.feed(event, data), *decoder.close()]
        assert isinstance(found[-1], Failed | Finished)

    def test_any_members_are_survived(self):
        rng = random.Random(5)
        kinds = [f"response.{name}" for name in (
            "created", "output_item.added", "output_item.done", "content_part.added", "output_text.delta",
            "output_text.annotation.added", "refusal.delta", "function_call_arguments.delta",
            "reasoning_summary_text.delta", "reasoning_text.delta", "completed", "failed",
        )]  # fmt: skip
        values = [
            None,
            1,
            -1,
            "x",
            [],
            {},
            [None],
            {"type": "message", "content": [1, {}]},
            {"type": "reasoning"},
        ]
        names = (
            "item",
            "part",
            "delta",
            "output_index",
            "content_index",
            "summary_index",
            "response",
            "annotation",
        )
        for _ in range(3_000):
            decoder = codec.decoder()
            for _ in range(6):
                payload = {name: rng.choice(values) for name in names} | {"type": rng.choice(kinds)}
                list(decoder.feed("", json.dumps(payload).encode()))
            list(decoder.close())


def part(rng: random.Random) -> Part:
    call = ToolCall(rng.choice(("", "c", "toolu_1")), rng.choice("fg"), "", custom=rng.random() < 0.2)
    thought = Thinking(rng.choice(("", "t")), id=rng.choice(("", "rs_1")), extras=rng.choice(({}, {OWN: {}})))
    known = Opaque(
        OWN, {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search"}}
    )
    kinds: tuple[Part, ...] = (
        Text(""),
        Text("given"),
        RefusalText(""),
        call,
        thought,
        known,
        Opaque("x", {}, "said"),
    )
    return rng.choice(kinds)


def happening(rng: random.Random) -> Event:
    index = rng.randrange(4)
    match rng.randrange(9):
        case 0:
            return Started("id", "m")
        case 1 | 2 | 3:
            return PartStarted(index, part(rng))
        case 4 | 5:
            return PartDelta(index, rng.choice(("", "x", "yz")))
        case 6:
            return PartDelta(index, signature="s", origin=rng.choice(("anthropic", OWN)), citation={"a": 1})
        case 7:
            return PartEnded(index)
    return Finished("stop", Usage()) if rng.random() < 0.2 else PartEnded(index)


def test_whatever_happens_the_grammar_holds():
    rng = random.Random(11)
    for _ in range(400):
        events = [happening(rng) for _ in range(rng.randrange(1, 30))]
        found = sdk.frames(events)
        obeys_the_grammar(found)
        if not _failed(found) and rng.random() < 0.3:
            sdk.accumulated(found)


@pytest.mark.parametrize(
    "body",
    [{}, {"output": [None, {}, {"type": "message"}, {"type": 3}], "usage": 5, "created_at": "x"}],
    ids=str,
)
def test_any_answer_is_read(body: dict[str, Any]):
    answer = codec.decode_answer(body)
    assert isinstance(codec.encode_answer(answer, Context()), dict)
