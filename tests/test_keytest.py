import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import SecretStr

from llm_intercept.home import Home
from llm_intercept.keytest import KeyTest, request_for, run_test
from llm_intercept.providers import Registry
from llm_intercept.settings import Settings
from llm_intercept.store.credentials import StoredCredential

KEY = "sk-abcdefghijklmnopqrstuvwx"
NOW = 1_795_000_000.0
REGISTRY = Registry({})


@contextmanager
def provider_that_answers(
    status: int, body: object
) -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """A local server in a provider's place: its URL, and what it was asked."""
    asked: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        content: ClassVar[bytes] = body.encode() if isinstance(body, str) else json.dumps(body).encode()

        def do_GET(self) -> None:
            asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            self.send_response(status)
            self.send_header("content-length", str(len(self.content)))
            self.end_headers()
            self.wfile.write(self.content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def ask(provider: str, url: str | None, home: Path, key: str = KEY) -> KeyTest:
    credential = StoredCredential(provider, "default", SecretStr(key), url)
    target = REGISTRY.providers[provider]
    return asyncio.run(run_test(REGISTRY, target, credential, Settings(), Home(home), NOW))


@pytest.mark.parametrize(
    ("status", "body", "ok", "said"),
    [
        (
            200,
            {"data": [{"id": "a"}, {"id": "b"}]},
            True,
            "OpenAI answers and takes the key. It lists 2 models.",
        ),
        (200, "no json", True, "OpenAI answers and takes the key."),
        (
            401,
            {"error": {"message": "Incorrect API key"}},
            False,
            "OpenAI refuses the key (401): Incorrect API key",
        ),
        (403, {"error": "forbidden"}, False, "OpenAI refuses the key (403): forbidden"),
        (404, "", False, "no explanation"),
        (503, {"detail": "overloaded"}, False, "OpenAI has a problem of its own (503): overloaded"),
    ],
)
def test_the_answer_in_a_sentence(tmp_path: Path, status: int, body: object, ok: bool, said: str) -> None:
    with provider_that_answers(status, body) as (url, asked):
        found = ask("openai", url, tmp_path)
    assert (found.ok, found.status) == (ok, status)
    assert found.sentence.endswith(said)
    assert KEY not in found.sentence
    assert asked[0][0] == "/v1/models"
    assert asked[0][1]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["sk-abc\r\nX-Evil: 1", "{\n}", "sk-abc\x00def"])
def test_a_key_that_no_header_can_hold(tmp_path: Path, key: str) -> None:
    with provider_that_answers(200, {}) as (url, asked):
        found = ask("openai", url, tmp_path, key)
    assert (found.ok, found.status, asked) == (False, None, [])
    assert "line break" in found.sentence


def test_nobody_there(tmp_path: Path) -> None:
    found = ask("openai", "http://127.0.0.1:9", tmp_path)
    assert (found.ok, found.status) == (False, None)
    assert "cannot be reached" in found.sentence


@pytest.mark.parametrize("name", sorted(REGISTRY.providers))
def test_every_provider_has_a_request_or_says_why_not(name: str, tmp_path: Path) -> None:
    provider = REGISTRY.providers[name]
    request = request_for(REGISTRY, provider, None, NOW)
    if request is None:
        assert asyncio.run(run_test(REGISTRY, provider, None, Settings(), Home(tmp_path), NOW)).sentence
    else:
        assert request.path.startswith("/")
        assert request.method == "GET"


@pytest.mark.parametrize(
    ("name", "path", "header"),
    [
        ("anthropic", "/v1/models", "x-api-key"),
        ("gemini", "/v1beta/models", "x-goog-api-key"),
        ("cohere", "/v1/models", "authorization"),
        ("groq", "/openai/v1/models", "authorization"),
        ("openrouter", "/api/v1/models", "authorization"),
    ],
)
def test_the_key_goes_where_the_provider_wants_it(name: str, path: str, header: str) -> None:
    credential = StoredCredential(name, "default", SecretStr(KEY), None)
    request = request_for(REGISTRY, REGISTRY.providers[name], credential, NOW)
    assert request is not None
    assert request.path == path
    assert KEY in (request.header(header) or "")
