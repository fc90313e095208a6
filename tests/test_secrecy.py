import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_intercept.errors import ConfigError
from llm_intercept.secrecy import NAMED, SHAPES, documented, keyed, said, shown_name, suspects

OPENAI = "sk-proj-0123456789abcdefghij"
MISTRAL = "q7Rz2Xw9Lm4Tn8Vb5Kc3Jh6Gf1Ds0Pa7"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"there is no project named '{OPENAI}'", "there is no project named '[redacted]'"),
        (f"no model {MISTRAL}; see the list", "no model [redacted]; see the list"),
        ("https://me:pass@relay.example/v1 is wrong", "https://[redacted]@relay.example/v1 is wrong"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer [redacted]"),
        ("password=correct-horse", "password=[redacted]"),
    ],
)
def test_a_sentence_has_no_key(text: str, left: str) -> None:
    assert said(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "use basic authentication, or none",
        "password: it needs at least 12 characters",
        "xai-grok-4-fast-reasoning cannot be an alias of itself",
        "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "resp_68af4030592c81938ec0a5fbab4a3e9f05438e46b5f69a3b",
        "file_011CNha8iCJcU1wXNR6q4V8w is not there",
        "/openai/deployments/gpt-4o-mini/chat/completions",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-micro-v1:0",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert said(text) == text
    assert shown_name(text) == text


def test_what_is_called_a_password_in_a_document_is_one() -> None:
    assert documented(b'{"password":"correcthorse"}') == '{"password":"[redacted]"}'


def test_where_a_document_has_keys() -> None:
    document = {
        "name": "safe",
        "max_tokens": "unlimited",
        "targets": [{"overrides": {"headers": {"X-Api-Key": "hunter2hunter"}, OPENAI: 1, "seed": 7}}],
        "note": MISTRAL,
    }
    headers = "targets.0.overrides.headers.X-Api-Key"
    assert list(suspects(document)) == [headers, "targets.0.overrides", "note"]
    assert list(suspects(OPENAI)) == [""]
    assert list(suspects({"name": "x", "access_token": "short"})) == []


def test_our_errors_repeat_no_key() -> None:
    assert str(ConfigError(f"{OPENAI!r} cannot be a name")) == "'[redacted]' cannot be a name"


_PARTS = (
    *(
        "lli_",
        "llm_api_",
        "LLIA",
        "sk-",
        "gsk_",
        "hf-",
        "AIza",
        "ya29.",
        "AKIA",
        "ASIA",
        "ghp_",
        "github_pat_",
    ),
    *(
        "xoxb-",
        "eyJ",
        ".",
        "-----BEGIN ",
        "PRIVATE KEY-----",
        "-----END ",
        "Bearer ",
        "BASIC ",
        "api_key",
        "Api-Key",
    ),
    *(
        "authorization",
        '"',
        "\\",
        ":",
        "=",
        " ",
        "password",
        "Secret-Access-Key",
        "access_token",
        "x-api-key",
    ),
    *("A" * 16, "abcdefghij0123456789", "0" * 40, "é", "task-", "\n"),
)


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(_PARTS) | st.text(max_size=3), max_size=12).map("".join))
def test_looking_for_beginnings_first_finds_the_same(text: str) -> None:
    body = text.encode()
    assert keyed(body) == any(pattern.search(body) is not None for pattern in (SHAPES, *NAMED))
