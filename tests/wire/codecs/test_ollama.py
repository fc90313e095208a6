"""Ollama's /api/chat, both ways."""

import json
import random
from dataclasses import replace
from typing import Any

import orjson
import pytest

from llm_intercept.wire.codec import Context, Target, Untranslatable
from llm_intercept.wire.codecs import ollama
from llm_intercept.wire.fold import unfold
from llm_intercept.wire.ir import (
    Answer,
    Cache,
    Event,
    Failed,
    Failure,
    Finished,
    Format,
    Media,
    Message,
    PartDelta,
    PartEnded,
    PartStarted,
    Reasoning,
    Request,
    Sampling,
    Started,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_intercept.wire.usage import Usage
from tests.wire.codecs.chat_family import decoded, encoded, failed, folded, lines_of

PIXEL = "iVBORw0KGgoAAAANSUhEUg=="


def read(**body: Any) -> Request:
    return ollama.decode_request({"model": "m", "messages": [], **body}, "", False)


def write(request: Request, **target: Any) -> tuple[dict[str, Any], list[str]]:
    context = Context(Target(**target))
    return json.loads(json.dumps(ollama.encode_request(request, context).body)), context.warnings


TOOL = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
BODY: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "look", "images": [PIXEL]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": {"x": 1, "a": 2.0}}}],
        },
        {"role": "tool", "content": "2", "tool_name": "f", "tool_call_id": "call_1"},
    ],
    "tools": [{"type": "function", "function": TOOL}],
    "format": {"type": "object"},
    "options": {"temperature": 0, "num_predict": 9, "num_ctx": 4_096, "stop": ["a"]},
    "think": "low",
    "keep_alive": "5m",
    "stream": False,
}


def test_a_request_there_and_back() -> None:
    request = ollama.decode_request(BODY, "", False)
    assert request.messages[1].parts == (Text("look"), Media("image", "image/png", PIXEL))
    assert request.messages[2].parts == (Thinking("hm"), ToolCall("call_1", "f", '{"x":1,"a":2.0}'))
    assert request.messages[3].parts == (ToolResult("call_1", (Text("2"),), name="f"),)
    assert request.sampling == Sampling(9, 0, stop=("a",))
    assert request.format == Format("schema", {"type": "object"})
    assert request.reasoning == Reasoning(True, "low")
    assert write(request) == (BODY, [])


def test_results_without_ids_go_by_name_and_order() -> None:
    def made(name: str) -> dict[str, Any]:
        return {"function": {"name": name, "arguments": {}}}

    request = read(
        messages=[
            {"role": "assistant", "content": "", "tool_calls": [made("f"), made("g"), made("f")]},
            {"role": "tool", "tool_name": "g", "content": "2"},
            {"role": "tool", "content": "1"},
            {"role": "tool", "tool_name": "f", "content": "3"},
        ]
    )
    calls = [part.id for part in request.messages[0].parts if isinstance(part, ToolCall)]
    results = [part.call_id for part in request.messages[1].parts if isinstance(part, ToolResult)]
    assert len(set(calls)) == 3
    assert results == [calls[1], calls[0], calls[2]]


def test_it_streams_unless_told_otherwise() -> None:
    assert read().stream
    assert not read(stream=False).stream
    assert write(Request("m", ()))[0]["stream"] is False


def test_what_other_dialects_say() -> None:
    talk = (
        Message("developer", (Text("be brief", cache=Cache()),)),
        Message("user", (Text("a"), Media("image", url="https://x"), Media("document", text="doc"))),
        Message("assistant", (Thinking("h", "S", "anthropic"), ToolCall("t", "f", "free", custom=True))),
        Message("user", (ToolResult("t", (Text("no"), Media("image", "image/png", PIXEL)), True), Text("b"))),
    )
    tools = Tool("f", schema=None), Tool("g")
    request = Request("m", talk, tools, ToolChoice("required"), reasoning=Reasoning(True, budget=9))
    body, warnings = write(request)
    assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant", "tool", "user"]
    assert body["messages"][1]["content"] == "a\n\n[image left out: https://x]\n\ndoc"
    assert body["messages"][2]["tool_calls"][0]["function"]["arguments"] == {"input": "free"}
    assert body["messages"][3] == {
        "role": "tool",
        "content": "Error: no",
        "images": [PIXEL],
        "tool_name": "f",
        "tool_call_id": "t",
    }
    assert "think" not in body
    assert len(warnings) == 7


@pytest.mark.parametrize(
    ("wanted", "form", "think"),
    [
        (Reasoning(True), "content", True),
        (Reasoning(effort="max"), "effort", "high"),
        (Reasoning(False), "", False),
        (Reasoning(effort="high"), "none", None),
    ],
)
def test_thinking(wanted: Reasoning, form: str, think: Any) -> None:
    assert write(Request("m", (), reasoning=wanted), reasoning=form)[0].get("think") == think


def test_tool_choice_none_leaves_the_tools_out() -> None:
    assert "tools" not in write(Request("m", (), (Tool("f"),), ToolChoice("none")))[0]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"prompt": "a"}, "prompt"),
        ({"messages": 1}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{"role": "x"}]}, "messages[0].role"),
    ],
)
def test_what_cannot_be_read(body: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as raised:
        ollama.decode_request(body, "", False)
    assert raised.value.field == field


def test_one_answer_for_each_call() -> None:
    with pytest.raises(Untranslatable):
        write(Request("m", (), sampling=Sampling(n=2)))


def line(message: dict[str, Any] | None = None, **more: Any) -> tuple[str, bytes]:
    head = {"model": "m", "created_at": "2026-08-07T06:08:09.335586Z", "done": False}
    said = {"message": {"role": "assistant", "content": "", **message}} if message is not None else {}
    return "", orjson.dumps({**head, **said, **more})


CALL = {"tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]}
LAST = line({}, done=True, done_reason="stop", prompt_eval_count=3, eval_count=4, total_duration=9)


def test_a_stream() -> None:
    frames = [
        line({"thinking": "h"}),
        line({"thinking": "m"}),
        line({"content": "hi"}),
        line(CALL),
        line(CALL),
        LAST,
    ]
    answer = folded("ollama", frames)
    assert answer.parts[:2] == (Thinking("hm"), Text("hi"))
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    assert [call.arguments for call in calls] == ['{"x":1}'] * 2
    assert calls[0].id != calls[1].id
    assert (answer.finish, answer.usage, answer.created) == (
        "tool_calls",
        Usage(input=3, output=4),
        1_786_082_889,
    )
    again = folded("ollama", encoded("ollama", unfold(answer)))
    assert replace(again, extras={}) == replace(answer, extras={})
    assert again.extras["ollama"]["total_duration"] == 9


def test_reasoning_that_leaked() -> None:
    frames = [line({"content": piece}) for piece in ("<th", "ink>h", "m</th", "ink>\n", "hi")]
    assert folded("ollama", [*frames, LAST]).parts == (Thinking("hm"), Text("hi"))
    body = json.loads(line({"content": "<think>hm</think>\nhi"}, done=True)[1])
    assert ollama.decode_answer(body).parts == (Thinking("hm"), Text("hi"))


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        ([], "upstream"),
        ([line({"content": "a"})], "upstream"),
        ([("", b'{"error":"model runner has unexpectedly stopped"}')], "upstream"),
        (
            [line({"content": "a"}), ("", b'{"error":"input length exceeds maximum context length"}')],
            "overflow",
        ),
    ],
)
def test_streams_that_fail(frames: list[Any], kind: str) -> None:
    assert failed(decoded("ollama", frames)).kind == kind


def test_nonsense_does_no_harm() -> None:
    junk: list[Any] = [None, 1, "x", [], {}, [1], {"a": 1}, [{}], True]
    rng = random.Random(2)
    for _ in range(300):
        message = {name: rng.choice(junk) for name in ("content", "thinking", "tool_calls", "images")}
        payload = {
            "message": rng.choice([message, *junk]),
            "done": rng.choice(junk),
            "created_at": rng.choice(junk),
        }
        payload |= {"logprobs": rng.choice(junk), "eval_count": rng.choice(junk)}
        events = decoded("ollama", [("", b"{"), ("", orjson.dumps(payload))])
        assert isinstance(events[-1], Finished | Failed)
        assert ollama.encode_answer(ollama.decode_answer(payload), Context())


ANSWER = Answer(
    "msg_1",
    "claude",
    (Thinking("one"), Thinking("two"), Text("Hello "), Text("you"), ToolCall("a", "f", '{"a":1}')),
    "tool_calls",
    Usage(input=10, output=5, cache_read=4),
    1_700,
)


def test_an_answer_of_another_dialect() -> None:
    body = ollama.encode_answer(ANSWER, Context(requested_model="mine"))
    assert body["model"] == "mine"
    assert body["created_at"] == "1970-01-01T00:28:20.000000Z"
    assert body["message"] == {
        "role": "assistant",
        "content": "Hello you",
        "thinking": "one\n\ntwo",
        "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {"a": 1}}}],
    }
    assert (body["done"], body["done_reason"], body["prompt_eval_count"], body["eval_count"]) == (
        True,
        "stop",
        10,
        5,
    )
    streamed = folded("ollama", encoded("ollama", unfold(ANSWER)))
    whole = ollama.decode_answer(body)
    assert (streamed.parts, streamed.finish, streamed.usage) == (whole.parts, whole.finish, whole.usage)


END = Finished("stop", Usage(input=1, output=1))
ORDERS: list[list[Event]] = [
    [],
    [END, END],
    [PartDelta(4, "lost"), PartEnded(9), END],
    [Started("i", "m"), PartStarted(0, ToolCall("a", "f", "")), PartDelta(0, '{"x":1}'), END, PartEnded(0)],
    [PartStarted(0, Text("a")), Failed(Failure("overflow", "too long", 400)), END],
    [PartStarted(0, Text("a"))],
]


@pytest.mark.parametrize("events", ORDERS)
def test_whatever_events_come_the_grammar_holds(events: list[Event]) -> None:
    lines = [json.loads(data) for _, data in encoded("ollama", events)]
    assert all(
        set(entry) >= {"model", "created_at", "message", "done"} for entry in lines if "error" not in entry
    )
    assert [("error" in entry or entry["done"]) for entry in lines].count(True) == 1
    assert "error" in lines[-1] or lines[-1]["done"]


def test_lines_cut_anywhere() -> None:
    body = b"\n".join(data for _, data in (line({"content": "ä"}), line(CALL), LAST))
    whole = decoded("ollama", lines_of([body]))
    assert decoded("ollama", lines_of(body[i : i + 1] for i in range(len(body)))) == whole
