"""Official SDKs with the cache between, under a plain `mitmdump -s`: stored one way in, given by another."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_intercept.store.cache import Which, opened
from tests.live.http2 import Client, Reply
from tests.live.stack import Stack, running, wait_for
from tests.live.test_sdks import call, credentials

__all__ = ["credentials"]
# The same question, whole and as a stream: one answer serves both.
PAIRS = [
    ("openai_chat", "openai_chat_stream_usage"),
    ("openai_responses", "openai_responses_stream"),
    ("anthropic_messages", "anthropic_messages_stream"),
    ("gemini_generate", "gemini_generate_stream"),
    ("bedrock_converse", "bedrock_converse_stream"),
    ("azure_chat", "azure_chat_stream"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("home"), config='[cache]\nmode = "on"\n', stock=True) as started:
        yield started


@pytest.fixture
def _forgotten(stack: Stack) -> Iterator[None]:
    """Each of these tests stores one answer, and leaves none to the next."""
    yield
    with opened(stack.home / "cache.db") as store:
        wait_for(lambda: store.totals(0).entries == 1, "it is on the disk")
        store.purge(Which())


@pytest.mark.usefixtures("_forgotten")
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0])
@pytest.mark.parametrize("first", [0, 1], ids=["whole-first", "stream-first"])
def test_one_answer_for_both_forms(
    stack: Stack, credentials: dict[str, str], pair: tuple[str, str], first: int
) -> None:
    since, before = stack.last_id(), len(stack.received())
    names = (pair[first], pair[first], pair[1 - first])
    entries = ("base_url", "connect", "connect" if first else "base_url")
    said = [call(stack, name, entry, credentials) for name, entry in zip(names, entries, strict=True)]
    rows = stack.rows(3, since)
    assert said[0] == said[1] == said[2]
    assert [row["cache"] for row in rows] == ["stored", "hit", "hit"]
    assert [row["outcome"] for row in rows] == ["ok"] * 3
    assert [row["saved_tokens"] for row in rows[1:]] == [
        rows[0]["input_tokens"] + rows[0]["output_tokens"]
    ] * 2
    assert len(stack.received()) == before + 1


@pytest.mark.usefixtures("_forgotten")
@pytest.mark.parametrize("name", ["openai_embeddings", "bedrock_invoke", "bedrock_invoke_stream"])
def test_of_one_form_alone(stack: Stack, credentials: dict[str, str], name: str) -> None:
    since, before = stack.last_id(), len(stack.received())
    said = [call(stack, name, entry, credentials) for entry in ("connect", "base_url")]
    assert said[0] == said[1]
    assert [row["cache"] for row in stack.rows(2, since)] == ["stored", "hit"]
    assert len(stack.received()) == before + 1


@pytest.mark.parametrize("name", ["openai_models", "anthropic_count_tokens"])
def test_what_is_never_stored(stack: Stack, credentials: dict[str, str], name: str) -> None:
    since, before = stack.last_id(), len(stack.received())
    for _ in range(2):
        call(stack, name, "base_url", credentials)
    assert [row["cache"] for row in stack.rows(2, since)] == [""] * 2
    assert len(stack.received()) == before + 2


def test_by_http2(stack: Stack, credentials: dict[str, str]) -> None:
    root: Path = stack.home / "certs" / "mitmproxy-ca-cert.pem"
    body = json.dumps(
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "By HTTP/2."}], "stream": True}
    ).encode()
    fields = {"authorization": f"Bearer {credentials['TOKEN']}"}
    replies: list[Reply] = []
    with Client(stack.port, "api.openai.com", root) as client:
        for _ in range(2):
            replies.append(client.post("/v1/chat/completions", body, fields))
            client.until(lambda: replies[-1].ended)
    assert [reply.headers["x-cache"] for reply in replies] == ["MISS", "HIT"]
    assert replies[0].body == replies[1].body
    assert replies[0].body.endswith(b"data: [DONE]\n\n")
