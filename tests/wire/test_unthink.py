"""Refused signatures, full context windows; and a request that loses its thinking and nothing else."""

from typing import Any

import orjson
import pytest

from llm_intercept.wire.unthink import BYPASS, is_overflow, is_signature_error, without_thinking


def anthropic_error(message: str) -> bytes:
    return orjson.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": message}})


def google_error(message: str) -> bytes:
    return orjson.dumps({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}})


def openai_error(code: str | None, message: str) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": "invalid_request_error", "code": code}})


def amazon_error(message: str) -> bytes:
    return orjson.dumps({"message": message})


INVALID = "messages.1.content.0: Invalid `signature` in `thinking` block"
MODIFIED = (
    "messages.5.content.1: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot "
    "be modified. These blocks must remain as they were in the original response."
)
MISSING = (
    "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When "
    "`thinking` is enabled, a final `assistant` message must start with a thinking block"
)
UNSIGNED = "Function call is missing a thought_signature in functionCall parts. This is required for tools"
UNDECODED = "Invalid value at 'contents[1].parts[0].thought_signature' (TYPE_BYTES), Base64 decoding failed"
ENCRYPTED = "The encrypted content gAAA...DQ== could not be verified."

SIGNATURE_ERRORS = [
    ("anthropic", anthropic_error(INVALID)),
    ("anthropic", anthropic_error("messages.1.content.0: Invalid signature in thinking block")),
    ("anthropic", anthropic_error(INVALID + ". The block is bound to a different conversation.")),
    ("anthropic", anthropic_error("messages.3.content.0: Invalid `data` in `redacted_thinking` block")),
    ("anthropic", anthropic_error(MODIFIED)),
    ("anthropic", anthropic_error(MISSING)),
    ("anthropic", anthropic_error("messages.1.content.0.thinking.signature: Field required")),
    ("anthropic", google_error(anthropic_error(INVALID).decode())),  # Vertex
    ("bedrock_invoke", amazon_error(INVALID)),
    ("bedrock_invoke", amazon_error(MODIFIED)),
    ("bedrock_converse", amazon_error(f"The model returned the following errors: {MISSING}")),
    ("gemini", google_error("Unable to submit request because Thought signature is not valid.. Learn more")),
    ("gemini", google_error("Corrupted thought signature.")),
    ("gemini", google_error(UNSIGNED)),
    ("gemini", google_error(UNDECODED)),
    ("gemini", google_error("function call `f` in the 2. content block is missing a `thought_signature`.")),
    ("openai_chat", b"[" + google_error(UNSIGNED) + b"]"),
    ("openai_responses", openai_error("invalid_encrypted_content", ENCRYPTED)),
    ("openai_responses", openai_error(None, ENCRYPTED)),
    (
        "openai_responses",
        openai_error(
            None, "Item 'fc_1' of type 'function_call' was provided without its required 'reasoning' item"
        ),
    ),
]


@pytest.mark.parametrize(("dialect", "body"), SIGNATURE_ERRORS)
def test_a_refused_signature(dialect: str, body: bytes) -> None:
    assert is_signature_error(dialect, 400, body)


OTHER_ERRORS = [
    ("anthropic", 400, anthropic_error("max_tokens: must be greater than `thinking.budget_tokens`")),
    ("anthropic", 400, anthropic_error("`thinking` may not be enabled when tool_choice forces tool use.")),
    ("anthropic", 500, anthropic_error(INVALID)),
    ("anthropic", 401, anthropic_error("invalid x-api-key")),
    ("bedrock_converse", 403, amazon_error("The request signature we calculated does not match")),
    ("bedrock_converse", 400, amazon_error("Input is too long for requested model.")),
    ("gemini", 400, google_error("API key not valid. Please pass a valid API key.")),
    ("openai_responses", 400, openai_error("invalid_prompt", "Invalid prompt")),
    (
        "ollama",
        400,
        b'{"error": "Invalid `signature` in `thinking` block"}',
    ),  # nothing there could be left out
    ("anthropic", 400, b"\xff\xfe"),
    ("anthropic", 400, b""),
]


@pytest.mark.parametrize(("dialect", "status", "body"), OTHER_ERRORS)
def test_any_other_error(dialect: str, status: int, body: bytes) -> None:
    assert not is_signature_error(dialect, status, body)


OVERFLOWS = [
    ("anthropic", 400, anthropic_error("prompt is too long: 210000 tokens > 200000 maximum"), True),
    ("bedrock_invoke", 400, amazon_error("Input is too long for requested model."), True),
    ("bedrock_converse", 400, amazon_error("Input is too long for requested model."), True),
    ("gemini", 400, google_error("The input token count (2000000) exceeds the maximum number"), True),
    ("openai_chat", 400, openai_error("context_length_exceeded", "too long"), True),
    ("openai_responses", 400, openai_error("context_length_exceeded", "too long"), True),
    ("openai_completions", 400, openai_error(None, "This model's maximum context length is 4097"), True),
    ("cohere", 400, b'{"message": "too many tokens: the input is longer"}', True),
    ("ollama", 400, b'{"error": "the input length exceeds the context length"}', True),
    ("anthropic", 400, anthropic_error("max_tokens: 0"), False),
    ("anthropic", 429, anthropic_error("rate limited"), False),
    ("openai_chat", 429, openai_error("rate_limit_exceeded", "Too many tokens per minute"), False),
    ("openai_chat", 200, openai_error("context_length_exceeded", "too long"), False),
    ("gemini", 400, b"", False),
    ("cohere", 500, b"\x00", False),
]


@pytest.mark.parametrize(("dialect", "status", "body", "full"), OVERFLOWS)
def test_a_full_context_window(dialect: str, status: int, body: bytes, full: bool) -> None:
    assert is_overflow(dialect, status, body) is full


USER = {"role": "user", "content": "hi"}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}
HIDDEN = {"type": "redacted_thinking", "data": "d"}
CALL = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "4"}]}
LATE = {"role": "system", "content": "be brief"}
TEXT = {"type": "text", "text": "4"}
BUDGET = {"type": "enabled", "budget_tokens": 2000}
ADAPTIVE = {"type": "adaptive"}


def said(*blocks: object) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


CLEAR = {"type": "clear_thinking_20251015", "keep": "all"}
CLEAR_TOOLS = {"type": "clear_tool_uses_20250919"}

ANTHROPIC = {
    "plain turns keep thinking switched on": (
        {"thinking": BUDGET, "messages": [USER, said(THOUGHT, HIDDEN, TEXT), USER]},
        {"thinking": BUDGET, "messages": [USER, said(TEXT), USER]},
    ),
    "a tool loop with a budget goes on without": (
        {"thinking": BUDGET, "max_tokens": 9, "messages": [USER, said(THOUGHT, CALL), RESULT]},
        {"max_tokens": 9, "messages": [USER, said(CALL), RESULT]},
    ),
    "an adaptive one goes on thinking": (
        {"thinking": ADAPTIVE, "messages": [USER, said(THOUGHT, CALL), RESULT, LATE]},
        {"thinking": ADAPTIVE, "messages": [USER, said(CALL), RESULT, LATE]},
    ),
    "thinking that another gateway lost": (
        {"thinking": BUDGET, "messages": [USER, said(CALL), RESULT, LATE]},
        {"messages": [USER, said(CALL), RESULT, LATE]},
    ),
    "nothing thinks, nothing is cleared": (
        {
            "thinking": BUDGET,
            "context_management": {"edits": [CLEAR]},
            "messages": [USER, said(THOUGHT, CALL), RESULT],
        },
        {"messages": [USER, said(CALL), RESULT]},
    ),
    "other edits stay": (
        {
            "thinking": BUDGET,
            "context_management": {"edits": [CLEAR, CLEAR_TOOLS]},
            "messages": [USER, said(THOUGHT, CALL), RESULT],
        },
        {"context_management": {"edits": [CLEAR_TOOLS]}, "messages": [USER, said(CALL), RESULT]},
    ),
    "a turn of nothing but thinking goes": (
        {"messages": [USER, said(THOUGHT), USER]},
        {"messages": [USER, USER]},
    ),
    "no thinking, no change": ({"thinking": BUDGET, "messages": [USER, said(TEXT), USER]}, None),
    "a string is no block": ({"messages": [USER, {"role": "assistant", "content": "thinking"}, USER]}, None),
    "what the user quotes stays": ({"messages": [{"role": "user", "content": [THOUGHT]}]}, None),
}


@pytest.mark.parametrize("dialect", ["anthropic", "bedrock_invoke"])
@pytest.mark.parametrize(("given", "left"), ANTHROPIC.values(), ids=list(ANTHROPIC))
def test_anthropic(dialect: str, given: dict[str, Any], left: dict[str, Any] | None) -> None:
    assert stripped(dialect, given) == left


def stripped(dialect: str, given: object) -> object:
    found = without_thinking(dialect, orjson.dumps(given))
    return None if found is None else orjson.loads(found)


REASONING = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}
USE = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}
BACK = {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "4"}]}}]}
HELLO = {"role": "user", "content": [{"text": "hi"}]}


def fields(**members: object) -> dict[str, Any]:
    return {"additionalModelRequestFields": members}


def part(**members: object) -> dict[str, Any]:
    return members


FUNCTION = {"name": "f", "args": {}}


def model(*parts: object) -> dict[str, Any]:
    return {"contents": [{"role": "model", "parts": list(parts)}]}


def calls(*extra: object) -> list[dict[str, Any]]:
    return [{"id": str(n), **({"extra_content": e} if e else {})} for n, e in enumerate(extra)]


def chat(name: str, **members: object) -> dict[str, Any]:
    return {"model": name, "messages": [USER, {"role": "assistant", **members}]}


def signed(signature: str) -> dict[str, Any]:
    return {"google": {"thought_signature": signature}}


RS = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
FC = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUT = {"type": "function_call_output", "call_id": "c1", "output": "4", "id": "fco_1"}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}

OTHERS = [
    (
        "bedrock_converse",
        {"messages": [HELLO, said(REASONING, USE), BACK], **fields(thinking=BUDGET, top_k=3)},
        {"messages": [HELLO, said(USE), BACK], **fields(top_k=3)},
    ),
    (
        "bedrock_converse",
        {"messages": [HELLO, said(REASONING, {"text": "4"}), HELLO], **fields(thinking=BUDGET)},
        {"messages": [HELLO, said({"text": "4"}), HELLO], **fields(thinking=BUDGET)},
    ),
    ("bedrock_converse", {"messages": [HELLO, said({"text": "4"}), HELLO]}, None),
    (
        "gemini",
        model(
            part(text="hm", thought=True, thoughtSignature="s"),
            part(text="so", thoughtSignature="s"),
            part(functionCall=FUNCTION, thoughtSignature="s"),
            part(functionCall=FUNCTION),
        ),
        model(
            part(text="so"),
            part(functionCall=FUNCTION, thoughtSignature=BYPASS),
            part(functionCall=FUNCTION),
        ),
    ),
    (
        "gemini",
        model(part(function_call=FUNCTION, thought_signature="s")),
        model(part(function_call=FUNCTION, thought_signature=BYPASS)),
    ),
    (
        "gemini",
        model(part(functionCall=FUNCTION)),
        model(part(functionCall=FUNCTION, thoughtSignature=BYPASS)),
    ),
    ("gemini", model(part(functionCall=FUNCTION, thoughtSignature=BYPASS)), None),
    ("gemini", model(part(text="so")), None),
    (
        "openai_chat",
        chat("anthropic/claude", content="4", reasoning="hm", reasoning_details=[{"signature": "s"}]),
        chat("anthropic/claude", content="4", reasoning="hm"),
    ),
    (
        "openai_chat",
        chat("gemini-3-pro", tool_calls=calls(signed("s"), {})),
        chat("gemini-3-pro", tool_calls=calls(signed(BYPASS), {})),
    ),
    (
        "openai_chat",
        chat("gemini-3-pro", tool_calls=calls({}, {})),
        chat("gemini-3-pro", tool_calls=calls(signed(BYPASS), {})),
    ),
    ("openai_chat", chat("gemini-3-pro", tool_calls=calls(signed(BYPASS))), None),
    ("openai_chat", chat("gpt-5", tool_calls=calls({})), None),
    (
        "openai_responses",
        {"reasoning": {"effort": "low"}, "input": [USER, RS, {**FC, "id": "fc_1"}, OUT, SEARCH]},
        {"reasoning": {"effort": "low"}, "input": [USER, FC, OUT, SEARCH]},
    ),
    (
        "openai_responses",
        {"input": [USER, {"type": "item_reference", "id": "rs_1"}, "odd"]},
        {"input": [USER, "odd"]},
    ),
    ("openai_responses", {"input": [USER, {**FC, "id": "fc_1"}]}, None),
    ("openai_responses", {"input": "hi"}, None),
    ("ollama", {"messages": [USER, {"role": "assistant", "thinking": "hm"}]}, None),
]


@pytest.mark.parametrize(("dialect", "given", "left"), OTHERS)
def test_the_other_dialects(dialect: str, given: dict[str, Any], left: dict[str, Any] | None) -> None:
    assert stripped(dialect, given) == left


@pytest.mark.parametrize(
    ("dialect", "given", "left"), [*OTHERS, *(("anthropic", *c) for c in ANTHROPIC.values())]
)
def test_once_is_enough(dialect: str, given: object, left: object) -> None:
    assert left is None or stripped(dialect, left) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"messages": 1, "contents": [1], "input": {"a": 1}}',
        b'{"messages": [{"role": 1}]}',
    ],
)
@pytest.mark.parametrize(
    "dialect", ["anthropic", "bedrock_converse", "gemini", "openai_chat", "openai_responses"]
)
def test_what_is_no_request_stays(dialect: str, body: bytes) -> None:
    assert without_thinking(dialect, body) is None
