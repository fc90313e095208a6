from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.cassette import cleaning
from llm_intercept.cassette.format import Chunk
from llm_intercept.store.redaction import Redaction

KEY = b"sk-abcdefghijklmnopqrstuvwx"
REDACT = Redaction()


def same(text: bytes) -> bytes:
    return text


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "proxy-authorization",
        "Cookie",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "X-Amz-Security-Token",
        "x-amz-date",
        "Ocp-Apim-Subscription-Key",
        "x-client-secret",
        "content-encoding",
        "Content-Length",
        "host",
    ],
)
def test_headers_of_requests_that_are_left_out(name: str) -> None:
    kept = ("anthropic-version", "2023-06-01")
    assert cleaning.request_headers([(name, "x"), kept], same) == (kept,)


@pytest.mark.parametrize(
    "name", ["Set-Cookie", "content-encoding", "x-llm-intercept-request-id", "connection"]
)
def test_headers_of_answers_that_are_left_out(name: str) -> None:
    kept = ("anthropic-ratelimit-tokens-remaining", "5")
    assert cleaning.answer_headers([(name, "x"), kept], same) == (kept,)


def test_values_are_cleaned_as_well() -> None:
    found = cleaning.request_headers([("x-note", f"see {KEY.decode()}")], REDACT)
    assert found == (("x-note", "see [redacted]"),)


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/v1/x", "/v1/x"),
        ("/v1/x?alt=sse&key=AB12", "/v1/x?alt=sse"),
        ("/v1/x?key=AB12", "/v1/x"),
        ("/v1/x?monkey=1&api_key=2", "/v1/x?monkey=1"),
        ("/v1/x?X-Amz-Signature=aa&b", "/v1/x?b"),
    ],
)
def test_paths_lose_their_keys(path: str, clean: str) -> None:
    assert cleaning.path(path, same) == clean


@given(st.binary(max_size=60), st.binary(max_size=60), st.lists(st.integers(0, 150), max_size=6))
def test_a_key_across_chunks_is_found(before: bytes, after: bytes, cuts: list[int]) -> None:
    whole = before + b" " + KEY + b" " + after
    ends = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    given_chunks = [Chunk(at=n, data=whole[a:b]) for n, (a, b) in enumerate(pairwise(ends))]
    found = cleaning.chunks(given_chunks, REDACT)
    joined = b"".join(chunk.data for chunk in found)
    assert joined == REDACT(whole)
    assert KEY not in joined


def test_chunks_without_secrets_stay_as_they_are() -> None:
    chunks = (Chunk(at=0.1, data=b"a"), Chunk(at=0.2, data=b"b"))
    assert cleaning.chunks(chunks, REDACT) == chunks
