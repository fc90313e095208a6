"""Streams and answers of chat completions: the habits of many servers in, one grammar out."""

import json
import random
from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs import openai_chat
from llm_intercept.wire.codecs.openai_chat.terms import NAME
from llm_intercept.wire.fold import unfold
from llm_intercept.wire.ir import (
    Answer,
    Event,
    Failed,
    Failure,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    RefusalText,
    Request,
    Started,
    Text,
    Thinking,
    Tool,
    ToolCall,
)
from llm_intercept.wire.usage import Usage
from tests.wire.codecs.chat_family import accumulated, chunk, chunks, decoded, encoded, failed, folded


def call(index: Any = None, identity: str | None = None, name: str | None = None, args: Any = None) -> Any:
    inner = {k: v for k, v in {"name": name, "arguments": args}.items() if v is not None}
    item = {"index": index, "id": identity, "function": inner}
    return {"tool_calls": [{k: v for k, v in item.items() if v is not None}]}


def calls(*payloads: Any) -> list[tuple[str, str, str]]:
    found = folded("openai_chat", chunks(*payloads))
    assert found.finish == "tool_calls"
    return [(p.id, p.name, p.arguments) for p in found.parts if isinstance(p, ToolCall)]


STOP = chunk({}, "stop")


def test_interleaved_calls() -> None:
    assert calls(
        call(0, "a", "f", ""),
        call(1, "b", "g", ""),
        call(0, args='{"x"'),
        call(1, args='{"y"'),
        call(0, args=": 1}"),
        call(1, args=":2}"),
        chunk({}, "tool_calls"),
    ) == [("a", "f", '{"x": 1}'), ("b", "g", '{"y":2}')]


QUIRKS: list[tuple[list[Any], list[str]]] = [
    ([call(0, "a", "f", '{"x":1}')], ['{"x":1}']),
    ([call(0, "a", "f", '{"x":1}'), call(0, "b", "f", '{"x":2}')], ['{"x":1}', '{"x":2}']),
    ([call(None, "a", "f", '{"x"'), call(None, None, None, ":1}")], ['{"x":1}']),
    ([call(None, None, "f", '{"x":1}'), call(None, None, "f", '{"x":2}')], ['{"x":1}', '{"x":2}']),
    ([call(0, "a", "f", '{"'), call(0, "a", None, '{"x'), call(0, "a", None, '{"x":1}')], ['{"x":1}']),
    ([call(0, "a", "f", '{"x":1}'), call(0, "a", None, '{"x":1}')], ['{"x":1}']),
    ([call(0, "a", "f", '{"x":'), call(0, None, None, '{"x":1}}')], ['{"x":{"x":1}}']),
    ([call(0, "a", "f", "{}"), call(0, None, None, '{"x":1}')], ['{"x":1}']),
    ([call(0, "a", "f", "{}")], ["{}"]),
    ([call(0, "a", "f")], ["{}"]),
    ([call(0, "a"), call(0, None, None, '{"x"'), call(0, None, "f", ":1}")], ['{"x":1}']),
    ([call(0, "a", "f", {"x": 1})], ['{"x":1}']),
]


@pytest.mark.parametrize(("payloads", "arguments"), QUIRKS)
def test_habits_of_servers(payloads: list[Any], arguments: list[str]) -> None:
    found = calls(*payloads, STOP)
    assert [text for _, _, text in found] == arguments
    assert len({identity for identity, _, _ in found}) == len(found)


def test_a_call_without_an_id_gets_the_same_one_whole_or_streamed() -> None:
    whole = openai_chat.decode_answer(
        {"id": "chatcmpl-1", "choices": [{"message": call(0, None, "f", "{}"), "finish_reason": "stop"}]}
    )
    assert folded("openai_chat", chunks(call(0, None, "f", "{}"), STOP)).parts == whole.parts


LEAKS = [
    ("<think>\nhm, so\n</think>\n\nHello", "hm, so\n", "Hello"),
    ("  <think></think>Hello", "", "Hello"),
    ("<think>never ends </thin", "never ends </thin", ""),
    ("a <think>b</think>", "", "a <think>b</think>"),
    ("<thin air>", "", "<thin air>"),
    ("<thi", "", "<thi"),
]


@pytest.mark.parametrize(("content", "thinking", "text"), LEAKS)
def test_reasoning_that_leaked(content: str, thinking: str, text: str) -> None:
    rng = random.Random(content)
    whole = openai_chat.decode_answer({"choices": [{"message": {"content": content}}]})
    for size in (1, 2, 3, 50):
        at, deltas = 0, []
        while at < len(content):
            step = rng.randint(1, size)
            deltas.append({"content": content[at : at + step]})
            at += step
        parts = folded("openai_chat", chunks(*deltas, STOP)).parts
        assert parts == whole.parts
        assert "".join(p.text for p in parts if isinstance(p, Thinking)) == thinking
        assert "".join(p.text for p in parts if isinstance(p, Text)) == text


def test_kinds_follow_one_another() -> None:
    events = decoded(
        "openai_chat",
        chunks(
            {"role": "assistant", "content": None},
            {"reasoning_content": "h"},
            {"reasoning_content": "m"},
            {"content": "yes"},
            call(0, "a", "f", "{}"),
            {"content": "more"},
            STOP,
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}},
        ),
    )
    assert [type(e).__name__ for e in events[1:4]] == ["PartStarted", "PartDelta", "PartDelta"]
    assert [e.index for e in events if isinstance(e, PartEnded)] == [0, 1, 3, 2]
    assert events[-1].finish == "tool_calls"  # type: ignore[union-attr]
    assert events[-1].usage == Usage(input=3, output=4)  # type: ignore[union-attr]


def test_azure_begins_without_choices() -> None:
    first = {"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": []}
    events = decoded("openai_chat", chunks(first, {"content": "hi"}, STOP))
    assert events[0] == Started("chatcmpl-1", "m", 7)


def test_usage_is_cumulative() -> None:
    frames = chunks(
        chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 1}),
        chunk({"content": "b"}, usage={"prompt_tokens": 5, "completion_tokens": 2}),
        chunk({}, "stop", x_groq={"usage": {"completion_tokens": 3}}),
    )
    assert folded("openai_chat", frames).usage == Usage(input=5, output=3)


def test_mistral_content_lists() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    frames = chunks({"content": [thinking]}, {"content": [{"type": "text", "text": "hi"}]}, STOP)
    assert folded("openai_chat", frames).parts == (Thinking("hm"), Text("hi"))


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        (chunks({"content": "a"}, done=False), "upstream"),
        ([], "upstream"),
        ([("", b"[DONE]")], "upstream"),
        (chunks({"content": "a"}, {"error": {"message": "no", "code": 429}}), "rate_limit"),
        (chunks({"error": {"message": "This model's maximum context length is 9 tokens."}}), "overflow"),
        ([("error", b'{"message": "busy", "type": "overloaded_error"}')], "unavailable"),
        (chunks({"error": "plain words"}), "upstream"),
    ],
)
def test_streams_that_fail(frames: list[Any], kind: str) -> None:
    events = decoded("openai_chat", frames)
    assert failed(events).kind == kind
    starts = sum(isinstance(e, PartStarted) for e in events)
    assert starts == sum(isinstance(e, PartEnded) for e in events)


def test_no_done_but_a_finish_reason() -> None:
    assert folded("openai_chat", chunks({"content": "a"}, STOP, done=False)).finish == "stop"


def test_nonsense_does_no_harm() -> None:
    junk: list[Any] = [None, 1, "x", [], {}, [1], {"a": 1}, [{}], [None], True, {"index": "x"}, [[]]]
    rng = random.Random(1)
    names = ("content", "tool_calls", "reasoning_details", "reasoning", "refusal", "function_call", "images")
    for _ in range(400):
        delta: Any = {name: rng.choice(junk) for name in rng.sample(names, 3)}
        choice = {"index": 0, "delta": rng.choice([delta, *junk]), "finish_reason": rng.choice(junk)}
        payload = {
            "id": rng.choice(junk),
            "choices": rng.choice([[choice], *junk]),
            "usage": rng.choice(junk),
        }
        events = decoded("openai_chat", [("", b'{"half'), ("", orjson.dumps(payload)), ("", b"[DONE]")])
        assert isinstance(events[-1], Finished | Failed)
        answer = openai_chat.decode_answer({**payload, "choices": [{"message": delta}]})
        assert json.loads(json.dumps(openai_chat.encode_answer(answer, Context())))


ANSWER = Answer(
    "msg_1",
    "claude",
    (
        Thinking("because", "SIG", "anthropic"),
        Thinking("", "BLOB", "anthropic", redacted=True),
        Text("Hello "),
        Text("you"),
        ToolCall("toolu_" + "x" * 50, "f", '{"a":  1}'),
        ToolCall("b", "g", "{}"),
    ),
    "tool_calls",
    Usage(input=10, output=5, cache_read=4, reasoning=2),
)


def test_an_answer_of_another_dialect() -> None:
    context = Context(now=1_700.9, requested_model="mine")
    body = openai_chat.encode_answer(ANSWER, context)
    sdk = ChatCompletion.model_validate(json.loads(json.dumps(body)))
    assert sdk.id.startswith("chatcmpl-")
    assert (sdk.model, sdk.created) == ("mine", 1_700)
    message = sdk.choices[0].message
    assert message.content == "Hello you"
    assert [c.id for c in message.tool_calls or ()][1] == "b"
    assert all(len(c.id) <= 40 for c in message.tool_calls or ())
    assert sdk.usage is not None
    assert sdk.usage.total_tokens == 15
    assert openai_chat.decode_answer(body).parts[:2] == ANSWER.parts[:2]


def test_the_same_answer_streamed() -> None:
    frames = encoded("openai_chat", unfold(ANSWER), Context(include_usage=True, now=5))
    sdk = accumulated(frames)
    whole = ChatCompletion.model_validate(
        json.loads(json.dumps(openai_chat.encode_answer(ANSWER, Context(now=5))))
    )
    assert sdk.choices[0].message.content == whole.choices[0].message.content
    assert sdk.choices[0].finish_reason == "tool_calls"
    assert sdk.usage == whole.usage
    assert [(c.id, c.function.arguments) for c in sdk.choices[0].message.tool_calls or ()] == [
        (c.id, c.function.arguments)  # type: ignore[union-attr]
        for c in whole.choices[0].message.tool_calls or ()
    ]
    assert folded("openai_chat", frames).parts[:2] == ANSWER.parts[:2]


def test_the_first_chunk_has_the_role_and_usage_comes_only_if_asked_for() -> None:
    frames = [json.loads(data) for _, data in encoded("openai_chat", unfold(ANSWER), Context())[:-1]]
    assert frames[0]["choices"][0]["delta"]["role"] == "assistant"
    assert all("usage" not in frame for frame in frames)
    assert frames[-1]["choices"][0]["finish_reason"] == "tool_calls"


END = Finished("stop", Usage(input=1, output=1))
BROKEN_ORDERS: list[list[Event]] = [
    [],
    [END],
    [END, END, Failed(Failure("upstream", "x", 502))],
    [PartDelta(4, "lost"), PartEnded(9), END],
    [PartStarted(0, Text("a")), PartDelta(0, "b")],
    [Started("i", "m"), Started("j", "n"), PartStarted(0, ToolCall("a", "f", "")), END, PartEnded(0)],
    [PartStarted(0, ToolCall("a", "f", "")), PartEnded(0), PartDelta(0, '{"late":1}'), END],
    [PartStarted(0, RefusalText("")), PartDelta(0, "no"), Finished("refusal", Usage()), PartDelta(0, "x")],
    [PartStarted(0, Thinking()), Failed(Failure("overflow", "prompt is too long", 400))],
]


@pytest.mark.parametrize("events", BROKEN_ORDERS)
def test_whatever_events_come_the_grammar_holds(events: list[Event]) -> None:
    frames = [data for _, data in encoded("openai_chat", events)]
    assert frames[-1] == b"[DONE]"
    assert frames.count(b"[DONE]") == 1
    payloads = [json.loads(data) for data in frames[:-1]]
    ended = [p for p in payloads if any(c["finish_reason"] for c in p.get("choices", ()))]
    errors = [p for p in payloads if "error" in p]
    assert len(ended) + len(errors) == 1
    if "choices" in payloads[0]:
        assert payloads[0]["choices"][0]["delta"]["role"] == "assistant"


def test_empty_arguments_are_an_object() -> None:
    events = [PartStarted(0, ToolCall("a", "f", "")), END]
    (made,) = accumulated(encoded("openai_chat", events)).choices[0].message.tool_calls or ()
    assert made.function.arguments == "{}"


def test_an_overflow_in_mid_stream_has_its_code() -> None:
    frames = encoded("openai_chat", [Failed(Failure("overflow", "prompt is too long: 9 > 8", 400))])
    error = json.loads(frames[0][1])["error"]
    assert (error["code"], error["type"]) == ("context_length_exceeded", "invalid_request_error")


def test_clients_with_functions_are_answered_with_function_call() -> None:
    tool = Tool("f", extras={NAME: {"_legacy": True}})
    context = Context(request=Request("m", (), (tool,)), include_usage=True)
    choice = openai_chat.encode_answer(ANSWER, context)["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":  1}'}
    assert choice["finish_reason"] == "function_call"
    deltas = [json.loads(data) for _, data in encoded("openai_chat", unfold(ANSWER), context)[:-1]]
    said = [c["delta"].get("function_call") for p in deltas for c in p["choices"]]
    assert "".join(s.get("arguments", "") for s in said if s) == '{"a":  1}'


def test_citations_of_urls() -> None:
    own = {
        "type": "url_citation",
        "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 2},
    }
    other = {"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "c"}
    answer = Answer("", "m", (Text("hi", (own, other, {"type": "char_location"})),), "stop")
    context = Context()
    message = openai_chat.encode_answer(answer, context)["choices"][0]["message"]
    assert message["annotations"] == [own, own]
    assert len(context.warnings) == 1
    streamed = accumulated(encoded("openai_chat", unfold(answer))).choices[0].message
    assert streamed.content == "hi"


def test_logprobs_streamed_and_whole() -> None:
    entry = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
    frames = chunks({**chunk({"content": "a"}), "choices": [
        {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [entry]}, "finish_reason": None}
    ]}, STOP)  # fmt: skip
    answer = folded("openai_chat", frames)
    assert answer.logprobs == (entry,)
    again = accumulated(encoded("openai_chat", decoded("openai_chat", frames)))
    assert again.choices[0].logprobs is not None
    body = openai_chat.encode_answer(answer, Context())
    assert body["choices"][0]["logprobs"]["content"] == [entry]


def test_signatures_of_calls_are_taken_by_the_sdk_and_come_back() -> None:
    answer = Answer("", "m", (ToolCall("a", "f", '{"x":1}', "SIG", "gemini"),), "tool_calls")
    late = [*unfold(answer)][:-1]
    late.insert(3, PartDelta(0, signature="SIG", origin="gemini"))
    for events in (unfold(answer), [*late, END]):
        frames = encoded("openai_chat", events)
        (made,) = accumulated(frames).choices[0].message.tool_calls or ()
        assert made.function.arguments == '{"x":1}'
        (part,) = folded("openai_chat", frames).parts
        assert isinstance(part, ToolCall)
        assert part.origin == "gemini"
        assert part.signature.startswith("SIG")
