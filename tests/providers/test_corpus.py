"""Every recorded call and every captured client: its host and path must mean what it was."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from llm_intercept.providers import Registry
from llm_intercept.providers.base import Endpoint, Provider

SHARED = Path(__file__).resolve().parents[3] / "shared"
REGISTRY = Registry({})
FOLDERS = {"vercel-gw": "vercel", "bedrock-mantle": "bedrock"}
"""Where a folder's name is not that of the provider."""

SURFACES = {
    "chat.completions": ("chat", "openai_chat"),
    "completions": ("completions", "openai_completions"),
    "responses": ("responses", "openai_responses"),
    "embeddings": ("embeddings", "openai_embeddings"),
    "models": ("models", "observe"),
    "messages": ("messages", "anthropic"),
    "rawPredict": ("messages", "anthropic"),
    "streamRawPredict": ("messages", "anthropic"),
    "count_tokens": ("count_tokens", "anthropic"),
    "generateContent": ("generate", "gemini"),
    "streamGenerateContent": ("generate", "gemini"),
    "batchEmbedContents": ("embeddings", "gemini"),
    "embedContent": ("embeddings", "gemini"),
    "countTokens": ("count_tokens", "gemini"),
    "converse": ("converse", "bedrock_converse"),
    "converse-stream": ("converse", "bedrock_converse"),
    "count-tokens": ("count_tokens", "bedrock_converse"),
    "invoke": ("invoke", "bedrock_invoke"),
    "invoke-stream": ("invoke", "bedrock_invoke"),
    "chat": ("chat", "cohere"),
    "ollama.chat": ("chat", "ollama"),
    "ollama.generate": ("generate", "ollama"),
}
SPECIAL = {
    ("anthropic", "completions"): ("complete", "anthropic"),
    ("cohere", "embeddings"): ("embeddings", "cohere"),
    ("ollama", "embeddings"): ("embeddings", "ollama"),
    ("gemini", "models"): ("other", "observe"),  # polling a video operation of a model
}
NOT_OURS = {"huggingface.co"}
"""The hub: model files and web pages, a blind tunnel."""


def _recorded() -> list[dict[str, Any]]:
    index = SHARED / "recordings" / "INDEX.json"
    entries = json.loads(index.read_text()) if index.exists() else []
    loaded = ({**entry, **json.loads((index.parent / entry["file"]).read_text())} for entry in entries)
    return [entry for entry in loaded if entry.get("request", {}).get("host")]


def _captured() -> list[dict[str, Any]]:
    files = sorted((SHARED / "captures").glob("*.json"))
    calls = [call | {"file": file.name} for file in files for call in json.loads(file.read_text())]
    return [call for call in calls if call.get("path")]


def _headers(call: dict[str, Any]) -> dict[str, str]:
    given = call.get("headers") or {}
    pairs = given.items() if isinstance(given, dict) else given
    return {name.lower(): value for name, value in pairs}


def _find(
    host: str, method: str, path: str, headers: dict[str, str]
) -> tuple[Provider, Endpoint, str] | None:
    """As the port does: the host of an intercepted call; prefix or path of a base-URL client."""
    provider = REGISTRY.by_host(host)
    found = (provider, path) if provider else REGISTRY.by_path(path, headers, method)
    if found is None:
        return None
    return found[0], REGISTRY.endpoint(found[0], method, found[1]), found[1]


RECORDED = _recorded()
CAPTURED = _captured()
present = pytest.mark.skipif(not RECORDED or not CAPTURED, reason="recordings are not beside this checkout")


@present
def test_recordings() -> None:
    wrong = [
        call["file"] for call in RECORDED if call["request"]["host"] not in NOT_OURS and not _is_right(call)
    ]
    assert wrong == []
    assert len(RECORDED) > 700


def _is_right(call: dict[str, Any]) -> bool:
    request = call["request"]
    found = _find(request["host"], request["method"], request["path"], {})
    if found is None:
        return False
    provider, endpoint, path = found
    folder = call["provider"]
    if request["host"] in ("localhost", "127.0.0.1") and path.startswith("/v1/"):
        folder = "openai"  # without a port nobody can know that it was Ollama
    expected = SPECIAL.get((folder, call["surface"])) or SURFACES.get(call["surface"], ("other", "observe"))
    named = provider.name == FOLDERS.get(folder, folder)
    return (
        named and (endpoint.operation, endpoint.dialect) == expected and _model_is_right(call, endpoint, path)
    )


def _model_is_right(call: dict[str, Any], endpoint: Endpoint, path: str) -> bool:
    match = endpoint.path.fullmatch(path.partition("?")[0])
    model = match.groupdict().get("model") if match else None
    if model is None:
        return endpoint.dialect not in ("gemini", "bedrock_converse", "bedrock_invoke")
    recorded = (call["model"] or "").removeprefix("models/")
    # a deployment is named as its owner likes; the index calls every ARN just that
    return call["provider"] == "azure" or recorded == "arn" or unquote(model) == unquote(recorded)


@present
def test_streams_by_path() -> None:
    for call in RECORDED:
        request = call["request"]
        found = _find(request["host"], request["method"], request["path"], {})
        if found is not None and call["stream"]:
            assert found[1].stream in ("path", "body"), call["file"]
        elif found is not None and found[1].stream == "path":
            # an error, or Gemini's JSON array, which the index does not count as a stream
            assert call["response"]["status"] >= 400 or found[1].dialect == "gemini", call["file"]


@present
def test_captures() -> None:
    seen: dict[str, set[str]] = {}
    for call in CAPTURED:
        found = _find(call["host"], call["method"], call["path"], _headers(call))
        name = "nobody" if found is None else found[0].name
        if found is not None:
            silent = REGISTRY.not_inference(found[0], call["path"])
            assert silent == call["path"].startswith(("/api/", "/mcp-registry/")), call["path"]
            assert silent or found[1].operation != "other", call["path"]
        seen.setdefault(name, set()).add(call["host"])
    assert set(seen) == {"openai", "anthropic", "gemini", "vertex", "bedrock", "azure", "nobody"}
    assert seen["nobody"] <= {"127.0.0.1", "chatgpt.com", "ab.chatgpt.com", "api.github.com"}
