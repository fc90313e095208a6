"""Several answers to one request: asked for and paid for only where the client can have them all."""

from typing import Any

import pytest

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context, Untranslatable

ASKED: dict[str, dict[str, Any]] = {
    "openai_chat": {"model": "m", "messages": [{"role": "user", "content": "q"}], "n": 2},
    "openai_completions": {"model": "m", "prompt": "q", "n": 2},
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "q"}]}],
        "generationConfig": {"candidateCount": 2},
    },
}


@pytest.mark.parametrize("target", sorted(codecs.names()))
@pytest.mark.parametrize("client", ASKED)
def test_another_dialect_refuses_and_says_why(client: str, target: str) -> None:
    request = codecs.get(client).decode_request(ASKED[client], "m", False)
    codec = codecs.get(target)
    if target != client:
        with pytest.raises(Untranslatable, match=r"^n: "):
            codec.encode_request(request, Context())
        return
    assert 2 in _numbers(codec.encode_request(request, Context()).body)


def _numbers(body: Any) -> list[Any]:
    return [*body.values(), *body.get("generationConfig", {}).values()]
