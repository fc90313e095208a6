import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.policy.callfacts import facts_of
from tests.wire.recordings import recordings

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"
PNG = "iVBORw0KGgo="


def found(dialect: str, body: object, model: str = "gpt-5") -> str:
    """The features of a request, as words."""
    facts = facts_of(dialect, json.dumps(body).encode(), model)
    flags = ("image", "web_search", "background", "thinking")
    return " ".join(flag for flag in flags if getattr(facts, flag))


def says(*parts: object, role: str = "user") -> dict[str, object]:
    return {"messages": [{"role": "user", "content": "look"}, {"role": role, "content": list(parts)}]}


ANTHROPIC_IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai_chat", says({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}})),
        ("openai_responses", {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}),
        (
            "openai_responses",
            {"input": [{"type": "function_call_output", "output": [{"type": "input_image"}]}]},
        ),
        ("anthropic", says(ANTHROPIC_IMAGE)),
        ("anthropic", says({"type": "tool_result", "content": [ANTHROPIC_IMAGE]})),
        (
            "gemini",
            {
                "contents": [
                    {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]}
                ]
            },
        ),
        ("gemini", {"contents": [{"parts": [{"file_data": {"mime_type": "image/jpeg", "file_uri": "x"}}]}]}),
        ("bedrock_converse", says({"image": {"format": "png", "source": {"bytes": PNG}}})),
        ("ollama", {"messages": [{"role": "user", "content": "look", "images": [PNG]}]}),
        ("ollama", {"prompt": "look", "images": [PNG]}),
    ],
)
def test_images(dialect: str, body: object) -> None:
    assert found(dialect, body) == "image"


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai_chat", says({"type": "text", "text": "an image_url"})),
        ("openai_chat", says({"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}})),
        ("openai_responses", {"input": "an image", "tools": [{"type": "image_generation"}]}),
        (
            "anthropic",
            says(
                {"type": "tool_use", "name": "draw", "input": {"type": "image", "image": {"format": "png"}}}
            ),
        ),
        (
            "anthropic",
            says({"type": "document", "source": {"type": "base64", "media_type": "application/pdf"}}),
        ),
        ("gemini", {"contents": [{"parts": [{"inlineData": {"mimeType": "audio/wav", "data": "x"}}]}]}),
        ("gemini", {"contents": [{"parts": [{"functionCall": {"name": "f", "args": {"type": "image"}}}]}]}),
        ("ollama", {"prompt": "look", "images": []}),
        ("openai_chat", {"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "image"}]}),
    ],
)
def test_what_is_no_image(dialect: str, body: object) -> None:
    assert found(dialect, body) == ""


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("anthropic", {"tools": [{"name": "f"}, {"type": "web_search_20250305", "name": "web_search"}]}),
        ("openai_responses", {"tools": [{"type": "web_search"}]}),
        ("openai_responses", {"tools": [{"type": "web_search_preview_2025_03_11"}]}),
        ("openai_chat", {"web_search_options": {}}),
        ("openai_chat", {"plugins": [{"id": "web", "max_results": 3}]}),
        ("gemini", {"tools": [{"googleSearch": {}}]}),
        ("gemini", {"tools": [{"google_search": {}}]}),
        ("gemini", {"tools": [{"functionDeclarations": []}, {"googleSearchRetrieval": {}}]}),
    ],
)
def test_web_search(dialect: str, body: object) -> None:
    assert found(dialect, body) == "web_search"


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"type": "function", "function": {"name": "web_search"}}]},
        {"tools": [{"name": "web_search", "input_schema": {}}]},
        {"tools": {"type": "web_search"}},
        {"tools": [{"type": 5}, None]},
        {"plugins": ["web"]},
    ],
)
def test_what_is_no_web_search(body: object) -> None:
    assert found("openai_chat", body) == ""


@pytest.mark.parametrize(
    ("dialect", "body", "thinking"),
    [
        ("anthropic", {"thinking": {"type": "enabled", "budget_tokens": 4000}}, True),
        ("anthropic", {"thinking": {"type": "adaptive"}}, True),
        ("anthropic", {"thinking": {"type": "disabled"}}, False),
        ("openai_chat", {"reasoning_effort": "low"}, True),
        ("openai_chat", {"reasoning_effort": "none"}, False),
        ("openai_chat", {"reasoning_effort": None}, False),
        ("openai_chat", {"reasoning": {"max_tokens": 2000}}, True),
        ("openai_chat", {"reasoning": {"enabled": False}}, False),
        ("openai_responses", {"reasoning": {"effort": "high"}}, True),
        ("openai_responses", {"reasoning": {"effort": "none", "summary": "auto"}}, False),
        ("openai_responses", {"reasoning": {"summary": "auto"}}, True),
        ("openai_responses", {"reasoning": {}}, False),
        ("gemini", {"generationConfig": {"thinkingConfig": {"thinkingBudget": 8192}}}, True),
        ("gemini", {"generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}}}, True),
        ("gemini", {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}, False),
        ("gemini", {"generationConfig": {"temperature": 1}}, False),
        ("bedrock_converse", {"additionalModelRequestFields": {"thinking": {"type": "enabled"}}}, True),
        (
            "bedrock_converse",
            {"additionalModelRequestFields": {"reasoning_config": {"type": "disabled"}}},
            False,
        ),
        ("ollama", {"think": True}, True),
        ("ollama", {"think": "high"}, True),
        ("ollama", {"think": False}, False),
    ],
)
def test_thinking(dialect: str, body: object, thinking: bool) -> None:
    assert found(dialect, body) == ("thinking" if thinking else "")


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("gpt-5:high", True),
        ("gpt-5:none", False),
        ("claude-opus-4-8:8k", True),
        ("qwen3:8b", False),
        ("x:free", False),
    ],
)
def test_the_name_may_ask_for_it_too(model: str, thinking: bool) -> None:
    assert found("openai_chat", {}, model) == ("thinking" if thinking else "")


@pytest.mark.parametrize(
    ("model", "body", "background"),
    [
        ("claude-haiku-4-5-20251001", {"max_tokens": 512}, True),
        ("claude-3-5-haiku-latest", {}, True),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", {}, True),
        ("anthropic/claude-haiku-4.5", {}, True),
        ("claude-sonnet-5", {"max_tokens": 1}, True),
        ("gpt-5", {"max_completion_tokens": 1}, True),
        ("claude-sonnet-5", {"max_tokens": 64_000}, False),
        ("gpt-5-mini", {}, False),
        ("gemini-2.5-pro", {"generationConfig": {"maxOutputTokens": 1}}, True),
        ("us.amazon.nova-pro-v1:0", {"inferenceConfig": {"maxTokens": 1}}, True),
    ],
)
def test_background(model: str, body: object, background: bool) -> None:
    assert found("anthropic", body, model) == ("background" if background else "")


def test_tokens_are_those_of_the_prompt() -> None:
    body = says(
        {"type": "text", "text": "word " * 7_200}, ANTHROPIC_IMAGE | {"source": {"data": "A" * 90_000}}
    )
    facts = facts_of("anthropic", json.dumps(body).encode(), "claude-sonnet-5")
    assert 9_900 < facts.tokens < 10_100


def test_only_what_is_wanted_is_looked_for() -> None:
    body = json.dumps({"thinking": {"type": "adaptive"}, **says(ANTHROPIC_IMAGE)}).encode()
    facts = facts_of("anthropic", body, "claude-haiku-4-5", wanted={"image"})
    assert (facts.image, facts.thinking, facts.background, facts.tokens) == (True, False, False, 0)
    facts = facts_of("anthropic", body, "m", alias="a", tier="big", project="p", token="t", wanted=())
    assert (facts.model, facts.alias, facts.tier, facts.project, facts.token) == ("m", "a", "big", "p", "t")
    assert (facts.dialect, facts.image) == ("anthropic", False)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    "type",
                    "messages",
                    "content",
                    "image",
                    "inlineData",
                    "tools",
                    "thinking",
                    "reasoning",
                    "input",
                )
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(_JSON, st.sampled_from(("openai_chat", "openai_responses", "anthropic", "gemini", "bedrock_converse")))
def test_any_body_will_do(body: object, dialect: str) -> None:
    facts_of(dialect, json.dumps(body).encode(), "gpt-5")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 5_000 + b"]" * 5_000])
def test_bytes_that_are_no_json(body: bytes) -> None:
    facts = facts_of("anthropic", body, "claude-opus-4-8")
    flags = (facts.image, facts.web_search, facts.background, facts.thinking)
    assert not any(flags)


def captured(name: str, path: str) -> Any:
    calls = json.loads((CAPTURES / name).read_text())
    return [call["body"] for call in calls if path in call["path"] and call["method"] == "POST"]


@pytest.mark.skipif(not CAPTURES.exists(), reason="no captures beside the checkout")
@pytest.mark.parametrize(
    ("name", "path", "dialect", "expected"),
    [
        ("claude-code_haiku.json", "/v1/messages", "anthropic", "background thinking"),
        ("claude-code_base-url_tool-loop.json", "/v1/messages", "anthropic", "thinking"),
        ("claude-code_sonnet_json-schema.json", "/v1/messages", "anthropic", "thinking"),
        ("claude-code_bedrock.json", "haiku", "bedrock_invoke", "background"),
        ("codex_http_responses.json", "/v1/responses", "openai_responses", "web_search thinking"),
        ("gemini-cli.json", "/v1beta", "gemini", "thinking"),
    ],
)
def test_what_agents_send(name: str, path: str, dialect: str, expected: str) -> None:
    bodies = captured(name, path)
    assert bodies
    for body in bodies:
        model = body.get("model") or ("claude-haiku-4-5" if path == "haiku" else "gemini-2.5-flash")
        assert found(dialect, body, model) == expected
        text = json.dumps(body)
        tokens = facts_of(dialect, text.encode(), model).tokens
        assert tokens < len(text) / 3
        assert tokens or body["messages"] == [{"role": "user", "content": "."}]


@pytest.mark.skipif(not recordings(), reason="no recordings beside the checkout")
def test_recorded_requests() -> None:
    """Where a body has one of the dialects' images in it, it is found; and no features come from nowhere."""
    images = searches = 0
    for recording in recordings():
        facts = facts_of(recording.dialect, recording.request, recording.model)
        text = recording.request.decode()
        if facts.image:
            images += 1
            assert "image" in text
        if facts.web_search:
            searches += 1
            assert "search" in text.lower()
        if facts.thinking:
            assert "think" in text or "reasoning" in text
        if '"image_url"' in text and '"type": "image_url"' in text:
            assert facts.image, recording.name
    assert images > 5
    assert searches > 3
