"""What a foreign client's parameters become for a model of Anthropic's: reasoning, form, sampling, tools."""

import json
from typing import Any

import pytest
from anthropic.types import OutputConfigParam, ThinkingConfigParam
from pydantic import TypeAdapter

from llm_intercept.wire.codec import Context, Target, Untranslatable
from llm_intercept.wire.codecs import anthropic
from llm_intercept.wire.fold import fold
from llm_intercept.wire.ir import (
    Answer,
    Cache,
    Format,
    Message,
    Opaque,
    OpaqueTool,
    Reasoning,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tests.wire.codecs.anthropic_sdk import decoded

HI = Message("user", (Text("hi"),))
TOOL = Tool("look", "looks", {"type": "object", "properties": {}})
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
FORM = Format("schema", SCHEMA, "my answer")
USED = {"input_tokens": 3, "output_tokens": 5}
LIMIT = Sampling(max_tokens=10_000)


def encode(request: Request, **target: Any) -> tuple[dict[str, Any], list[str]]:
    context = Context(target=Target(**target))
    return dict(anthropic.encode_request(request, context).body), context.warnings


def ask(*messages: Message, **members: Any) -> Request:
    return Request("m", messages or (HI,), **members)


@pytest.mark.parametrize(
    ("wish", "target", "thinking", "effort", "warned"),
    [
        (Reasoning(effort="high"), {}, {"type": "enabled", "budget_tokens": 8000}, None, False),
        (Reasoning(effort="minimal"), {}, {"type": "enabled", "budget_tokens": 1024}, None, False),
        (Reasoning(enabled=True), {}, {"type": "enabled", "budget_tokens": 5000}, None, False),
        (Reasoning(budget=500), {}, {"type": "enabled", "budget_tokens": 1024}, None, True),
        (Reasoning(budget=20_000), {}, {"type": "enabled", "budget_tokens": 9999}, None, True),
        (
            Reasoning(budget=9000),
            {"budget_range": (2048, 4096)},
            {"type": "enabled", "budget_tokens": 4096},
            None,
            True,
        ),
        (
            Reasoning(effort="medium", visible=False),
            {"reasoning": "budget"},
            {"type": "enabled", "budget_tokens": 5000, "display": "omitted"},
            None,
            False,
        ),
        (
            Reasoning(effort="minimal"),
            {"reasoning": "adaptive"},
            {"type": "adaptive", "display": "summarized"},
            "low",
            False,
        ),
        (
            Reasoning(budget=12_000),
            {"reasoning": "adaptive"},
            {"type": "adaptive", "display": "summarized"},
            "medium",
            True,
        ),
        (Reasoning(effort="none"), {"reasoning": "adaptive"}, {"type": "disabled"}, None, False),
        (Reasoning(enabled=False), {}, {"type": "disabled"}, None, False),
        (Reasoning(effort="high"), {"reasoning": "none"}, None, None, True),
        (Reasoning(effort="none"), {"reasoning": "none"}, None, None, False),
        (Reasoning(summary="auto"), {}, None, None, False),
        (Reasoning(), {}, None, None, False),
    ],
)
def test_reasoning(
    wish: Reasoning, target: dict[str, Any], thinking: object, effort: str | None, warned: bool
) -> None:
    body, warnings = encode(ask(reasoning=wish, sampling=LIMIT), **target)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert bool(warnings) == warned
    if thinking is not None:
        TypeAdapter(ThinkingConfigParam).validate_python(thinking)
        TypeAdapter(OutputConfigParam).validate_python(body.get("output_config", {}))


def test_a_budget_makes_room_for_an_answer() -> None:
    body, _ = encode(ask(reasoning=Reasoning(budget=30_000)))
    assert body["max_tokens"] > body["thinking"]["budget_tokens"] == 30_000


def test_no_room_for_thinking() -> None:
    body, warnings = encode(ask(reasoning=Reasoning(effort="high"), sampling=Sampling(max_tokens=1000)))
    assert "thinking" not in body
    assert warnings == ["thinking: max_tokens 1000 leaves no room for it; left out"]


@pytest.mark.parametrize(
    ("form", "parts", "thinks"),
    [
        ("budget", (ToolCall("toolu_1", "look"),), False),
        ("budget", (Thinking("hm", "s", "anthropic"), ToolCall("toolu_1", "look")), True),
        ("adaptive", (ToolCall("toolu_1", "look"),), True),
    ],
)
def test_thinking_within_a_loop_of_calls(form: str, parts: tuple[Any, ...], thinks: bool) -> None:
    """With a budget the API wants the thinking that the loop began with."""
    talk = (HI, Message("assistant", parts), Message("user", (ToolResult("toolu_1", (Text("r"),)),)))
    request = ask(*talk, tools=(TOOL,), reasoning=Reasoning(effort="high"), sampling=LIMIT)
    body, warnings = encode(request, reasoning=form)
    assert ("thinking" in body) is thinks
    assert bool(warnings) is not thinks


@pytest.mark.parametrize(
    ("sampling", "expected", "warned"),
    [
        (Sampling(temperature=0.5, top_k=3), {"temperature": 0.5, "top_k": 3}, 0),
        (Sampling(temperature=1.7), {"temperature": 1}, 1),
        (Sampling(temperature=0.5, top_p=0.5), {"temperature": 0.5}, 1),
        (Sampling(temperature=1, top_p=1), {"temperature": 1}, 0),
        (Sampling(stop=("a", "\n", " ")), {"stop_sequences": ["a"]}, 1),
        (Sampling(seed=1, presence_penalty=0.1, frequency_penalty=0, logprobs=True), {}, 3),
        (Sampling(n=1), {}, 0),
    ],
)
def test_sampling(sampling: Sampling, expected: dict[str, Any], warned: int) -> None:
    body, warnings = encode(ask(sampling=sampling))
    assert {k: v for k, v in body.items() if k not in ("model", "max_tokens", "messages")} == expected
    assert len(warnings) == warned


def test_sampling_while_the_model_thinks() -> None:
    sampling = Sampling(10_000, temperature=0.2, top_k=4)
    body, warnings = encode(ask(sampling=sampling, reasoning=Reasoning(effort="low")))
    assert not {"temperature", "top_k"} & body.keys()
    assert len(warnings) == 2
    body, warnings = encode(ask(sampling=Sampling(temperature=0.2)), rejects=frozenset({"temperature"}))
    assert "temperature" not in body
    assert warnings == ["temperature: not taken by this model; left out"]


def test_more_than_one_answer_is_refused() -> None:
    with pytest.raises(Untranslatable, match="n:"):
        encode(ask(sampling=Sampling(n=2)))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), {"type": "auto"}),
        (ToolChoice("required", parallel=False), {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("named", "look"), {"type": "tool", "name": "look"}),
        (ToolChoice("none", parallel=False), {"type": "none"}),
        (None, None),
    ],
)
def test_tool_choice(choice: ToolChoice | None, expected: object) -> None:
    body, warnings = encode(ask(tools=(TOOL,), tool_choice=choice))
    assert body.get("tool_choice") == expected
    assert warnings == []
    assert "tool_choice" not in encode(ask(tool_choice=choice))[0]


def test_a_call_cannot_be_forced_while_the_model_thinks() -> None:
    request = ask(tools=(TOOL,), tool_choice=ToolChoice("required"), reasoning=Reasoning(effort="low"))
    body, warnings = encode(request, reasoning="adaptive")
    assert body["tool_choice"] == {"type": "auto"}
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("tool", "schema", "warned"),
    [
        (Tool("f", schema={}), {"type": "object"}, 0),
        (
            Tool("f", schema=None),
            {"type": "object", "properties": {"input": {}}, "required": ["input"]},
            1,
        ),
        (
            Tool(
                "f",
                schema={
                    "anyOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}}],
                    "properties": {"c": {}},
                    "required": ["c"],
                },
            ),
            {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "required": ["c"]},
            1,
        ),
    ],
)
def test_schemas_of_tools(tool: Tool, schema: dict[str, Any], warned: int) -> None:
    body, warnings = encode(ask(tools=(tool,)))
    found = body["tools"][0]["input_schema"]
    found = {**found, "properties": {k: {} for k in found["properties"]}} if "properties" in found else found
    assert found == schema
    assert len(warnings) == warned


def test_tools_of_other_providers_are_left_out() -> None:
    body, warnings = encode(ask(tools=(OpaqueTool("openai_responses", "web_search", {}),)))
    assert "tools" not in body
    assert warnings == ["tools: web_search is run by another provider (openai_responses); left out"]


def test_strict_is_for_models_that_keep_to_schemas() -> None:
    tool = Tool("f", strict=True)
    assert encode(ask(tools=(tool,)), structured=True)[0]["tools"][0]["strict"] is True
    body, warnings = encode(ask(tools=(tool,)))
    assert "strict" not in body["tools"][0]
    assert len(warnings) == 1


def test_a_schema_natively() -> None:
    body, warnings = encode(ask(format=FORM), structured=True)
    n = {"type": "integer", "description": "(minimum: 1)"}
    schema = {**SCHEMA, "properties": {"n": n}, "additionalProperties": False}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert warnings == []


def test_a_schema_by_a_tool() -> None:
    body, _ = encode(ask(format=FORM))
    assert body["tools"][0]["name"] == "lli_answer_my_answer"
    assert body["tools"][0]["input_schema"] == SCHEMA
    assert body["tool_choice"] == {"type": "tool", "name": "lli_answer_my_answer"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, {"type": "any"}),
        (ToolChoice("auto", parallel=False), {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("none"), {"type": "tool", "name": "lli_answer_my_answer"}),
    ],
)
def test_a_schema_beside_tools(choice: ToolChoice | None, expected: object) -> None:
    body, _ = encode(ask(format=FORM, tools=(TOOL,), tool_choice=choice))
    assert [tool["name"] for tool in body["tools"]] == ["look", "lli_answer_my_answer"]
    assert body["tool_choice"] == expected


def test_a_schema_while_the_model_thinks_is_asked_for_in_words() -> None:
    request = ask(
        Message("system", (Text("s", cache=Cache()),)), HI, format=FORM, reasoning=Reasoning(effort="low")
    )
    body, warnings = encode(request, reasoning="adaptive")
    assert body["tool_choice"] == {"type": "auto"}
    assert body["system"][0] == {"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}
    assert "lli_answer_my_answer" in body["system"][1]["text"]
    assert len(warnings) == 1


def test_any_json_is_asked_for_in_words() -> None:
    body, warnings = encode(ask(format=Format("json")))
    assert "JSON" in body["system"][0]["text"]
    assert len(warnings) == 1


def call_of(name: str, value: Any) -> dict[str, Any]:
    block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": value}
    return {"id": "msg_1", "model": "m", "content": [block], "stop_reason": "tool_use", "usage": USED}


LIST = Format(
    "schema", {"type": "array", "items": {"$ref": "#/$defs/N"}, "$defs": {"N": {"type": "integer"}}}, "l"
)


@pytest.mark.parametrize(
    ("form", "given", "text"), [(FORM, {"n": 1}, '{"n":1}'), (LIST, {"value": [1, 2]}, "[1,2]")]
)
def test_the_call_of_such_a_tool_is_the_answer_s_text(form: Format, given: Any, text: str) -> None:
    tool = encode(ask(format=form))[0]["tools"][0]
    if form is LIST:
        assert tool["input_schema"]["properties"]["value"]["type"] == "array"
        assert tool["input_schema"]["$defs"] == {"N": {"type": "integer"}}
    whole = call_of(tool["name"], given)
    answer = anthropic.decode_answer(whole)
    assert (answer.parts, answer.finish) == ((Text(text),), "stop")
    assert fold(decoded("text/event-stream", [streamed(whole)])) == answer


def streamed(message: dict[str, Any]) -> bytes:
    """The message as a stream, its arguments in pieces of three characters."""
    block = message["content"][0]
    text = json.dumps(block["input"], separators=(",", ":"))
    pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {**block, "input": {}}},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": message["stop_reason"]}, "usage": {}},
        {"type": "message_stop"},
    ]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def test_a_real_call_beside_the_answer_stays_a_call() -> None:
    whole = call_of("lli_answer_x", {"n": 1})
    whole["content"].append({"type": "tool_use", "id": "toolu_2", "name": "look", "input": {}})
    answer = anthropic.decode_answer(whole)
    assert isinstance(answer, Answer)
    assert answer.finish == "tool_calls"
    assert isinstance(answer.parts[1], ToolCall)


def test_a_cache_key_asks_for_a_cached_prefix() -> None:
    request = ask(Message("system", (Text("s"),)), HI, cache_key="k")
    body, _ = encode(request)
    assert body["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert body["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}
    marked = ask(Message("system", (Text("s", cache=Cache("1h")),)), HI, cache_key="k")
    body, _ = encode(marked)
    assert body["system"][-1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert "cache_control" not in body["messages"][-1]["content"][-1]


@pytest.mark.parametrize(
    ("members", "warned"),
    [
        ({"service_tier": "auto"}, []),
        ({"service_tier": "flex"}, ["service_tier"]),
        ({"verbosity": "low"}, ["verbosity"]),
        ({"metadata": {"a": "b"}}, ["metadata"]),
        (
            {"extras": {"openai_chat": {"logit_bias": {"5": 1}, "store": True, "prediction": None}}},
            ["logit_bias"],
        ),
    ],
)
def test_what_is_lost_is_said(members: dict[str, Any], warned: list[str]) -> None:
    _, warnings = encode(ask(**members))
    assert [warning.partition(":")[0] for warning in warnings] == warned


@pytest.mark.parametrize(
    ("part", "expected", "warned"),
    [
        (Opaque("gemini", {"executableCode": {}}, "print(1)"), [{"type": "text", "text": "print(1)"}], 0),
        (Opaque("gemini", {"x": {}}), [], 1),
        (Text("a", ({"url": "u"},), extras={"openai_chat": {}}), [{"type": "text", "text": "a"}], 1),
    ],
)
def test_parts_of_other_dialects(part: Any, expected: list[Any], warned: int) -> None:
    body, warnings = encode(ask(Message("user", (Text("x"), part))))
    assert body["messages"][0]["content"][1:] == expected
    assert len(warnings) == warned
