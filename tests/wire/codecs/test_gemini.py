"""Gemini's requests, answers and errors: small wire values and what becomes of them, both ways."""

from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from typing import Any

import orjson
import pytest
from google.genai import errors as google_errors

from llm_intercept.wire.codec import Context, Target, Untranslatable
from llm_intercept.wire.codecs import gemini
from llm_intercept.wire.codecs.gemini.signatures import BYPASS
from llm_intercept.wire.ir import (
    Answer,
    Cache,
    Failure,
    Finish,
    Format,
    Media,
    Message,
    Opaque,
    OpaqueTool,
    Part,
    Reasoning,
    RefusalText,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_intercept.wire.usage import Usage
from tests.wire.codecs import gemini_sdk as sdk

LEVEL = Target(model="gemini-3-flash", reasoning="level")
BUDGET = Target(model="gemini-2.5-flash", reasoning="budget", budget_range=(0, 24576))
PRO = Target(model="gemini-2.5-pro", reasoning="budget", budget_range=(128, 32768))


def decode(body: dict[str, Any]) -> Request:
    return gemini.decode_request({"contents": [], **body}, "models/gemini-x", False)


def contents(*parts: Any, role: str = "user") -> tuple[Part, ...]:
    return decode({"contents": [{"role": role, "parts": list(parts)}]}).messages[0].parts


def encode(request: Request, target: Target | None = None) -> tuple[dict[str, Any], list[str]]:
    context = Context(target=target or Target())
    encoded = gemini.encode_request(request, context)
    sdk.valid_request(encoded.body)
    return dict(encoded.body), context.warnings


def talk(*messages: Message, **more: Any) -> Request:
    return Request("gemini-x", messages, **more)


def said(*parts: Part, role: Any = "user", target: Target | None = None) -> list[Any]:
    """The parts on the wire; a model's turn has a user's turn before it."""
    before = () if role == "user" else (Message("user", (Text("hi"),)),)
    body, _ = encode(talk(*before, Message(role, parts)), target)
    return body["contents"][len(before)]["parts"]


PARTS: list[tuple[str, Any, tuple[Part, ...]]] = [
    ("text", {"text": "a"}, (Text("a"),)),
    ("empty text", {"text": ""}, ()),
    ("thought", {"text": "hm", "thought": True}, (Thinking("hm", "", "gemini", summary=True),)),
    (
        "signed thought",
        {"text": "hm", "thought": True, "thoughtSignature": "Zm9v"},
        (Thinking("hm", "Zm9v", "gemini", summary=True),),
    ),
    (
        "signed text",
        {"text": "a", "thoughtSignature": "Zm9v"},
        (Text("a"), Thinking("", "Zm9v", "gemini", True, extras={"gemini": {"signs": "text"}})),
    ),
    ("signature alone", {"text": "", "thoughtSignature": "Zm9v"}, (Thinking("", "Zm9v", "gemini", True),)),
    ("signature without text", {"thought_signature": "Zm9v"}, (Thinking("", "Zm9v", "gemini", True),)),
    (
        "image",
        {"inline_data": {"mime_type": "image/png", "data": "AAAA"}},
        (Media("image", "image/png", data="AAAA", extras={"gemini": {}}),),
    ),
    (
        "video by URI with members of its own",
        {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/v"}, "videoMetadata": {"fps": 1}},
        (Media("video", "video/mp4", url="gs://b/v", extras={"gemini": {"videoMetadata": {"fps": 1}}}),),
    ),
    (
        "call",
        {"functionCall": {"id": "c1", "name": "f", "args": {"b": 1, "a": 1.0}}, "thoughtSignature": "Zm9v"},
        (ToolCall("c1", "f", '{"b":1,"a":1.0}', "Zm9v", "gemini"),),
    ),
    ("call without arguments", {"functionCall": {"id": "c1", "name": "f"}}, (ToolCall("c1", "f"),)),
    (
        "code that Google ran",
        {"executableCode": {"language": "PYTHON", "code": "1+1"}},
        (
            Opaque(
                "gemini",
                {"executableCode": {"language": "PYTHON", "code": "1+1"}},
                "```python\n1+1\n```",
            ),
        ),
    ),
    ("something new", {"hologram": {"x": 1}}, (Opaque("gemini", {"hologram": {"x": 1}}),)),
]


@pytest.mark.parametrize(("part", "expected"), [c[1:] for c in PARTS], ids=[c[0] for c in PARTS])
def test_parts(part: Any, expected: tuple[Part, ...]):
    assert contents(part, role="model") == expected


RESULTS = [
    ("output", {"output": "42"}, "42", False),
    ("result", {"result": "42"}, "42", False),
    ("error", {"error": "no"}, "no", True),
    ("object", {"b": 1, "a": [2.0]}, '{"b":1,"a":[2.0]}', False),
    ("nothing", {}, "", False),
]


@pytest.mark.parametrize(("response", "text", "error"), [r[1:] for r in RESULTS], ids=[r[0] for r in RESULTS])
def test_function_responses_both_ways(response: Any, text: str, error: bool):
    part = {"functionResponse": {"id": "c1", "name": "f", "response": response}}
    call = {"functionCall": {"id": "c1", "name": "f", "args": {}}}
    body = {
        "contents": [user("go"), {"role": "model", "parts": [call]}, {"role": "function", "parts": [part]}]
    }
    request = decode(body)
    result = request.messages[2].parts[0]
    assert isinstance(result, ToolResult)
    assert result.parts == ((Text(text),) if text else ())
    assert result.is_error is error
    encoded, _ = encode(request)
    assert encoded["contents"][2]["parts"] == [part]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "parts": [{"text": text}]}


def test_calls_and_responses_without_ids_find_each_other_by_name_and_order():
    calls = [{"functionCall": {"name": n, "args": {"x": x}}} for n, x in (("f", 1), ("g", 2), ("f", 3))]
    answers = [
        {"functionResponse": {"name": n, "response": {"output": o}}}
        for n, o in (("g", "b"), ("f", "a"), ("f", "c"))
    ]
    body = {"contents": [user("go"), {"role": "model", "parts": calls}, {"role": "user", "parts": answers}]}
    request = decode(body)
    first, second, third = (part.id for part in request.messages[1].parts if isinstance(part, ToolCall))
    assert len({first, second, third}) == 3
    assert [p.call_id for p in request.messages[2].parts if isinstance(p, ToolResult)] == [
        second,
        first,
        third,
    ]
    assert encode(request)[0]["contents"] == body["contents"]
    later = decode({"contents": [*body["contents"], user("more")]})
    assert later.messages[1] == request.messages[1]


def test_the_same_call_twice_has_two_ids():
    call = {"functionCall": {"name": "f", "args": {}}}
    response = {"functionResponse": {"name": "f", "response": {"output": "x"}}}
    turn = [{"role": "model", "parts": [call]}, {"role": "user", "parts": [response]}]
    request = decode({"contents": [user("go"), *turn, *turn]})
    ids = [p.id for m in request.messages for p in m.parts if isinstance(p, ToolCall)]
    answered = [p.call_id for m in request.messages for p in m.parts if isinstance(p, ToolResult)]
    assert len(set(ids)) == 2
    assert answered == ids


def test_requests_that_make_no_sense():
    with pytest.raises(Untranslatable, match="contents"):
        gemini.decode_request({}, "m", False)
    with pytest.raises(Untranslatable, match="name"):
        contents({"functionCall": {"args": {}}}, role="model")
    with pytest.raises(Untranslatable, match="name"):
        decode({"tools": [{"functionDeclarations": [{"description": "x"}]}]})


def test_both_spellings_mean_the_same():
    snake = {
        "system_instruction": {"parts": [{"text": "s"}]},
        "generation_config": {"max_output_tokens": 5, "top_k": 40.0, "stop_sequences": ["a"]},
        "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
    }
    camel = {
        "systemInstruction": "s",
        "generationConfig": {"maxOutputTokens": 5, "topK": 40, "stopSequences": ["a"]},
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "tools": {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]},
    }
    assert decode(snake) == decode(camel)
    assert decode(camel).tool_choice == ToolChoice("named", "f")
    assert decode(camel).model == "gemini-x"


CHOICES = [
    ({"mode": "AUTO"}, ToolChoice("auto")),
    ({"mode": "ANY"}, ToolChoice("required")),
    ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice("named", "f")),
    ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, ToolChoice("required")),
    ({"mode": "NONE"}, ToolChoice("none")),
    ({"mode": "VALIDATED"}, ToolChoice("auto")),
    ({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}, ToolChoice("auto")),
]


@pytest.mark.parametrize(("calling", "choice"), CHOICES)
def test_tool_choice_both_ways(calling: Any, choice: ToolChoice):
    config = {"functionCallingConfig": calling, "retrievalConfig": {"languageCode": "de"}}
    request = decode({"toolConfig": config, "tools": [{"functionDeclarations": [{"name": "f"}]}]})
    assert request.tool_choice == choice
    assert encode(request)[0]["toolConfig"] == config


def test_a_choice_without_functions_is_left_out():
    body, _ = encode(talk(Message("user", (Text("a"),)), tool_choice=ToolChoice("auto")))
    assert "toolConfig" not in body


def test_unknown_members_come_back():
    body = {
        "contents": [user("a")],
        "safetySettings": [{"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "OFF"}],
        "cachedContent": "cachedContents/1",
        "labels": {"team": "a"},
        "tools": [{"googleSearch": {"timeRangeFilter": {}}}, {"codeExecution": {}}],
        "generationConfig": {"responseModalities": ["TEXT"], "mediaResolution": "MEDIA_RESOLUTION_LOW"},
    }
    request = decode(body)
    assert [tool.kind for tool in request.tools if isinstance(tool, OpaqueTool)] == [
        "googleSearch",
        "codeExecution",
    ]
    encoded, warnings = encode(request)
    assert encoded == body
    assert not warnings


def test_a_choice_of_words_stays_gemini_s_own():
    config = {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a", "b"]}}
    request = decode({"contents": [user("a")], "generationConfig": config})
    assert request.format is None
    assert encode(request)[0]["generationConfig"] == config


def test_structured_output():
    schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    request = decode({"contents": [user("a")], "generationConfig": config})
    wanted = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}
    assert request.format == Format("schema", wanted)
    assert encode(request)[0]["generationConfig"] == config
    foreign = replace(request, extras={}, format=Format("schema", {**wanted, "additionalProperties": False}))
    assert encode(foreign)[0]["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseSchema": {"type": "object", "properties": {"a": {"type": "string", "nullable": True}}},
    }
    assert encode(replace(request, extras={}, format=Format("json")))[0]["generationConfig"] == {
        "responseMimeType": "application/json"
    }


def test_old_models_take_no_json_together_with_functions():
    request = talk(Message("user", (Text("a"),)), tools=(Tool("f"),), format=Format("json"))
    body, warnings = encode(request, BUDGET)
    assert "generationConfig" not in body
    assert warnings[0].startswith("response_format: dropped")
    assert encode(request, LEVEL)[0]["generationConfig"] == {"responseMimeType": "application/json"}


THINKING = [
    ({"thinkingBudget": 0}, Reasoning(enabled=False, visible=False)),
    ({"thinkingBudget": -1, "includeThoughts": True}, Reasoning(enabled=True, adaptive=True, visible=True)),
    ({"thinking_budget": 512}, Reasoning(enabled=True, budget=512, visible=False)),
    ({"thinkingLevel": "low"}, Reasoning(effort="low", visible=False)),
    ({"includeThoughts": True}, Reasoning(visible=True)),
]


@pytest.mark.parametrize(("config", "reasoning"), THINKING)
def test_thinking_both_ways(config: Any, reasoning: Reasoning):
    request = decode({"contents": [user("a")], "generationConfig": {"thinkingConfig": config}})
    assert request.reasoning == reasoning
    assert encode(request)[0]["generationConfig"]["thinkingConfig"] == config


REASONING: list[tuple[Reasoning, Target, Any, bool]] = [
    (Reasoning(effort="low"), LEVEL, {"thinkingLevel": "LOW"}, False),
    (Reasoning(effort="max"), LEVEL, {"thinkingLevel": "HIGH"}, True),
    (Reasoning(effort="minimal"), LEVEL, {"thinkingLevel": "MINIMAL"}, False),
    (Reasoning(effort="minimal"), replace(LEVEL, model="gemini-3-pro"), {"thinkingLevel": "LOW"}, False),
    (Reasoning(enabled=True, budget=2000), LEVEL, {"thinkingLevel": "MEDIUM", "includeThoughts": True}, True),
    (Reasoning(enabled=False), LEVEL, {"thinkingLevel": "MINIMAL"}, True),
    (Reasoning(adaptive=True, enabled=True), LEVEL, {"includeThoughts": True}, False),
    (Reasoning(effort="high"), BUDGET, {"thinkingBudget": 24576}, False),
    (
        Reasoning(effort="low", summary="auto"),
        BUDGET,
        {"thinkingBudget": 1024, "includeThoughts": True},
        False,
    ),
    (
        Reasoning(enabled=True, budget=99_999),
        BUDGET,
        {"thinkingBudget": 24576, "includeThoughts": True},
        True,
    ),
    (Reasoning(enabled=True, budget=50, visible=False), PRO, {"thinkingBudget": 128}, True),
    (Reasoning(enabled=False), BUDGET, {"thinkingBudget": 0}, False),
    (Reasoning(effort="none"), PRO, {"thinkingBudget": 128}, True),
    (Reasoning(adaptive=True), BUDGET, {"thinkingBudget": -1, "includeThoughts": True}, False),
    (Reasoning(effort="medium"), Target(), {"thinkingBudget": 8192}, False),
    (Reasoning(effort="medium"), Target(model="gemini-3.1-pro"), {"thinkingLevel": "MEDIUM"}, False),
    (Reasoning(effort="medium"), Target(reasoning="none"), None, True),
    (Reasoning(enabled=False), Target(reasoning="none"), None, False),
]


@pytest.mark.parametrize(("reasoning", "target", "config", "warned"), REASONING)
def test_reasoning_in_the_target_s_form(reasoning: Reasoning, target: Target, config: Any, warned: bool):
    body, warnings = encode(talk(Message("user", (Text("a"),)), reasoning=reasoning), target)
    assert body.get("generationConfig", {}).get("thinkingConfig") == config
    assert bool(warnings) is warned


def test_a_budget_of_the_client_becomes_the_level_that_the_model_takes():
    request = decode(
        {"contents": [user("a")], "generationConfig": {"thinkingConfig": {"thinkingBudget": 8000}}}
    )
    assert encode(request, LEVEL)[0]["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "MEDIUM"}


def test_sampling():
    sampling = Sampling(100_000, 0.5, 0.9, 40, ("a", "b", "c", "d", "e", "f"), 7, 0.1, 0.2, 1, True, 5)
    target = Target(model="m", max_output=8192, rejects=frozenset(("seed",)))
    body, warnings = encode(talk(Message("user", (Text("a"),)), sampling=sampling), target)
    assert body["generationConfig"] == {
        "maxOutputTokens": 8192,
        "topK": 40,
        "candidateCount": 1,
        "logprobs": 5,
        "temperature": 0.5,
        "topP": 0.9,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "stopSequences": ["a", "b", "c", "d", "e"],
    }
    assert sorted(w.partition(":")[0] for w in warnings) == ["max_tokens", "seed", "stop"]
    again = gemini.decode_request(body, "m", False).sampling
    assert again == replace(sampling, max_tokens=8192, seed=None, stop=sampling.stop[:5])


def test_tools_of_other_dialects():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    request = talk(
        Message("user", (Text("a"),)),
        tools=(
            Tool("f", "does f", schema, strict=True, cache=Cache()),
            Tool("none"),
            Tool("free", schema=None),
            Tool("mcp/bad name " + "x" * 80, schema=schema),
            OpaqueTool("anthropic", "web_search_20250305", {"type": "web_search_20250305"}),
        ),
        tool_choice=ToolChoice("named", "mcp/bad name " + "x" * 80, parallel=False),
    )
    body, warnings = encode(request, LEVEL)
    (entry,) = body["tools"]
    first, second, third, fourth = entry["functionDeclarations"]
    assert first == {
        "name": "f",
        "description": "does f",
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
    }
    assert second == {"name": "none"}
    assert third["parameters"]["required"] == ["input"]
    assert body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == [fourth["name"]]
    assert fourth["name"].startswith("tool_")
    assert [w.partition(":")[0] for w in warnings] == [
        "cache_control",
        "tools.free",
        "tools.web_search_20250305",
        "parallel_tool_calls",
        "tools.strict",
    ]
    call = ToolCall("c", fourth["name"], "{}")
    context = Context(request=request)
    written = gemini.encode_answer(Answer("a", "m", (call,), "tool_calls"), context)
    assert written["candidates"][0]["content"]["parts"][0]["functionCall"]["name"] == request.tools[3].name


def test_web_search_alone_is_google_s():
    search = OpaqueTool("openai_responses", "web_search", {"type": "web_search"})
    body, warnings = encode(talk(Message("user", (Text("a"),)), tools=(search,)))
    assert body["tools"] == [{"googleSearch": {}}]
    assert not warnings


def test_the_conversation_has_the_order_that_gemini_wants():
    body, warnings = encode(
        talk(
            Message("system", (Text("be kind"),)),
            Message("developer", (Text("be short"),)),
            Message("user", (Text("a"),)),
            Message("user", (Text("b"),)),
            Message(
                "assistant",
                (Text(""), Text("c"), ToolCall("toolu_1", "f", '{"x":1}'), ToolCall("toolu_2", "g")),
            ),
            Message("system", (Text("remember"),)),
            Message("user", (Text("first"), ToolResult("toolu_2", (Text("x"), Text("y"))))),
            Message("user", (ToolResult("toolu_1", (Text("no"),), is_error=True),)),
            Message("user", ()),
        )
    )
    assert body["systemInstruction"] == {"parts": [{"text": "be kind"}, {"text": "be short"}]}
    asked, called, answered = body["contents"]
    assert asked == {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}
    assert called["parts"] == [
        {"text": "c"},
        {"functionCall": {"id": "toolu_1", "name": "f", "args": {"x": 1}}},
        {"functionCall": {"id": "toolu_2", "name": "g", "args": {}}},
    ]
    assert answered["parts"] == [
        {"functionResponse": {"id": "toolu_2", "name": "g", "response": {"output": "x\ny"}}},
        {"functionResponse": {"id": "toolu_1", "name": "f", "response": {"error": "no"}}},
        {"text": "remember"},
        {"text": "first"},
    ]
    assert warnings == [
        "messages: a tool result was put right after its call",
        "messages: what the system says in mid-conversation is a text of the user",
    ]


def test_there_is_always_something_said():
    assert encode(talk(Message("system", (Text("s"),))))[0]["contents"] == [user(" ")]
    body, _ = encode(talk(Message("assistant", (ToolCall("c", "f"),)), Message("user", (ToolResult("c"),))))
    assert [content["role"] for content in body["contents"]] == ["user", "model", "user"]


def test_arguments_that_are_no_object():
    assert said(ToolCall("c", "f", "{bad"), role="assistant")[0]["functionCall"]["args"] == {"input": "{bad"}
    assert said(ToolCall("c", "f", "", custom=False), role="assistant")[0]["functionCall"]["args"] == {}
    custom = said(ToolCall("c", "f", "*** patch", custom=True), role="assistant")
    assert custom[0]["functionCall"]["args"] == {"input": "*** patch"}


def test_ids_beyond_the_limit_are_the_same_in_call_and_result():
    long = "x" * 900
    body, _ = encode(
        talk(
            Message("user", (Text("a"),)),
            Message("assistant", (ToolCall(long, "f"),)),
            Message("user", (ToolResult(long),)),
        )
    )
    call = body["contents"][1]["parts"][0]["functionCall"]["id"]
    assert len(call) < 64
    assert body["contents"][2]["parts"][0]["functionResponse"]["id"] == call


MEDIA: list[tuple[str, Media, Any, str]] = [
    (
        "data",
        Media("image", "image/png", data="AAAA"),
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        "",
    ),
    (
        "data URL",
        Media("image", url="data:image/png;base64,AAAA"),
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        "",
    ),
    (
        "web",
        Media("image", url="https://x.org/a.png?b"),
        {"fileData": {"fileUri": "https://x.org/a.png?b", "mimeType": "image/png"}},
        "image: Gemini fetches",
    ),
    (
        "web document",
        Media("document", url="https://x.org/a"),
        {"fileData": {"fileUri": "https://x.org/a", "mimeType": "application/pdf"}},
        "document: Gemini fetches",
    ),
    (
        "YouTube",
        Media("video", url="https://youtu.be/x"),
        {"fileData": {"fileUri": "https://youtu.be/x"}},
        "",
    ),
    ("text", Media("document", text="words"), {"text": "words"}, ""),
    (
        "a file elsewhere",
        Media("document", file_id="file-1"),
        {"text": "[document left out: file-1]"},
        "document: dropped",
    ),
]


@pytest.mark.parametrize(("media", "part", "warning"), [c[1:] for c in MEDIA], ids=[c[0] for c in MEDIA])
def test_media(media: Media, part: Any, warning: str):
    body, warnings = encode(talk(Message("user", (Text("see"), media))))
    assert body["contents"][0]["parts"][1:] == [part]
    assert warnings[0].startswith(warning) if warning else not warnings


def test_images_for_a_model_that_sees_none():
    body, warnings = encode(
        talk(Message("user", (Text("a"), Media("image", data="AA")))), Target(images=False)
    )
    assert body["contents"][0]["parts"] == [{"text": "a"}, {"text": "[image left out]"}]
    assert warnings == ["image: dropped, the model does not see"]


@pytest.mark.parametrize(("target", "inside"), [(LEVEL, True), (BUDGET, False)])
def test_images_in_tool_results(target: Target, inside: bool):
    image = Media("image", "image/png", data="AAAA")
    request = talk(
        Message("user", (Text("a"),)),
        Message("assistant", (ToolCall("c", "f"),)),
        Message("user", (ToolResult("c", (Text("see"), image)),)),
    )
    parts = encode(request, target)[0]["contents"][2]["parts"]
    blob = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    assert parts[0]["functionResponse"]["response"] == {"output": "see"}
    assert parts[0]["functionResponse"].get("parts") == ([blob] if inside else None)
    assert parts[1:] == ([] if inside else [blob])
    again = gemini.decode_request({"contents": encode(request, target)[0]["contents"]}, "m", False)
    assert any(
        isinstance(p, Media) for m in again.messages for r in m.parts for p in getattr(r, "parts", (r,))
    )


def test_thinking_of_others_is_dropped_and_calls_get_google_s_bypass():
    turn = Message(
        "assistant",
        (
            Thinking("hm", "sig", "anthropic"),
            Thinking("hm", "", ""),
            ToolCall("a", "f"),
            ToolCall("b", "g", signature="Zm9v", origin="gemini"),
        ),
    )
    answers = Message("user", (ToolResult("a"), ToolResult("b")))
    request = talk(Message("user", (Text("x"),)), turn, answers)
    parts = encode(request, LEVEL)[0]["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [BYPASS, "Zm9v"]
    body, warnings = encode(request, BUDGET)
    assert [part.get("thoughtSignature") for part in body["contents"][1]["parts"]] == [None, "Zm9v"]
    assert warnings == ["thinking: dropped, it is anthropic's", "thinking: dropped, it is another model's"]


def test_own_signatures_are_untouched():
    parts = (
        Thinking("hm", "c2ln", "gemini", summary=True),
        ToolCall("a", "f", signature="Zm9v", origin="gemini"),
        Thinking("", "YmFy", "gemini", redacted=True),
    )
    assert said(*parts, role="assistant", target=LEVEL) == [
        {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": "Zm9v"},
        {"text": "", "thoughtSignature": "YmFy"},
    ]


@pytest.mark.parametrize("alphabet", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("redacted", [True, False])
def test_signatures_of_others_travel_through_gemini_clients(alphabet: Any, redacted: bool):
    original = Thinking("" if redacted else "hm", "Eo?>~signature==", "anthropic", redacted=redacted)
    body = gemini.encode_answer(Answer("a", "m", (original, Text("x")), "stop"), Context())
    response = sdk.whole(body)
    assert response.candidates
    assert response.candidates[0].content
    assert response.candidates[0].content.parts
    signature = response.candidates[0].content.parts[0].thought_signature
    assert signature == b"lli1.anthropic.Eo?>~signature=="
    written = body["candidates"][0]["content"]["parts"][0]
    sent_back = {**written, "thoughtSignature": alphabet(signature).decode()}
    assert contents(sent_back, role="model") == (original,)


def test_what_only_another_dialect_knows():
    parts = (
        Opaque("anthropic", {"type": "server_tool_use"}),
        Opaque("anthropic", {"type": "x"}, "in words"),
        RefusalText("no"),
    )
    body, warnings = encode(talk(Message("user", (Text("a"),)), Message("assistant", parts)))
    assert body["contents"][1]["parts"] == [{"text": "in words"}, {"text": "no"}]
    assert warnings == ["server_tool_use: dropped, only anthropic knows it"]


def test_members_of_other_dialects_are_reported_but_not_noise():
    extras = {"openai_chat": {"logit_bias": {"1": 2}, "store": True, "prediction": None}}
    request = talk(
        Message("user", (Text("a", cache=Cache()),)), extras=extras, verbosity="low", service_tier="flex"
    )
    body, warnings = encode(request)
    assert body["serviceTier"] == "flex"
    assert warnings == [
        "cache_control: dropped, Gemini caches what requests have in common by itself",
        "verbosity: not known to Gemini",
        "logit_bias: not known to Gemini",
    ]


def body_of(*parts: Any, **candidate: Any) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": 0, **candidate}],
        "responseId": "r1",
        "modelVersion": "gemini-x",
    }


FINISHES: list[tuple[str, tuple[Any, ...], Finish]] = [
    ("STOP", (), "stop"),
    ("STOP", ({"functionCall": {"name": "f"}},), "tool_calls"),
    ("MAX_TOKENS", ({"functionCall": {"name": "f"}},), "length"),
    ("SAFETY", (), "content_filter"),
    ("PROHIBITED_CONTENT", (), "content_filter"),
    ("RECITATION", (), "content_filter"),
    ("MODEL_ARMOR", (), "content_filter"),
    ("MALFORMED_FUNCTION_CALL", (), "error"),
    ("UNEXPECTED_TOOL_CALL", (), "error"),
    ("UNEXPECTED_TOOL_CALL", ({"functionCall": {"name": "f"}},), "tool_calls"),
    ("OTHER", (), "other"),
    ("SOMETHING_NEW", (), "other"),
]


@pytest.mark.parametrize(("word", "parts", "finish"), FINISHES)
def test_finish_reasons(word: str, parts: tuple[Any, ...], finish: Finish):
    answer = gemini.decode_answer(body_of(*parts, finishReason=word, finishMessage="why"))
    assert answer.finish == finish
    again = gemini.encode_answer(answer, Context())["candidates"][0]
    assert again["finishReason"] == word
    assert again["finishMessage"] == "why"


def test_every_finish_has_a_word_that_the_sdk_knows():
    for finish in (
        "stop",
        "length",
        "tool_calls",
        "stop_sequence",
        "content_filter",
        "refusal",
        "pause",
        "overflow",
        "error",
        "other",
    ):
        body = gemini.encode_answer(Answer("a", "m", (Text("x"),), finish), Context())  # type: ignore[arg-type]
        assert sdk.seen([sdk.whole(body)])["finish"] in (
            "STOP",
            "MAX_TOKENS",
            "SAFETY",
            "PROHIBITED_CONTENT",
            "OTHER",
        )


def test_a_refused_prompt():
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}}
    answer = gemini.decode_answer(body)
    assert answer.finish == "content_filter"
    assert gemini.encode_answer(answer, Context()) == body


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"candidates": None},
        {"candidates": [None]},
        {"candidates": [{"content": {"parts": "x"}}]},
        {"response": {"candidates": [5]}},
    ],
)
def test_answers_of_any_shape(body: Any):
    assert gemini.decode_answer(body).parts == ()


def test_only_the_first_candidate_counts():
    body = body_of({"text": "a"}, finishReason="STOP")
    body["candidates"].insert(0, {"content": {"parts": [{"text": "b"}]}, "index": 1})
    assert gemini.decode_answer(body).parts == (Text("a"),)


def test_usage_both_ways():
    usage = Usage(input=100, output=50, cache_read=40, reasoning=30, audio_input=7, service_tier="flex")
    body = gemini.encode_answer(Answer("a", "m", (Text("x"),), "stop", usage), Context())
    metadata = body["usageMetadata"]
    assert metadata == {
        "promptTokenCount": 100,
        "candidatesTokenCount": 20,
        "cachedContentTokenCount": 40,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 150,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 93},
            {"modality": "AUDIO", "tokenCount": 7},
        ],
        "serviceTier": "flex",
    }
    assert gemini.decode_answer(body).usage == usage


def test_the_answer_has_the_client_s_name_for_the_model_and_an_id():
    context = Context(now=1_700_000_000.5, requested_model="mine", mint=lambda n: "m" * n)
    body = gemini.encode_answer(Answer("", "m", (Text("x"),), "stop"), context)
    assert body["modelVersion"] == "mine"
    assert body["responseId"] == "m" * 22
    assert body["createTime"] == "2023-11-14T22:13:20Z"
    kept = gemini.encode_answer(Answer("chatcmpl-1", "m", (), "stop", created=5), context)
    assert kept["responseId"] == "chatcmpl-1"
    assert kept["createTime"] == "1970-01-01T00:00:05Z"


def test_log_probabilities_both_ways():
    entries = (
        {
            "token": "a",
            "logprob": -0.1,
            "bytes": [97],
            "top_logprobs": [{"token": "b", "logprob": -2.0, "bytes": [98]}],
        },
    )
    body = gemini.encode_answer(Answer("a", "m", (Text("a"),), "stop", logprobs=entries), Context())
    assert gemini.decode_answer(body).logprobs == entries
    assert sdk.whole(body).candidates[0].logprobs_result.chosen_candidates[0].token == "a"  # type: ignore[index,union-attr]


ERRORS = [
    (400, {"status": "INVALID_ARGUMENT", "message": "bad"}, "invalid_request"),
    (
        400,
        {
            "status": "INVALID_ARGUMENT",
            "message": "The input token count (9) exceeds the maximum number of tokens allowed (8).",
        },
        "overflow",
    ),
    (400, {"status": "INVALID_ARGUMENT", "message": "API key not valid."}, "authentication"),
    (401, {"status": "UNAUTHENTICATED", "message": "who"}, "authentication"),
    (403, {"status": "PERMISSION_DENIED", "message": "no"}, "permission"),
    (404, {"status": "NOT_FOUND", "message": "where"}, "not_found"),
    (429, {"status": "RESOURCE_EXHAUSTED", "message": "slow"}, "rate_limit"),
    (500, {"status": "INTERNAL", "message": "oops"}, "internal"),
    (503, {"status": "UNAVAILABLE", "message": "overloaded"}, "unavailable"),
    (504, {"status": "DEADLINE_EXCEEDED", "message": "late"}, "timeout"),
    (418, {"message": "teapot"}, "invalid_request"),
    (599, {"message": "?"}, "upstream"),
]


@pytest.mark.parametrize(("status", "error", "kind"), ERRORS)
def test_errors_both_ways(status: int, error: dict[str, str], kind: str):
    failure = gemini.decode_error(status, {}, orjson.dumps([{"error": {"code": status, **error}}]))
    assert failure.kind == kind
    assert failure.message == error["message"]
    code, headers, body = gemini.encode_error(failure, "req-1")
    with pytest.raises(google_errors.APIError) as raised:
        sdk.client(body, headers["content-type"], code).models.generate_content(model="m", contents="x")
    assert raised.value.code == code
    assert raised.value.message == error["message"]


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"null", b"[]", b'{"error":"x"}', b"\xff"])
def test_errors_of_any_shape(body: bytes):
    assert gemini.decode_error(502, {}, body).kind == "upstream"


def test_when_to_try_again():
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "48.5s"}
    told = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m", "details": [info]}
    assert gemini.decode_error(429, {}, orjson.dumps({"error": told})).retry_after == 48.5
    assert gemini.decode_error(429, {"Retry-After": "7"}, b"{}").retry_after == 7
    spoken = orjson.dumps({"error": {"message": "Please retry in 3.25s."}})
    assert gemini.decode_error(429, {}, spoken).retry_after == 3.25
    status, headers, body = gemini.encode_error(Failure("rate_limit", "slow", 429, retry_after=2.2), "r")
    assert (status, headers["retry-after"]) == (429, "3")
    assert orjson.loads(body)["error"]["details"][-1]["retryDelay"] == "3s"


def test_the_overflow_of_others_is_said_in_google_s_words():
    status, _, body = gemini.encode_error(Failure("overflow", "prompt is too long: 9 > 8", 400), "r")
    assert status == 400
    assert orjson.loads(body)["error"]["message"].startswith("The input token count exceeds")
    assert gemini.decode_error(400, {}, body).kind == "overflow"
