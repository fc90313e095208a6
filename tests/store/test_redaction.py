import pytest

from llm_intercept.errors import ConfigError
from llm_intercept.policy.tokens import new_token
from llm_intercept.store.redaction import Redaction

LONG = "abcdefghijklmnopqrstuvwxyz0123456789ABCD"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (new_token(bytes(32)), "[redacted]"),
        ("sk-proj-" + LONG, "[redacted]"),
        ("key sk-ant-api03-" + LONG + ".", "key [redacted]."),
        ("gsk_" + LONG, "[redacted]"),
        ("AIza" + LONG[:35], "[redacted]"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
        ("LLIA" + "A" * 16, "[redacted]"),
        ("ghp_" + LONG[:36], "[redacted]"),
        ("xoxb-1234567890-abc", "[redacted]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijkl", "[redacted]"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nrest", "[redacted]\nrest"),
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer [redacted]"),
        ('{"authorization": "Basic dXNlcjpwYXNzd29yZA=="}', '{"authorization": "Basic [redacted]"}'),
        ('{"api_key": "0123456789abcdef", "n": 1}', '{"api_key": "[redacted]", "n": 1}'),
        ('{\\"x-api-key\\": \\"0123456789abcdef\\"}', '{\\"x-api-key\\": \\"[redacted]\\"}'),
        ("https://h/v1?api_key=0123456789abcdef&alt=sse", "https://h/v1?api_key=[redacted]&alt=sse"),
        ("the password is short", "the password is short"),
        ("sk-learn and task-oriented text stay", "sk-learn and task-oriented text stay"),
        (
            '{"model": "gpt-5", "max_tokens": 100, "é": "ü"}',
            '{"model": "gpt-5", "max_tokens": 100, "é": "ü"}',
        ),
        ("", ""),
    ],
)
def test_built_in_patterns(body: str, expected: str) -> None:
    assert Redaction()(body.encode()).decode() == expected


def test_own_patterns() -> None:
    redact = Redaction([r"\b\d{3}-\d{2}-\d{4}\b", "Müller"])
    assert redact("id 123-45-6789 of Müller".encode()) == b"id [redacted] of [redacted]"


def test_a_broken_pattern_is_named() -> None:
    with pytest.raises(ConfigError, match=r"capture.redact: '\('"):
        Redaction(["("])


def test_large_bodies_take_linear_time() -> None:
    """Hostile text must not hold the writer: a quadratic pattern would take minutes here."""
    redact = Redaction()
    for unit in (b"-----BEGIN PRIVATE KEY-----", b"a", b"sk-", b"eyJ", b'"api_key":"', b"bearer "):
        redact(unit * (400_000 // len(unit)))
