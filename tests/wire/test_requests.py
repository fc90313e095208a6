"""What requests and error answers say about themselves; nonsense says nothing."""

import json

import pytest

from llm_intercept.wire import dialects
from llm_intercept.wire.facts import RequestFacts
from tests.wire.recordings import Recording, recordings

HI = [{"role": "user", "content": "hi"}]
FACTS: list[tuple[str, object, RequestFacts]] = [
    (
        "openai_chat",
        {"model": "m", "stream": True, "messages": HI, "max_tokens": 5, "n": 2},
        RequestFacts("m", stream=True, max_output=5, choices=2, messages=1),
    ),
    (
        "openai_chat",
        {
            "model": "m",
            "stream_options": {"include_usage": True},
            "max_completion_tokens": 9,
            "max_tokens": None,
        },
        RequestFacts("m", include_usage=True, max_output=9),
    ),
    ("openai_chat", {"model": 7, "stream": "yes", "messages": {}, "n": -1}, RequestFacts()),
    (
        "openai_responses",
        {"model": "m", "input": [1, 2], "max_output_tokens": 7, "service_tier": "flex"},
        RequestFacts("m", max_output=7, messages=2, service_tier="flex"),
    ),
    ("openai_responses", {"model": "m", "input": "hello"}, RequestFacts("m")),
    (
        "anthropic",
        {
            "model": "c",
            "messages": HI,
            "max_tokens": 5,
            "metadata": {"user_id": "user_ab_account_cd_session_1-2-3"},
        },
        RequestFacts("c", max_output=5, messages=1, session_id="1-2-3"),
    ),
    (
        "anthropic",
        {"model": "c", "metadata": {"user_id": '{"device_id":"d","session_id":"9-8"}'}},
        RequestFacts("c", session_id="9-8"),
    ),
    ("anthropic", {"model": "c", "metadata": {"user_id": "{broken"}}, RequestFacts("c")),
    ("anthropic", {"model": "c", "max_tokens_to_sample": 4}, RequestFacts("c", max_output=4)),
    (
        "gemini",
        {"contents": [{}], "generationConfig": {"maxOutputTokens": 6, "candidateCount": 3}},
        RequestFacts(max_output=6, choices=3, messages=1),
    ),
    (
        "bedrock_converse",
        {"messages": HI, "inferenceConfig": {"maxTokens": 8}},
        RequestFacts(max_output=8, messages=1),
    ),
    (
        "bedrock_invoke",
        {"inputText": "x", "textGenerationConfig": {"maxTokenCount": 8}},
        RequestFacts(max_output=8),
    ),
    ("bedrock_invoke", {"max_gen_len": 8}, RequestFacts(max_output=8)),
    ("cohere", {"model": "c", "stream": True, "max_tokens": 3}, RequestFacts("c", stream=True, max_output=3)),
    (
        "ollama",
        {"model": "q", "messages": HI, "options": {"num_predict": 3}},
        RequestFacts("q", stream=True, max_output=3, messages=1),
    ),
    ("ollama", {"model": "q", "prompt": "hi", "stream": False}, RequestFacts("q")),
    ("ollama", {"model": "q", "input": "hi"}, RequestFacts("q")),
    ("observe", {"model": "q"}, RequestFacts()),
]


@pytest.mark.parametrize(("dialect", "body", "facts"), FACTS)
def test_facts(dialect: str, body: object, facts: RequestFacts) -> None:
    assert dialects.get(dialect).read_request(json.dumps(body).encode()) == facts


NONSENSE = [
    b"",
    b"[]",
    b"null",
    b"{",
    b"\xff\xfe",
    b'{"messages":[[[]]],"metadata":3,"stream_options":[1]}',
    b"[" * 5000,
]


@pytest.mark.parametrize("body", NONSENSE)
@pytest.mark.parametrize("dialect", sorted(dialects.names()))
def test_nonsense_says_nothing(dialect: str, body: bytes) -> None:
    known = dialects.get(dialect)
    assert known.read_request(body).model == ""
    assert known.prompt_text(body) == ""
    kind, message = known.read_error(500, body)
    assert kind
    assert isinstance(message, str)


@pytest.mark.parametrize("recording", recordings(), ids=lambda r: r.name)
def test_recorded_requests(recording: Recording) -> None:
    dialect = dialects.get(recording.dialect)
    facts = dialect.read_request(recording.request)
    body = json.loads(recording.request)
    if isinstance(body, dict) and isinstance(body.get("model"), str) and recording.dialect != "observe":
        assert facts.model == body["model"]
    if isinstance(body, dict) and isinstance(body.get("messages"), list) and recording.dialect != "observe":
        assert facts.messages == len(body["messages"])
        assert dialect.prompt_text(recording.request) or body["messages"][0]["content"] is None


PROMPTS: list[tuple[str, object, str]] = [
    (
        "openai_chat",
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    ],
                },
            ],
            "tools": [
                {"type": "function", "function": {"name": "look", "parameters": {"properties": {"at": {}}}}}
            ],
        },
        "Be brief.\nWhat is this?\nlook\nat",
    ),
    (
        "anthropic",
        {
            "system": [{"type": "text", "text": "Sys", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": "hi"},
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "source": {"type": "base64", "media_type": "x", "data": "AAAA"}}
                    ],
                },
            ],
        },
        "Sys\nhi",
    ),
    (
        "gemini",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"data": "AAAA"}}]}]},
        "hi",
    ),
    ("openai_embeddings", {"input": ["a", "b"]}, "a\nb"),
    ("openai_completions", {"prompt": "once"}, "once"),
    ("openai_responses", {"instructions": "i", "input": "x"}, "i\nx"),
    ("openai_images", {"prompt": "a cat"}, "a cat"),
    ("openai_audio", {"input": "say"}, "say"),
    ("bedrock_converse", {"system": [{"text": "s"}], "messages": [{"content": [{"text": "m"}]}]}, "s\nm"),
    ("bedrock_invoke", {"inputText": "t"}, "t"),
    ("cohere", {"message": "m"}, "m"),
    ("ollama", {"prompt": "p", "images": ["AAAA"]}, "p"),
]


@pytest.mark.parametrize(("dialect", "body", "text"), PROMPTS)
def test_prompt_text(dialect: str, body: object, text: str) -> None:
    assert dialects.get(dialect).prompt_text(json.dumps(body).encode()) == text


ERRORS = [
    ("openai_chat", b'{"error":{"message":"no","type":"t","code":"c"}}', ("t", "no")),
    ("openai_chat", b'{"error":{"message":"no","code":402}}', ("http_400", "no")),
    ("openai_chat", b'{"error":"plain"}', ("http_400", "plain")),
    ("openai_chat", b'{"detail":[{"msg":"field required"}]}', ("http_400", "field required")),
    ("openai_chat", b'{"detail":"Unauthorized"}', ("http_400", "Unauthorized")),
    ("openai_chat", b"<html>Bad gateway</html>", ("http_400", "<html>Bad gateway</html>")),
    (
        "anthropic",
        b'{"type":"error","error":{"type":"not_found_error","message":"no"}}',
        ("not_found_error", "no"),
    ),
    ("anthropic", b'{"error":{"code":404,"message":"no","status":"NOT_FOUND"}}', ("NOT_FOUND", "no")),
    ("gemini", b'{"error":{"code":404,"message":"no","status":"NOT_FOUND"}}', ("NOT_FOUND", "no")),
    ("gemini", b'[{"error":{"code":404,"message":"no","status":"NOT_FOUND"}}]', ("NOT_FOUND", "no")),
    ("bedrock_converse", b'{"message":"no"}', ("http_400", "no")),
    (
        "bedrock_invoke",
        b'{"__type":"com.amazon#ThrottlingException","Message":"no"}',
        ("ThrottlingException", "no"),
    ),
    ("bedrock_invoke", b'{"__type":"ThrottlingException","message":"no"}', ("ThrottlingException", "no")),
    ("cohere", b'{"message":"no"}', ("http_400", "no")),
    ("ollama", b'{"error":"no"}', ("http_400", "no")),
]


@pytest.mark.parametrize(("dialect", "body", "expected"), ERRORS)
def test_errors(dialect: str, body: bytes, expected: tuple[str, str]) -> None:
    assert dialects.get(dialect).read_error(400, body) == expected


@pytest.mark.parametrize("recording", [r for r in recordings() if r.status >= 400], ids=lambda r: r.name)
def test_recorded_errors(recording: Recording) -> None:
    kind, message = dialects.get(recording.dialect).read_error(recording.status, recording.body)
    assert kind
    assert message or not recording.body.strip()
