"""A provider that breaks its own grammar, and our own streams: rows, metric, page."""

import json
from collections.abc import Iterator

import pytest

from tests.live import wire
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import Proxied, metric, proxied

CONFIG = """
[lint]
sample = 1.0

[models.aliases]
translated = "openai/gpt-5"
"""
ALIASED = {**wire.MESSAGES_STREAM, "model": "translated"}


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as started:
        yield started


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, server: Upstream) -> Iterator[Proxied]:
    bases = {"openai": server.url, "anthropic": server.url}
    with proxied(tmp_path_factory.mktemp("home"), bases, config=CONFIG) as started:
        yield started


def sends(server: Upstream, *pieces: bytes) -> None:
    async def script(request: Request, answer: Answer) -> None:
        await request.read()
        await answer.stream(*pieces)

    server.script = script


def violations(proxy: Proxied, path: str, body: object) -> tuple[bytes, list[tuple[str, str, int, str]]]:
    with proxy.call(path, body) as call:
        given = call.read()
        row = proxy.row(call)
    sql = "SELECT side, dialect, event, sentence FROM violations WHERE request_id = ? ORDER BY event"
    return given, [tuple(found.values()) for found in proxy.query(sql, row["id"])]  # type: ignore[misc]


def test_a_well_formed_stream_has_none(server: Upstream, proxy: Proxied) -> None:
    pieces = wire.message_stream()
    sends(server, *pieces)
    assert violations(proxy, wire.ANTHROPIC, wire.MESSAGES_STREAM) == (b"".join(pieces), [])


def test_a_misbehaving_provider(server: Upstream, proxy: Proxied) -> None:
    """The bytes pass as they are; what is wrong with them is written down."""
    lost = {"type": "content_block_delta", "index": 5, "delta": {"type": "text_delta", "text": "?"}}
    pieces = [*wire.message_stream()[:-1], wire.event(lost, "content_block_delta")]
    before = metric(proxy.metrics(), "llm_protocol_violations_total") if _counted(proxy) else 0.0
    sends(server, *pieces)
    given, found = violations(proxy, wire.ANTHROPIC, wire.MESSAGES_STREAM)
    assert given == b"".join(pieces)
    assert found == [
        ("provider", "anthropic", 0, "the stream ended without message_stop"),
        ("provider", "anthropic", len(pieces), "content_block_delta for index 5, which is not open"),
    ]
    assert metric(proxy.metrics(), "llm_protocol_violations_total") == before + 2
    assert 'llm_protocol_violations_total{dialect="anthropic",side="provider"}' in proxy.metrics()


def _counted(proxy: Proxied) -> bool:
    return "llm_protocol_violations_total{" in proxy.metrics()


def test_a_misbehaving_provider_behind_a_translation(server: Upstream, proxy: Proxied) -> None:
    """The provider's stream is wrong, the one that we make of it is not."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 7, "model": "gpt-5"}
    spoken = [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]
    over = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    chunks = [{**head, "choices": choices} for choices in (spoken, over)]
    sends(server, *(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks))
    given, found = violations(proxy, wire.ANTHROPIC, ALIASED)
    assert b"message_stop" in given
    assert found == [
        ("provider", "openai_chat", 0, "the stream ended without [DONE]"),
        ("provider", "openai_chat", 0, "usage was asked for, but none came"),
        ("provider", "openai_chat", 1, "the first delta of choice 0 has no role"),
    ]
