"""OpenAI's custom tools with a grammar: each of its two spellings, and words for everyone else."""

from typing import Any

import orjson
import pytest

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context

GRAMMAR = {"syntax": "lark", "definition": "start: WORD"}
CHAT = {
    "type": "custom",
    "custom": {
        "name": "patch",
        "description": "Edits files.",
        "format": {"type": "grammar", "grammar": GRAMMAR},
    },
}
RESPONSES = {
    "type": "custom",
    "name": "patch",
    "description": "Edits files.",
    "format": {"type": "grammar", **GRAMMAR},
}
ASKED: dict[str, dict[str, Any]] = {
    "openai_chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": [CHAT]},
    "openai_responses": {"model": "m", "input": "hi", "tools": [RESPONSES]},
}


def written(client: str, target: str) -> Any:
    request = codecs.get(client).decode_request(ASKED[client], "m", False)
    body = codecs.get(target).encode_request(request, Context(request=request)).body
    return orjson.loads(orjson.dumps(body))


@pytest.mark.parametrize("client", ASKED)
@pytest.mark.parametrize("target", ASKED)
def test_the_grammar_is_said_as_each_dialect_says_it(client: str, target: str) -> None:
    assert written(client, target)["tools"] == ASKED[target]["tools"]


@pytest.mark.parametrize("client", ASKED)
@pytest.mark.parametrize("target", ["anthropic", "bedrock_converse", "gemini", "ollama"])
def test_elsewhere_the_description_says_it(client: str, target: str) -> None:
    tools = orjson.dumps(written(client, target)).decode()
    assert "Edits files.\\n\\nThe input follows this lark grammar:\\nstart: WORD" in tools


def test_a_format_without_a_grammar_stays() -> None:
    plain = {**CHAT, "custom": {"name": "patch", "format": {"type": "text"}}}
    request = codecs.get("openai_chat").decode_request({**ASKED["openai_chat"], "tools": [plain]}, "m", False)
    body = codecs.get("openai_chat").encode_request(request, Context(request=request)).body
    assert body["tools"] == [plain]
