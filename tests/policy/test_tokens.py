import hashlib
import json
from datetime import timedelta

import pytest

from llm_intercept.errors import ConfigError
from llm_intercept.exchange import Principal
from llm_intercept.policy.tokens import (
    AWS_BYTES,
    TOKEN_BYTES,
    Expired,
    Inactive,
    IssuedToken,
    Mistyped,
    NotOurs,
    Parsed,
    Revoked,
    TokenState,
    Valid,
    Wellformed,
    fingerprint,
    has_token,
    hint,
    is_aws_key_id,
    is_ours,
    judge,
    key_hint,
    new_aws_pair,
    new_token,
    parse,
    parse_duration,
)

RANDOM = hashlib.sha256(b"seed").digest()
TOKEN = new_token(RANDOM)


@pytest.mark.parametrize("random_bytes", [RANDOM, bytes(TOKEN_BYTES), b"\xff" * TOKEN_BYTES])
def test_a_token_is_well_formed(random_bytes: bytes) -> None:
    token = new_token(random_bytes)
    assert len(token) == 53
    assert token.startswith("lli_")
    assert token[4:].isalnum()
    assert token.isascii()
    assert parse(token) == Wellformed(token)


def test_tokens_carry_all_their_randomness() -> None:
    flipped = [bytes(b ^ (i == n) for i, b in enumerate(RANDOM)) for n in range(TOKEN_BYTES)]
    assert len({new_token(r) for r in (RANDOM, *flipped)}) == TOKEN_BYTES + 1


@pytest.mark.parametrize("position", range(4, 53))
def test_every_typing_error_is_noticed(position: int) -> None:
    wrong = "a" if TOKEN[position] != "a" else "b"
    assert parse(TOKEN[:position] + wrong + TOKEN[position + 1 :]) == Mistyped()


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        (TOKEN[:-1], Mistyped()),
        (TOKEN + "x", Mistyped()),
        (TOKEN[:20] + TOKEN[21] + TOKEN[20] + TOKEN[22:], Mistyped()),
        (TOKEN.upper().replace("LLI_", "lli_"), Mistyped()),
        ("lli_", Mistyped()),
        ("lli_" + "é" * 49, Mistyped()),
        ("lli_" + "\udcff" * 49, Mistyped()),
        ("", NotOurs()),
        ("sk-proj-abc", NotOurs()),
        (" " + TOKEN, NotOurs()),
        ("LLI_" + TOKEN[4:], NotOurs()),
    ],
)
def test_parse(text: str, parsed: Parsed) -> None:
    assert parse(text) == parsed
    assert is_ours(text) == (not isinstance(parsed, NotOurs))


def test_hints_are_of_no_use() -> None:
    assert hint(TOKEN) == f"{TOKEN[:8]}...{TOKEN[-4:]}"


def test_aws_pairs() -> None:
    key_id, secret = new_aws_pair(RANDOM + RANDOM[:10])
    assert len(RANDOM + RANDOM[:10]) == AWS_BYTES
    assert len(key_id) == 20
    assert is_aws_key_id(key_id)
    assert len(secret) == 40
    assert secret.isalnum()
    other_id, other_secret = new_aws_pair(bytes(10) + RANDOM)
    assert other_id != key_id
    assert other_secret != secret


@pytest.mark.parametrize(
    "text", ["AKIAIOSFODNN7EXAMPLE", "LLIA", "LLIA0000000000000000", "lliaAAAAAAAAAAAAAAAA", ""]
)
def test_other_key_ids(text: str) -> None:
    assert not is_aws_key_id(text)


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("sk-proj-0123456789abcdef", "sk-...cdef"),
        ("sk-ant-api03-0123456789abcdef", "sk-...cdef"),
        ("gsk_0123456789abcdef0123", "gsk_...0123"),
        ("AIzaSyA0123456789abcdef", "...cdef"),
        ("0123456789abcdef", "...cdef"),
        ("sk-short", "..."),
        ("0123456789abcde", "..."),
        ("", "..."),
        (json.dumps({"client_email": "me@project.example", "private_key": "x"}), "me@project.example"),
        (json.dumps({"private_key": "x"}), "{...}"),
        ("{broken", "{...}"),
    ],
)
def test_key_hints(key: str, shown: str) -> None:
    assert key_hint(key) == shown


def test_fingerprints_are_eight_digits_of_the_digest() -> None:
    def digest(text: str) -> bytes:
        return hashlib.sha256(text.encode()).digest()

    assert fingerprint("sk-x", digest) == hashlib.sha256(b"sk-x").hexdigest()[:8]


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("90m", timedelta(minutes=90)),
        ("45s", timedelta(seconds=45)),
        ("2w", timedelta(weeks=2)),
        (" 1 D ", timedelta(days=1)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "0d", "1.5h", "1y", "1d2h", "99999999d", "٣d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigError, match="30d, 12h or 90m"):
        parse_duration(text)


WHO = Principal("p", "t")


@pytest.mark.parametrize(
    ("issued", "state"),
    [
        (IssuedToken(WHO, True, False, None), Valid(WHO)),
        (IssuedToken(WHO, True, False, 100.5), Valid(WHO)),
        (IssuedToken(WHO, True, False, 100.0), Expired(WHO)),
        (IssuedToken(WHO, True, True, None), Revoked(WHO)),
        (IssuedToken(WHO, False, True, 50.0), Revoked(WHO)),
        (IssuedToken(WHO, False, False, 50.0), Expired(WHO)),
        (IssuedToken(WHO, False, False, None), Inactive("p", WHO)),
    ],
)
def test_states(issued: IssuedToken, state: TokenState) -> None:
    assert judge(issued, 100.0) == state


@pytest.mark.parametrize(
    ("text", "there"), [("/v1/models/{}", True), ("{}/gpt-4o", True), ("/v1/lli_x", False)]
)
def test_a_token_is_seen_anywhere(text: str, there: bool) -> None:
    assert has_token(text.format(new_token(bytes(range(32))))) is there
