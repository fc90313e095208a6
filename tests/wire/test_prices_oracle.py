"""genai-prices extracts usage too: where it supports an answer's flavour, it must say what we say."""

import json

import pytest
from genai_prices import extract_usage

from llm_intercept.wire.tap import Tap
from tests.wire.recordings import Recording, successes

PROVIDERS = {
    "anthropic": ("anthropic", {"messages": "default"}),
    "azure": ("azure", {"chat.completions": "chat", "responses": "responses"}),
    "bedrock": ("aws", {"converse": "default"}),
    "deepseek": ("deepseek", {"chat.completions": "chat"}),
    "gemini": ("google", {"generateContent": "default"}),
    "groq": ("groq", {"chat.completions": "default"}),
    "mistral": ("mistral", {"chat.completions": "default"}),
    "openai": ("openai", {"chat.completions": "chat", "responses": "responses", "embeddings": "embeddings"}),
    "openrouter": ("openrouter", {"chat.completions": "chat"}),
    "vertex": ("google", {"generateContent": "default"}),
    "xai": ("x-ai", {"chat.completions": "chat", "responses": "responses"}),
    "zai": ("zai", {"chat.completions": "chat"}),
}


def flavour(recording: Recording) -> tuple[str, str] | None:
    provider, flavours = PROVIDERS.get(recording.provider, ("", {}))
    found = flavours.get(recording.surface)
    return (provider, found) if found and not recording.stream else None


SUPPORTED = [r for r in successes() if flavour(r)]


@pytest.mark.parametrize("recording", SUPPORTED, ids=lambda r: r.name)
def test_same_usage(recording: Recording) -> None:
    known = flavour(recording)
    assert known is not None
    document = json.loads(recording.body)
    try:
        theirs = extract_usage(document, provider_id=known[0], api_flavor=known[1]).usage
    except (ValueError, LookupError, AttributeError) as error:  # enumerations sent as numbers
        pytest.skip(f"not extractable: {error}")
    tap = Tap(recording.dialect, recording.surface, recording.content_type)
    tap.feed(recording.body, 1.0)
    ours = tap.close().usage
    assert (ours.input or 0) == (theirs.input_tokens or 0)
    assert (ours.output or 0) == (theirs.output_tokens or 0)
    if b"num_cached_tokens" not in recording.body:  # Mistral's older name, which it does not know
        assert (ours.cache_read or 0) == (theirs.cache_read_tokens or 0)
    assert (ours.cache_write or 0) == (theirs.cache_write_tokens or 0)
