"""What no SDK shows: recorded requests, content-encodings, JSON arrays, NDJSON, WebSockets, unknown paths."""

import asyncio
import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable
from typing import Any

import aiohttp
import brotli
import pytest
import zstandard
from yarl import URL

from llm_intercept.sim.running import Running
from llm_intercept.sim.tokens import count

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}

type Talk = Callable[[aiohttp.ClientSession], Any]


def run(sim: Running, talk: Talk, **options: Any) -> Any:
    """Runs a coroutine with a session on the simulator's address."""

    async def session() -> Any:
        async with aiohttp.ClientSession(sim.address, **options) as client:
            return await talk(client)

    return asyncio.run(session())


def post(
    sim: Running, path: str, body: bytes, headers: dict[str, str] | None = None
) -> tuple[int, bytes, Any]:
    async def talk(client: aiohttp.ClientSession) -> tuple[int, bytes, Any]:
        async with client.post(URL(path, encoded=True), data=body, headers=headers or {}) as answer:
            return answer.status, await answer.read(), answer.headers

    result: tuple[int, bytes, Any] = run(sim, talk, auto_decompress=False)
    return result


def test_requests_are_recorded_as_they_came(sim: Running) -> None:
    body = gzip.compress(json.dumps(CHAT).encode())
    headers = {"X-Odd-CASE": "Ä", "Content-Encoding": "gzip", "authorization": "Bearer lli_x"}
    status, _, _ = post(sim, "/v1/chat/completions?a=%2F", body, headers)
    assert status == 200

    async def read(client: aiohttp.ClientSession) -> Any:
        async with client.get("/__sim/requests") as answer:
            return (await answer.json())["requests"]

    seen = run(sim, read)[-1]
    assert (seen["method"], seen["path"], seen["status"]) == ("POST", "/v1/chat/completions?a=%2F", 200)
    assert ["X-Odd-CASE", "Ä".encode().decode("latin-1")] in seen["headers"]
    assert ["authorization", "Bearer lli_x"] in seen["headers"]
    assert base64.b64decode(seen["body_base64"]) == body
    assert seen["body_sha256"] == hashlib.sha256(body).hexdigest()
    assert not seen["body_truncated"]


def test_the_record_is_bounded_and_can_be_cleared(start_sim: Callable[..., Running]) -> None:
    sim = start_sim(record=2, record_bytes=5)
    for number in range(3):
        post(sim, f"/v1/nothing/{number}", b"0123456789")
    kept = sim.simulator.recorder.requests
    assert [r.target for r in kept] == ["/v1/nothing/1", "/v1/nothing/2"]
    assert (kept[0].body, kept[0].size, kept[0].sha256) == (
        b"01234",
        10,
        hashlib.sha256(b"0123456789").hexdigest(),
    )

    async def clear(client: aiohttp.ClientSession) -> int:
        async with client.delete("/__sim/requests") as answer:
            return answer.status

    assert run(sim, clear) == 204
    assert sim.simulator.recorder.requests == []


@pytest.mark.parametrize(
    ("encoding", "decode"),
    [
        ("gzip", gzip.decompress),
        ("deflate", zlib.decompress),
        ("br", brotli.decompress),
        ("zstd", lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_answers_are_compressed_on_request(
    sim: Running, encoding: str, decode: Callable[[bytes], bytes], stream: bool
) -> None:
    body = json.dumps({**CHAT, "stream": stream}).encode()
    _, plain, _ = post(sim, "/v1/chat/completions", body)
    status, data, headers = post(sim, "/v1/chat/completions", body, {"x-sim-encoding": encoding})
    assert (status, headers["content-encoding"]) == (200, encoding)
    assert len(decode(data)) == len(plain)
    assert b"there" in decode(data)


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("deflate", zlib.compress),
        ("br", brotli.compress),
        ("zstd", lambda data: zstandard.ZstdCompressor().compress(data)),
    ],
)
def test_compressed_requests_are_read(sim: Running, encoding: str, encode: Callable[[bytes], bytes]) -> None:
    body = encode(json.dumps(CHAT).encode())
    assert post(sim, "/v1/chat/completions", body, {"content-encoding": encoding})[0] == 200


def test_a_wrong_content_encoding_is_the_clients_error(sim: Running) -> None:
    assert post(sim, "/v1/chat/completions", b"{}", {"content-encoding": "br"})[0] == 400


def test_a_header_gives_any_model_another_models_behaviour(sim: Running) -> None:
    body = json.dumps(CHAT).encode()
    status, answer, headers = post(sim, "/v1/chat/completions", body, {"x-sim-model": "sim/error-429"})
    assert (status, headers["retry-after"]) == (429, "1")
    assert json.loads(answer)["error"]["code"] == "rate_limit_exceeded"


def test_gemini_streams_a_json_array_without_alt(sim: Running) -> None:
    body = json.dumps({"contents": [{"parts": [{"text": "one two"}]}]}).encode()
    _, answer, headers = post(sim, "/v1beta/models/gemini-2.5-flash:streamGenerateContent", body)
    chunks = json.loads(answer)
    assert headers["content-type"].startswith("application/json")
    assert [c["candidates"][0]["content"]["parts"][0]["text"] for c in chunks] == ["one", " two", ""]
    assert chunks[-1]["usageMetadata"]["totalTokenCount"] == 7
    _, events, _ = post(sim, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", body)
    assert events.count(b"\r\n\r\n") == len(chunks)


def test_ollama_streams_lines_unless_told_otherwise(sim: Running) -> None:
    _, answer, headers = post(sim, "/api/chat", json.dumps(CHAT).encode())
    lines = [json.loads(text) for text in answer.splitlines()]
    assert headers["content-type"] == "application/x-ndjson"
    assert [line["message"]["content"] for line in lines] == ["hello", " there", ""]
    _, whole, _ = post(
        sim, "/api/generate", json.dumps({"model": "m", "prompt": "a", "stream": False}).encode()
    )
    assert (lines[-1]["eval_count"], json.loads(whole)["eval_count"]) == (2, 1)


def test_cohere_stream_and_whole_agree(sim: Running) -> None:
    _, whole, _ = post(sim, "/v2/chat", json.dumps(CHAT).encode())
    _, stream, _ = post(sim, "/v2/chat", json.dumps({**CHAT, "stream": True}).encode())
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith(b"data: ")]
    assert events[-1]["delta"]["usage"] == json.loads(whole)["usage"]
    assert events[-1]["delta"]["usage"]["tokens"] == {"input_tokens": 5, "output_tokens": 2}


@pytest.mark.parametrize(
    ("path", "headers", "key"),
    [
        ("/v1/nothing", {}, "error"),
        ("/v1/nothing", {"anthropic-version": "2023-06-01"}, "request_id"),
        ("/v1beta/nothing", {}, "error"),
        ("/model/m/nothing", {}, "message"),
        ("/v2/nothing", {}, "message"),
        ("/api/nothing", {}, "error"),
    ],
)
def test_unknown_paths_are_404_in_the_providers_shape(
    sim: Running, path: str, headers: dict[str, str], key: str
) -> None:
    status, answer, _ = post(sim, path, b"{}", headers)
    assert status == 404
    assert key in json.loads(answer)


async def _collect(socket: aiohttp.ClientWebSocketResponse, last: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] not in (last, "error"):
        events.append(await socket.receive_json(timeout=5))
    return events


def test_responses_over_websocket(sim: Running) -> None:
    async def talk(client: aiohttp.ClientSession) -> list[list[dict[str, Any]]]:
        async with client.ws_connect("/v1/responses") as socket:
            rounds = []
            for more in (
                {"generate": False},
                {"input": "hello there"},
                {"input": "x", "model": "sim/error-429"},
            ):
                await socket.send_json({"type": "response.create", "model": "gpt-5", "input": [], **more})
                rounds.append(await _collect(socket, "response.completed"))
            return rounds

    warm, answer, error = run(sim, talk)
    assert [e["type"] for e in warm] == ["response.created", "response.completed"]
    assert warm[-1]["response"]["usage"]["total_tokens"] == 0
    assert answer[-1]["response"]["usage"]["output_tokens"] == count("hello there")
    assert "".join(e["delta"] for e in answer if e["type"] == "response.output_text.delta") == "hello there"
    assert [e["sequence_number"] for e in answer] == list(range(len(answer)))
    assert (error[-1]["type"], error[-1]["status"]) == ("error", 429)
    assert len(sim.simulator.recorder.requests[-1].messages) == 3


def test_realtime(sim: Running) -> None:
    async def talk(client: aiohttp.ClientSession) -> list[dict[str, Any]]:
        async with client.ws_connect("/v1/realtime?model=gpt-realtime") as socket:
            content = [{"type": "input_text", "text": "hello there"}]
            item = {"type": "message", "role": "user", "content": content}
            await socket.send_json({"type": "conversation.item.create", "item": item})
            await socket.send_json({"type": "response.create"})
            return await _collect(socket, "response.done")

    events = run(sim, talk)
    assert events[0]["type"] == "session.created"
    usage = events[-1]["response"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (5, 2, 7)


def test_plain_requests_to_websocket_paths_get_426(sim: Running) -> None:
    async def talk(client: aiohttp.ClientSession) -> int:
        async with client.get("/v1/realtime") as answer:
            return answer.status

    assert run(sim, talk) == 426


def test_health(sim: Running) -> None:
    async def talk(client: aiohttp.ClientSession) -> Any:
        async with client.get("/__sim/health") as answer:
            return await answer.json()

    assert run(sim, talk)["status"] == "ok"
