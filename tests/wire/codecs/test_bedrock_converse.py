"""Converse by tables: what each part becomes on the wire, what is dropped, the grammar of every stream."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import EventStreamError
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_intercept.wire.codec import Context, Target, Untranslatable
from llm_intercept.wire.codecs import bedrock_converse as codec
from llm_intercept.wire.fold import fold, unfold
from llm_intercept.wire.framing.eventstream import encode
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
    Opaque,
    OpaqueTool,
    Part,
    PartDelta,
    PartEnded,
    PartStarted,
    Reasoning,
    RefusalText,
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
from tests.wire.codecs import amazon
from tests.wire.codecs.test_bedrock_converse_laws import decoded, encoded, gathered, grammar

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
SONNET_5 = "us.anthropic.claude-sonnet-5"
OLD = "anthropic.claude-3-5-sonnet-20240620-v1:0"
NOVA = "us.amazon.nova-2-lite-v1:0"
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"
NAME = codec.NAME
PNG = "iVBORw0KGgoAAAANSUhEUg=="
TOOL = Tool("search", "finds", {"type": "object", "properties": {"q": {"type": "string"}}})


def sent(model: str = CLAUDE, *messages: Message, **rest: Any) -> tuple[dict[str, Any], list[str]]:
    """The body for Bedrock, valid for Amazon, and the warnings."""
    turns = messages or (Message("user", (Text("hi"),)),)
    context = Context(target=rest.pop("target", Target(model=model)))
    body = codec.encode_request(Request(model, turns, **rest), context).body
    assert amazon.faults(body) == []
    return dict(body), context.warnings


def user(*parts: Part) -> Message:
    return Message("user", parts)


def content(*parts: Part, model: str = CLAUDE) -> tuple[list[Any], list[str]]:
    """What the last turn says; results have their calls before them, in tools that are declared."""
    calls = [ToolCall(part.call_id, "f") for part in parts if isinstance(part, ToolResult)]
    turns = [user(Text("see")), Message("assistant", tuple(calls))] if calls else []
    rest = {"tools": (Tool("f"),)} if calls else {}
    first = () if calls else (Text("see"),)
    body, warnings = sent(model, *turns, user(*first, *parts), **rest)
    return body["messages"][-1]["content"][len(first) :], warnings


BLOCKS: list[tuple[dict[str, Any], Part]] = [
    ({"text": "hi"}, Text("hi")),
    (
        {"image": {"format": "png", "source": {"bytes": PNG}}},
        Media("image", "image/png", data=PNG),
    ),
    (
        {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/a.jpg"}}}},
        Media("image", "image/jpeg", url="s3://bucket/a.jpg"),
    ),
    (
        {"document": {"format": "pdf", "name": "report", "source": {"bytes": "JVBERi0="}}},
        Media("document", "application/pdf", data="JVBERi0=", name="report"),
    ),
    (
        {"document": {"format": "md", "name": "notes", "source": {"bytes": b64encode(b"# Hi").decode()}}},
        Media("document", "text/markdown", text="# Hi", name="notes"),
    ),
    (
        {"video": {"format": "three_gp", "source": {"bytes": "AAAA"}}},
        Media("video", "video/3gpp", data="AAAA"),
    ),
    ({"audio": {"format": "wav", "source": {"bytes": "AAAA"}}}, Media("audio", "audio/wav", data="AAAA")),
    (
        {"toolUse": {"toolUseId": "t_1", "name": "search", "input": {"q": "x", "n": 1, "f": 2.0}}},
        ToolCall("t_1", "search", '{"q":"x","n":1,"f":2.0}'),
    ),
    (
        {
            "toolResult": {
                "toolUseId": "t_1",
                "content": [{"text": "a"}, {"json": {"b": [1, 2.5]}}],
                "status": "error",
            }
        },
        ToolResult("t_1", (Text("a"), Text('{"b":[1,2.5]}', extras={NAME: {"member": "json"}})), True),
    ),
    (
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
        Thinking("hm", "c2ln", NAME),
    ),
    ({"reasoningContent": {"redactedContent": "c2ln"}}, Thinking("", "c2ln", NAME, redacted=True)),
    (
        {"guardContent": {"text": {"text": "x", "qualifiers": ["query"]}}},
        Opaque(NAME, {"guardContent": {"text": {"text": "x", "qualifiers": ["query"]}}}, "x"),
    ),
    (
        {"citationsContent": {"content": [{"text": "20 days."}], "citations": [{"title": "policy"}]}},
        Text("20 days.", ({"title": "policy"},), extras={NAME: {}}),
    ),
    ({"fresh": {"a": 1}}, Opaque(NAME, {"fresh": {"a": 1}})),
]


@pytest.mark.parametrize(
    ("block", "part"), BLOCKS, ids=lambda value: next(iter(value)) if isinstance(value, dict) else ""
)
def test_blocks(block: dict[str, Any], part: Part) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "see"}, block]}]}
    request = codec.decode_request(body, CLAUDE, False)
    assert request.messages == (user(Text("see"), part),)
    context = Context(target=Target(model=CLAUDE))
    assert codec.encode_request(request, context).body["messages"] == body["messages"]
    assert codec.decode_answer({"output": {"message": {"content": [block]}}}).parts == (part,)


def test_a_cache_point_marks_what_stands_before_it() -> None:
    point = {"cachePoint": {"type": "default"}}
    hour = {"cachePoint": {"type": "default", "ttl": "1h"}}
    spec = {"toolSpec": {"name": "search", "inputSchema": {"json": {"type": "object"}}}}
    body = {
        "system": [{"text": "be kind"}, hour],
        "messages": [{"role": "user", "content": [{"text": "a"}, point, {"text": "b"}]}],
        "toolConfig": {"tools": [spec, point]},
    }
    request = codec.decode_request(body, CLAUDE, False)
    assert request.messages == (
        Message("system", (Text("be kind", cache=Cache("1h")),)),
        user(Text("a", cache=Cache()), Text("b")),
    )
    assert request.tools == (Tool("search", schema={"type": "object"}, cache=Cache()),)
    assert codec.encode_request(request, Context()).body == body


@pytest.mark.parametrize(
    ("model", "system", "tools"), [(CLAUDE, True, True), (NOVA, True, False), (LLAMA, False, False)]
)
def test_cache_points_where_the_model_takes_them(model: str, system: bool, tools: bool) -> None:
    first = Message("system", (Text("s", cache=Cache()),))
    tool = Tool("search", cache=Cache())
    body, warnings = sent(model, first, user(Text("hi")), tools=(tool,))
    assert ("cachePoint" in str(body["system"])) is system
    assert ("cachePoint" in str(body["toolConfig"])) is tools
    assert len(warnings) == (not system) + (not tools)


def test_turns_take_turns_and_the_user_begins() -> None:
    body, warnings = sent(
        CLAUDE,
        Message("system", (Text("one"),)),
        Message("developer", (Text("two"),)),
        Message("assistant", (Text("hello"),)),
        user(Text("a")),
        user(Text(""), Text("b")),
        Message("system", (Text("three"),)),
        Message("assistant", (Text(""),)),
    )
    assert body["system"] == [{"text": "one"}, {"text": "two"}]
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "Please continue."}]},
        {"role": "assistant", "content": [{"text": "hello"}]},
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}, {"text": "three"}]},
    ]
    assert len(warnings) == 2


def test_a_system_message_among_the_turns_stays_there() -> None:
    turns = [{"role": role, "content": [{"text": "x"}]} for role in ("user", "system", "user")]
    request = codec.decode_request({"messages": turns}, CLAUDE, False)
    assert request.messages[1].role == "system"
    assert codec.encode_request(request, Context()).body["messages"] == turns


SAID = [
    (Media("image", "image/png", data=PNG), {"image": {"format": "png", "source": {"bytes": PNG}}}, 0),
    (Media("image", "", data=PNG), {"image": {"format": "png", "source": {"bytes": PNG}}}, 0),
    (
        Media("image", "image/png", url=f"data:image/png;base64,{PNG}"),
        {"image": {"format": "png", "source": {"bytes": PNG}}},
        0,
    ),
    (Media("image", url="https://a.b/c.png"), {"text": "[image left out: https://a.b/c.png]"}, 1),
    (Media("image", "image/bmp", data="Qk0="), {"text": "[image left out: image/bmp]"}, 1),
    (Media("document", file_id="file-1", name="a.pdf"), {"text": "[document left out: a.pdf]"}, 1),
    (
        Media("document", "text/plain", text="plain", name="my_ notes: (v1).txt"),
        {"document": {"format": "txt", "name": "my_ notes (v1)", "source": {"bytes": "cGxhaW4="}}},
        0,
    ),
    (RefusalText("no"), {"text": "no"}, 0),
    (Opaque("anthropic", {"type": "web_search_tool_result"}, "found it"), {"text": "found it"}, 1),
    (
        ToolCall("call|1", "search", ' {"a": 1}'),
        {"toolUse": {"toolUseId": "tooluse_", "name": "search", "input": {"a": 1}}},
        1,
    ),
    (
        ToolCall("c1", "apply", "*** patch", custom=True),
        {"toolUse": {"toolUseId": "c1", "name": "apply", "input": {"input": "*** patch"}}},
        2,
    ),
    (
        ToolResult("c1", (Text(""),)),
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "(no output)"}]}},
        0,
    ),
    (
        ToolResult("c1", (Text("x"), Media("image", "image/png", data=PNG))),
        {
            "toolResult": {
                "toolUseId": "c1",
                "content": [{"text": "x"}, {"image": {"format": "png", "source": {"bytes": PNG}}}],
            }
        },
        0,
    ),
]


@pytest.mark.parametrize(("part", "block", "warned"), SAID, ids=lambda value: type(value).__name__)
def test_parts_of_other_dialects(part: Part, block: dict[str, Any], warned: int) -> None:
    found, warnings = content(part)
    if block.get("toolUse", {}).get("toolUseId") == "tooluse_":
        call_id = found[0]["toolUse"]["toolUseId"]
        assert call_id.startswith("tooluse_")
        block = {"toolUse": block["toolUse"] | {"toolUseId": call_id}}
    assert found == [block]
    assert len(warnings) == warned, warnings


DROPPED = [
    Thinking("hm", "sig", "anthropic"),
    Thinking("hm", "", ""),
    Thinking("hm", "", NAME),
    Thinking("", "x", "openai_responses", redacted=True),
    Opaque("anthropic", {"type": "server_tool_use"}),
]


@pytest.mark.parametrize("part", DROPPED, ids=str)
def test_what_cannot_be_said_is_dropped_with_a_word(part: Part) -> None:
    found, warnings = content(part)
    assert (found, len(warnings)) == ([], 1)


def test_documents_have_names_of_their_own_and_a_text() -> None:
    pdf = Media("document", "application/pdf", data="JVBERi0=")
    body, _ = sent(CLAUDE, user(pdf, pdf), Message("assistant", (Text("ok"),)), user(pdf, Text("?")))
    names = [b["document"]["name"] for m in body["messages"] for b in m["content"] if "document" in b]
    assert names == ["document", "document 2", "document 3"]
    assert body["messages"][0]["content"][-1] == {"text": "See the document."}


def test_images_for_a_model_that_sees_nothing() -> None:
    target = Target(model=LLAMA, images=False)
    body, warnings = sent(LLAMA, user(Media("image", "image/png", data=PNG)), target=target)
    assert body["messages"][0]["content"] == [{"text": "[image left out: image/png]"}]
    assert len(warnings) == 1


def test_tools() -> None:
    tools = (
        TOOL,
        Tool("patch", schema=None),
        OpaqueTool("anthropic", "web_search", {}),
        Tool("a.b", "", {}, True),
    )
    body, warnings = sent(tools=tools, tool_choice=ToolChoice("named", "a.b", parallel=False))
    specs = [tool["toolSpec"] for tool in body["toolConfig"]["tools"]]
    assert specs[0] == {"name": "search", "description": "finds", "inputSchema": {"json": TOOL.schema}}
    assert specs[1]["inputSchema"]["json"]["required"] == ["input"]
    assert specs[2]["name"].startswith("a_b_")
    assert specs[2]["strict"] is True
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": specs[2]["name"]}}
    assert [warning.partition(":")[0] for warning in warnings] == ["tools"] * 3 + ["tool_choice.parallel"]


def test_a_shortened_name_comes_back_as_the_client_knows_it() -> None:
    long = "mcp__server__" + "x" * 80
    request = Request(CLAUDE, (user(Text("hi")),), (Tool(long),))
    body = codec.encode_request(request, Context(target=Target(model=CLAUDE))).body
    name = body["toolConfig"]["tools"][0]["toolSpec"]["name"]
    assert len(name) == 64
    context = Context(request=request)
    answer = Answer("", "", (ToolCall("t", name),), "tool_calls")
    whole = codec.encode_answer(answer, context)
    assert whole["output"]["message"]["content"][0]["toolUse"]["name"] == long
    assert gathered(amazon.events(encoded(unfold(answer), context)))[1][0][1] == long


CHOICES = [
    (ToolChoice("auto"), CLAUDE, {"auto": {}}),
    (ToolChoice("required"), CLAUDE, {"any": {}}),
    (ToolChoice("named", "search"), CLAUDE, {"tool": {"name": "search"}}),
    (ToolChoice("none"), CLAUDE, None),
    (ToolChoice("required"), LLAMA, None),
    (ToolChoice("auto"), LLAMA, None),
]


@pytest.mark.parametrize(("choice", "model", "wanted"), CHOICES)
def test_tool_choice(choice: ToolChoice, model: str, wanted: Mapping[str, Any] | None) -> None:
    body, warnings = sent(model, tools=(TOOL,), tool_choice=choice)
    assert body["toolConfig"].get("toolChoice") == wanted
    assert len(body["toolConfig"]["tools"]) == 1
    assert len(warnings) == (wanted is None and choice.mode != "auto")


def test_a_history_with_calls_needs_tools() -> None:
    call, result = ToolCall("t", "search", "{}"), ToolResult("t", (Text("x"),))
    body, warnings = sent(CLAUDE, user(Text("?")), Message("assistant", (call,)), user(result))
    assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["search"]
    assert len(warnings) == 1
    body, warnings = sent(CLAUDE, user(result))
    assert body["messages"] == [{"role": "user", "content": [{"text": "[tool result] x"}]}]
    assert "toolConfig" not in body
    assert warnings == ["messages: a tool result without its call became text"]


BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 4096}}
ADAPTIVE = {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}}
REASONING: list[tuple[Reasoning, Target, Any]] = [
    (Reasoning(True, budget=4096), Target(model=CLAUDE), BUDGET),
    (Reasoning(effort="low"), Target(model=CLAUDE), BUDGET),
    (Reasoning(effort="low"), Target(model=SONNET_5), ADAPTIVE),
    (Reasoning(effort="low"), Target(model="profile", reasoning="adaptive"), ADAPTIVE),
    (Reasoning(True, budget=4000), Target(model="profile", reasoning="adaptive"), ADAPTIVE),
    (Reasoning(True, effort="low", adaptive=True), Target(model=CLAUDE), BUDGET),
    (
        Reasoning(True, budget=1),
        Target(model=CLAUDE),
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    ),
    (
        Reasoning(True, budget=64000),
        Target(model=CLAUDE, budget_range=(1024, 16000)),
        {"thinking": {"type": "enabled", "budget_tokens": 16000}},
    ),
    (
        Reasoning(effort="high"),
        Target(model=SONNET_5, reasoning="effort"),
        {"output_config": {"effort": "high"}},
    ),
    (
        Reasoning(True, adaptive=True, visible=False),
        Target(model=SONNET_5),
        {"thinking": {"type": "adaptive", "display": "omitted"}},
    ),
    (Reasoning(enabled=False), Target(model=CLAUDE), {"thinking": {"type": "disabled"}}),
    (Reasoning(effort="none"), Target(model=CLAUDE), {"thinking": {"type": "disabled"}}),
    (Reasoning(effort="high"), Target(model=CLAUDE, reasoning="none"), None),
    (Reasoning(effort="high"), Target(model=LLAMA), None),
    (
        Reasoning(effort="minimal"),
        Target(model=NOVA),
        {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
    ),
    (Reasoning(enabled=False), Target(model=NOVA), {"reasoningConfig": {"type": "disabled"}}),
    (Reasoning(effort="xhigh"), Target(model="openai.gpt-oss-120b-1:0"), {"reasoning_effort": "high"}),
    (Reasoning(effort="none"), Target(model="openai.gpt-oss-120b-1:0"), {"reasoning_effort": "low"}),
]


@pytest.mark.parametrize(("reasoning", "target", "fields"), REASONING)
def test_reasoning(reasoning: Reasoning, target: Target, fields: Any) -> None:
    body, warnings = sent(target.model, target=target, reasoning=reasoning)
    assert body.get("additionalModelRequestFields") == fields
    assert bool(warnings) is (fields is None or "reasoning" in str(warnings))


def test_reasoning_restricts_the_rest() -> None:
    sampling = Sampling(max_tokens=2000, temperature=0.5, top_p=0.9, top_k=4)
    body, warnings = sent(
        tools=(TOOL,),
        tool_choice=ToolChoice("required"),
        sampling=sampling,
        reasoning=Reasoning(effort="high"),
    )
    assert body["inferenceConfig"] == {"maxTokens": 2000}
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 1600}}
    assert body["toolConfig"]["toolChoice"] == {"auto": {}}
    assert len(warnings) == 4


def test_no_room_for_reasoning() -> None:
    body, warnings = sent(sampling=Sampling(max_tokens=800), reasoning=Reasoning(effort="high"))
    assert "additionalModelRequestFields" not in body
    assert len(warnings) == 1


def test_a_turn_under_way_without_reasoning_goes_on_without_it() -> None:
    turns = (
        user(Text("?")),
        Message("assistant", (Thinking("hm", "s", "anthropic"), ToolCall("t", "search"))),
        user(ToolResult("t", (Text("x"),))),
    )
    body, warnings = sent(CLAUDE, *turns, tools=(TOOL,), reasoning=Reasoning(effort="high"))
    assert "additionalModelRequestFields" not in body
    assert len(warnings) == 2
    own = Message("assistant", (Thinking("hm", "s", NAME), ToolCall("t", "search")))
    body, warnings = sent(CLAUDE, turns[0], own, turns[2], tools=(TOOL,), reasoning=Reasoning(effort="high"))
    assert "additionalModelRequestFields" in body
    assert warnings == []


def test_sampling() -> None:
    sampling = Sampling(9000, 1.5, 0.5, 40, ("END", ""), 7, 0.1, 0.2, 1, True, 3)
    target = Target(model=NOVA, max_output=5000, rejects=frozenset({"top_p"}))
    body, warnings = sent(
        NOVA, target=target, sampling=sampling, verbosity="low", metadata={"a": "b"}, user="u"
    )
    assert body["inferenceConfig"] == {"maxTokens": 5000, "temperature": 1.0, "stopSequences": ["END"]}
    assert body["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 40}}
    names = ["max_tokens", "seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"]
    said = [warning.partition(":")[0] for warning in warnings]
    assert sorted(said) == sorted([*names, "verbosity", "metadata", "user", "temperature", "top_p"])


def test_several_answers_are_refused() -> None:
    with pytest.raises(Untranslatable, match=r"^n:"):
        sent(sampling=Sampling(n=2))


SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "object", "properties": {}},
        "n": {"type": "integer", "description": "a number", "minimum": 1},
    },
}


def test_structured_output() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "string"}}}
    schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "a": inner}}
    asked = Format("schema", schema, "thing", "a thing")
    body, warnings = sent(CLAUDE, format=asked)
    definition = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert (definition["name"], definition["description"]) == ("thing", "a thing")
    schema = json.loads(definition["schema"])
    assert schema["properties"]["a"]["additionalProperties"] is False
    assert schema["properties"]["n"] == {"type": "integer", "description": "a number (minimum: 1)"}
    assert len(warnings) == 1
    assert sent(CLAUDE, format=Format("text")) == sent(CLAUDE)


def test_structured_output_in_words() -> None:
    """Where no tool can be forced, and for JSON without a schema."""
    asked = Format("schema", SCHEMA, "thing")
    thinking = Reasoning(True, budget=2000)
    for body, warnings in (
        sent(LLAMA, format=asked),
        sent(OLD, format=asked, reasoning=thinking),
        sent(CLAUDE, format=Format("json")),
    ):
        assert "outputConfig" not in body
        assert "toolConfig" not in body
        assert "JSON" in body["system"][-1]["text"]
        assert len(warnings) == 1


def forced(**rest: Any) -> tuple[list[str], Any]:
    body, warnings = sent(rest.pop("model", OLD), **rest)
    assert warnings == []
    config = body["toolConfig"]
    return [tool["toolSpec"]["name"] for tool in config["tools"]], config["toolChoice"]


def test_structured_output_as_a_call() -> None:
    asked = Format("schema", SCHEMA, "a thing")
    assert forced(format=asked) == (["lli_answer_a_thing"], {"tool": {"name": "lli_answer_a_thing"}})
    assert forced(model=NOVA, format=asked)[0] == ["lli_answer_a_thing"]
    assert forced(format=asked, tools=(TOOL,)) == (["search", "lli_answer_a_thing"], {"any": {}})
    assert forced(format=Format("schema", {"type": "array"}))[0] == ["lli_value_json"]
    target = Target(model=CLAUDE, structured=False)
    assert forced(target=target, format=asked)[0] == ["lli_answer_a_thing"]


@pytest.mark.parametrize(
    ("name", "given", "text"),
    [("lli_answer_x", {"a": 1}, '{"a":1}'), ("lli_value_x", {"value": [1, 2]}, "[1,2]")],
)
def test_a_call_that_is_the_answer_is_text(name: str, given: Any, text: str) -> None:
    block = {"toolUse": {"toolUseId": "t", "name": name, "input": given}}
    body = {"output": {"message": {"content": [block]}}, "stopReason": "tool_use"}
    answer = codec.decode_answer(body)
    assert (answer.parts, answer.finish) == ((Text(text),), "stop")
    streamed = fold(
        feed(
            (
                "contentBlockStart",
                {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": name}}},
            ),
            (
                "contentBlockDelta",
                {"contentBlockIndex": 0, "delta": {"toolUse": {"input": json.dumps(given)[:4]}}},
            ),
            (
                "contentBlockDelta",
                {"contentBlockIndex": 0, "delta": {"toolUse": {"input": json.dumps(given)[4:]}}},
            ),
            ("contentBlockStop", {"contentBlockIndex": 0}),
            ("messageStop", {"stopReason": "tool_use"}),
        )
    )
    assert isinstance(streamed, Answer)
    assert streamed.finish == "stop"
    assert json.loads(streamed.parts[0].text) == json.loads(text)  # type: ignore[union-attr]


def test_a_calls_signature_comes_back_to_its_call() -> None:
    calls = (ToolCall("t1", "a", "{}", "sig1", "gemini"), ToolCall("t2", "b", "{}", "sig2", "gemini"))
    answer = Answer("", "", calls, "tool_calls")
    message = codec.encode_answer(answer, Context())["output"]["message"]
    assert codec.decode_request({"messages": [message]}, "", False).messages[0].parts == calls
    written = amazon.events(encoded(unfold(answer)))
    grammar(written)
    blocks = [e["contentBlockDelta"]["delta"] for e in written if "contentBlockDelta" in e]
    assert [next(iter(block)) for block in blocks] == ["toolUse", "reasoningContent"] * 2
    request = Request(CLAUDE, (user(Text("?")), Message("assistant", calls)), (TOOL,))
    assert "reasoningContent" not in str(codec.encode_request(request, Context()).body)


def test_service_tiers() -> None:
    tiers = {"priority": "priority", "standard_only": "default", "flex": "flex"}
    for tier, wanted in tiers.items():
        assert sent(service_tier=tier)[0]["serviceTier"] == {"type": wanted}
    assert "serviceTier" not in sent(service_tier="auto")[0]
    assert len(sent(service_tier="scale")[1]) == 1


def test_members_without_a_word_survive() -> None:
    body = {
        "messages": [{"role": "user", "content": [{"text": "x"}]}],
        "inferenceConfig": {"maxTokens": 5, "fresh": 1},
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "performanceConfig": {"latency": "optimized"},
        "requestMetadata": {"team": "a"},
        "additionalModelRequestFields": {"anthropic_beta": ["x"], "top_k": 3},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }
    request = codec.decode_request(body, CLAUDE, False)
    assert request.sampling == Sampling(max_tokens=5, top_k=3)
    assert codec.encode_request(request, Context()).body == body


def test_members_of_others_are_told() -> None:
    extras = {"anthropic": {"context_management": {"edits": [1]}, "id": 1, "container": None}}
    assert sent(extras=extras)[1] == ["context_management: not known to Converse"]


def test_signatures_travel_through_the_client() -> None:
    thought = Thinking("hm", "sig", "anthropic")
    hidden = Thinking("", "enc", "openai_responses", redacted=True)
    answer = Answer("", "", (thought, hidden, Text("x")), "stop")
    whole = codec.encode_answer(answer, Context())
    message = whole["output"]["message"]
    assert message["content"][0]["reasoningContent"]["reasoningText"]["signature"] == "lli1.anthropic.sig"
    back = codec.decode_request({"messages": [{"role": "user", "content": []}, message]}, "", False)
    assert back.messages[1].parts == answer.parts
    assert fold(decoded([encoded(unfold(answer))])).parts == (thought, hidden, Text("x", extras={NAME: {}}))  # type: ignore[union-attr]


FINISHES = [
    ("end_turn", "stop", "end_turn"),
    ("tool_use", "tool_calls", "tool_use"),
    ("max_tokens", "length", "max_tokens"),
    ("stop_sequence", "stop_sequence", "stop_sequence"),
    ("guardrail_intervened", "content_filter", "guardrail_intervened"),
    ("content_filtered", "content_filter", "content_filtered"),
    ("malformed_tool_use", "error", "malformed_tool_use"),
    ("model_context_window_exceeded", "overflow", "model_context_window_exceeded"),
    ("fresh", "other", "fresh"),
]


@pytest.mark.parametrize(("reason", "finish", "again"), FINISHES)
def test_finish(reason: str, finish: str, again: str) -> None:
    answer = codec.decode_answer({"stopReason": reason, "output": {"message": {"content": [{"text": "x"}]}}})
    assert answer.finish == finish
    assert codec.encode_answer(answer, Context())["stopReason"] == again


def test_calls_finish_with_tool_use_whatever_is_said() -> None:
    answer = Answer("", "", (ToolCall("t", "search"),), "stop")
    assert codec.encode_answer(answer, Context())["stopReason"] == "tool_use"
    assert (
        codec.decode_answer({**codec.encode_answer(answer, Context()), "stopReason": "end_turn"}).finish
        == "tool_calls"
    )


def test_usage_and_no_made_up_figures() -> None:
    usage = Usage(input=100, output=5, cache_read=60, cache_write=30, cache_write_1h=10)
    body = codec.encode_answer(Answer("", "", (), "stop", usage), Context())
    assert body["usage"] == {
        "inputTokens": 10,
        "outputTokens": 5,
        "totalTokens": 105,
        "cacheReadInputTokens": 60,
        "cacheWriteInputTokens": 30,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 10}, {"ttl": "5m", "inputTokens": 20}],
    }
    assert codec.decode_answer(body).usage == usage
    assert "metrics" not in body
    unknown = codec.encode_answer(Answer("", "", (), "stop"), Context(input_estimate=7))["usage"]
    assert unknown == {"inputTokens": 7, "outputTokens": 0, "totalTokens": 7}


def call(index: int, *pieces: str) -> list[Event]:
    return [
        PartStarted(index, ToolCall(f"t{index}", f"tool{index}", "")),
        *(PartDelta(index, p) for p in pieces),
    ]


def test_interleaved_calls_become_blocks_one_after_the_other() -> None:
    events: list[Event] = [
        Started("x", "m"),
        PartStarted(0, Text("")),
        PartDelta(0, "a"),
        *call(1, '{"q"'),
        *call(2, '{"r"'),
        PartDelta(1, ":1}"),
        PartDelta(2, ":2}"),
        *call(3),
        PartDelta(0, "b"),
        Finished("tool_calls", Usage(1, 2)),
    ]
    written = amazon.events(encoded(events))
    grammar(written)
    texts, calls, _ = gathered(written)
    assert "".join(texts) == "ab"
    assert calls == [("t1", "tool1", {"q": 1}), ("t2", "tool2", {"r": 2}), ("t3", "tool3", {})]
    assert written[-1] == {"metadata": {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}}}


def test_a_text_block_has_no_start_and_an_empty_one_no_frames() -> None:
    encoder = codec.encoder(Context())
    frames = [f for e in unfold(Answer("", "", (Text(""), Text("x")), "stop")) for f in encoder.feed(e)]
    names = [name for name, _ in frames]
    assert names == ["messageStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]


def test_servers_tools_and_images_in_a_stream() -> None:
    use = {
        "toolUse": {"toolUseId": "t", "name": "nova_grounding", "type": "server_tool_use", "input": {"q": 1}}
    }
    result = {"toolResult": {"toolUseId": "t", "type": "nova_grounding_result", "content": [{"text": "x"}]}}
    parts = (
        Opaque(NAME, use),
        Opaque(NAME, result),
        Media("image", "image/png", data=PNG),
        Opaque("anthropic", {"type": "x"}, "words"),
    )
    answer = Answer("", "", parts, "stop")
    written = encoded(unfold(answer))
    grammar(amazon.events(written))
    again = fold(decoded([written]))
    assert isinstance(again, Answer)
    assert again.parts == (*parts[:3], Text("words", extras={NAME: {}}))


def feed(*frames: tuple[str, Any]) -> list[Event]:
    decoder = codec.decoder()
    data = (
        (name, value if isinstance(value, bytes) else json.dumps(value).encode()) for name, value in frames
    )
    return [event for name, value in data for event in decoder.feed(name, value)] + list(decoder.close())


TEXT = ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "a"}})
STOP = ("messageStop", {"stopReason": "end_turn"})


def test_streams_out_of_order() -> None:
    metadata = ("metadata", {"usage": {"inputTokens": 3, "outputTokens": 4}})
    for frames in ([TEXT, STOP, metadata], [TEXT, metadata, STOP], [TEXT, STOP, metadata, TEXT, STOP]):
        answer = fold(feed(*frames))
        assert isinstance(answer, Answer)
        assert (answer.parts, answer.usage) == ((Text("a", extras={NAME: {}}),), Usage(3, 4))
    assert fold(feed(TEXT, STOP)).usage == Usage()  # type: ignore[union-attr]
    assert fold(feed(TEXT)).kind == "upstream"  # type: ignore[union-attr]


def test_empty_starts_and_text_after_other_blocks() -> None:
    empty = ("contentBlockStart", {"contentBlockIndex": 0, "start": {}})
    thought = ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}})
    answer = fold(feed(empty, thought, TEXT, ("unknown", {}), ("messageStart", b"{half"), STOP))
    assert isinstance(answer, Answer)
    assert answer.parts == (Thinking("hm", origin=NAME), Text("a", extras={NAME: {}}))


EXCEPTIONS = [
    ("throttlingException", "slow", "rate_limit", 429, "throttlingException"),
    ("validationException", "bad", "invalid_request", 400, "validationException"),
    ("validationException", "Input is too long for requested model.", "overflow", 400, "validationException"),
    ("internalServerException", "oops", "internal", 500, "internalServerException"),
    ("serviceUnavailableException", "later", "unavailable", 503, "serviceUnavailableException"),
    ("modelStreamErrorException", "broke", "upstream", 502, "modelStreamErrorException"),
    ("modelTimeoutException", "slow", "timeout", 408, "modelStreamErrorException"),
]


@pytest.mark.parametrize(("name", "message", "kind", "status", "again"), EXCEPTIONS)
def test_exceptions_in_a_stream(name: str, message: str, kind: str, status: int, again: str) -> None:
    events = feed(TEXT, (name, {"message": message}), TEXT)
    assert events[-1] == Failed(Failure(kind, message, status, name))
    with pytest.raises(EventStreamError, match=again):
        amazon.events(encoded(events))


def test_a_stream_that_ends_early_says_so() -> None:
    with pytest.raises(EventStreamError, match="modelStreamErrorException"):
        amazon.events(encoded([Started("", ""), PartStarted(0, Text("")), PartDelta(0, "x")]))


ERRORS = [
    (400, {"x-amzn-ErrorType": "ValidationException:http://x"}, b'{"message":"bad"}', "invalid_request"),
    (
        400,
        {},
        b'{"message":"Input is too long for requested model.","__type":"a#ValidationException"}',
        "overflow",
    ),
    (
        429,
        {"x-amzn-errortype": "ThrottlingException", "Retry-After": "7"},
        b'{"message":"slow"}',
        "rate_limit",
    ),
    (403, {"x-amzn-errortype": "ExpiredTokenException"}, b'{"message":"old"}', "authentication"),
    (403, {"x-amzn-errortype": "AccessDeniedException"}, b'{"Message":"no"}', "permission"),
    (404, {}, b"not json", "not_found"),
    (503, {}, b"", "unavailable"),
    (424, {"x-amzn-errortype": "ModelErrorException"}, b"{}", "upstream"),
]


@pytest.mark.parametrize(("status", "headers", "body", "kind"), ERRORS)
def test_errors(status: int, headers: dict[str, str], body: bytes, kind: str) -> None:
    failure = codec.decode_error(status, headers, body)
    assert (failure.kind, failure.status) == (kind, status)
    assert failure.retry_after == (7.0 if "Retry-After" in headers else None)


KINDS = ["overflow", "rate_limit", "budget", "permission", "authentication", "timeout", "internal", "strange"]


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_typed_for_boto3(kind: str) -> None:
    failure = Failure(kind, "words", 500, retry_after=2.0)
    status, headers, body = codec.encode_error(failure, "req-1")
    parsed = amazon.answer(body, status, {name.lower(): value for name, value in headers.items()})
    assert parsed["Error"]["Code"].endswith("Exception")
    assert "words" in parsed["Error"]["Message"]
    assert headers["retry-after"] == "2"
    if kind == "overflow":
        assert parsed["Error"]["Message"].startswith("Input is too long for requested model.")
        assert codec.decode_error(status, headers, body).kind == kind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from(
    [
        "text",
        "toolUse",
        "toolResult",
        "reasoningContent",
        "redactedContent",
        "image",
        "document",
        "cachePoint",
    ]
)
KEYS = st.sampled_from(["delta", "start", "contentBlockIndex", "usage", "stopReason", "message"])
VALUES = JSON | st.dictionaries(WORDS, JSON | st.dictionaries(WORDS, JSON), max_size=2)
FRAMES = st.tuples(
    st.sampled_from(
        [
            "messageStart",
            "contentBlockStart",
            "contentBlockDelta",
            "contentBlockStop",
            "messageStop",
            "metadata",
            "aException",
        ]
    ),
    st.dictionaries(KEYS, VALUES, max_size=3).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=9),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(FRAMES, max_size=8))
def test_the_decoder_is_total(frames: list[tuple[str, bytes]]) -> None:
    decoder = codec.decoder()
    events = [event for name, data in frames for event in decoder.feed(name, data)] + list(decoder.close())
    assert isinstance(events[-1], Finished | Failed)
    assert isinstance(fold(events), Answer | Failure)
    assert list(decoder.close()) == []


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["output", "usage", "stopReason", "metrics"]), JSON | VALUES), JSON)
def test_answers_and_errors_are_read_whatever_they_are(body: dict[str, Any], inner: Any) -> None:
    answer = codec.decode_answer(body)
    codec.encode_answer(answer, Context())
    codec.decode_answer({"output": {"message": {"content": [{"toolUse": inner}, {"image": inner}, inner]}}})
    codec.decode_error(400, {}, json.dumps(inner).encode())


INDEX = st.integers(0, 3)
STARTS: st.SearchStrategy[Part] = st.sampled_from(
    [
        Text(""),
        Thinking(),
        Thinking("", "enc", "anthropic", redacted=True),
        ToolCall("a b", "t", ""),
        ToolCall("c", "t", "", custom=True),
        RefusalText(""),
        Media("image", "image/png", data=PNG),
        Media("image", url="https://x/y.png"),
        Opaque("x", {}),
    ]
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(PartStarted, INDEX, STARTS),
    st.builds(
        PartDelta, INDEX, st.sampled_from(["", "a", "{}"]), st.sampled_from(["", "sig"]), st.just("gemini")
    ),
    st.builds(PartEnded, INDEX),
    st.just(Started("i", "m")),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=14))
def test_the_encoder_keeps_the_grammar(events: list[Event]) -> None:
    done = Finished("stop", Usage(1, 1))
    encoder = codec.encoder(Context())
    frames = [frame for event in [*events, done, done] for frame in encoder.feed(event)] + list(
        encoder.close()
    )
    grammar(amazon.events(b"".join(encode(name, data) for name, data in frames)))
    written = "".join(e.text for e in _text_deltas(events))
    again = fold(decoded([b"".join(encode(name, data) for name, data in frames)]))
    assert isinstance(again, Answer)
    said = "".join(part.text for part in again.parts if isinstance(part, Text))
    assert sorted(said.replace("[image left out: https://x/y.png]", "")) == sorted(written)


def _text_deltas(events: list[Event]) -> list[PartDelta]:
    kinds: dict[int, Part] = {}
    found = []
    for event in events:
        if isinstance(event, PartStarted):
            kinds[event.index] = event.part
        if isinstance(event, PartDelta) and isinstance(kinds.get(event.index), Text | RefusalText):
            found.append(event)
    return found
