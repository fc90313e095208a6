"""Headers of translated answers: what is renamed, what is dropped, and values that make no sense."""

import pytest

from llm_intercept.wire.answerheaders import translated

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z
JSON = "application/json"

RENAMED = [
    ("anthropic", ("x-ratelimit-limit-requests", "60"), ("anthropic-ratelimit-requests-limit", "60")),
    ("anthropic", ("X-RateLimit-Remaining-Tokens", "9"), ("anthropic-ratelimit-tokens-remaining", "9")),
    (
        "anthropic",
        ("x-ratelimit-reset-requests", "6m0s"),
        ("anthropic-ratelimit-requests-reset", "2023-11-14T22:19:20Z"),
    ),
    (
        "anthropic",
        ("x-ratelimit-reset-tokens", "1m40.5s"),
        ("anthropic-ratelimit-tokens-reset", "2023-11-14T22:15:00Z"),
    ),
    (
        "anthropic",
        ("x-ratelimit-reset-tokens", "20ms"),
        ("anthropic-ratelimit-tokens-reset", "2023-11-14T22:13:20Z"),
    ),
    ("anthropic", ("x-ratelimit-reset-tokens", "soon"), ("anthropic-ratelimit-tokens-reset", "soon")),
    (
        "anthropic",
        ("x-ratelimit-reset-tokens", "99999999999999d"),
        ("anthropic-ratelimit-tokens-reset", "2024-11-13T22:13:20Z"),
    ),
    ("openai_chat", ("anthropic-ratelimit-requests-limit", "50"), ("x-ratelimit-limit-requests", "50")),
    (
        "openai_chat",
        ("anthropic-ratelimit-tokens-reset", "2023-11-14T22:14:20Z"),
        ("x-ratelimit-reset-tokens", "60s"),
    ),
    (
        "openai_chat",
        ("anthropic-ratelimit-tokens-reset", "2020-01-01T00:00:00Z"),
        ("x-ratelimit-reset-tokens", "0s"),
    ),
    ("openai_chat", ("anthropic-ratelimit-tokens-reset", "later"), ("x-ratelimit-reset-tokens", "later")),
    (
        "openai_chat",
        ("anthropic-ratelimit-tokens-reset", "0001-01-01T00:00:00+14:00"),
        ("x-ratelimit-reset-tokens", "0s"),
    ),
    ("openai_chat", ("x-ratelimit-limit-requests", "60"), ("x-ratelimit-limit-requests", "60")),
    ("gemini", ("retry-after", "3"), ("retry-after", "3")),
    ("gemini", ("X-Request-Id", "abc"), ("X-Request-Id", "abc")),
]


@pytest.mark.parametrize(("dialect", "given", "expected"), RENAMED)
def test_renamed(dialect: str, given: tuple[str, str], expected: tuple[str, str]) -> None:
    assert translated([given], dialect, JSON, NOW) == [("content-type", JSON), expected]


@pytest.mark.parametrize(
    "name",
    ["Content-Length", "content-encoding", "Content-Type", "Transfer-Encoding", "Set-Cookie", "ETag", "Vary"],
)
def test_dropped(name: str) -> None:
    assert translated([(name, "x")], "anthropic", JSON, NOW) == [("content-type", JSON)]
