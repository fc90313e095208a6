"""Finds recorded provider answers where they exist beside the checkout, and turns them back into bytes.

A recording holds the request, the answer's headers and its body as it was on the wire; the SDK
numbers use each SDK's own convention, which `expected` undoes.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3] / "shared" / "recordings"

DIALECTS = {
    "chat.completions": "openai_chat",
    "completions": "openai_completions",
    "responses": "openai_responses",
    "embeddings": "openai_embeddings",
    "models": "observe",
    "messages": "anthropic",
    "rawPredict": "anthropic",
    "streamRawPredict": "anthropic",
    "count_tokens": "anthropic",
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
    "batchEmbedContents": "gemini",
    "embedContent": "gemini",
    "countTokens": "gemini",
    "converse": "bedrock_converse",
    "converse-stream": "bedrock_converse",
    "count-tokens": "bedrock_converse",
    "invoke": "bedrock_invoke",
    "invoke-stream": "bedrock_invoke",
    "chat": "cohere",
    "ollama.chat": "ollama",
    "ollama.generate": "ollama",
}
SPECIAL = {
    ("anthropic", "completions"): "anthropic",
    ("cohere", "embeddings"): "cohere",
    ("ollama", "embeddings"): "ollama",
}


@dataclass(frozen=True)
class Recording:
    name: str
    provider: str
    surface: str
    stream: bool
    status: int
    model: str
    path: str
    request: bytes
    headers: dict[str, str]
    body: bytes

    @property
    def dialect(self) -> str:
        return SPECIAL.get((self.provider, self.surface), DIALECTS[self.surface])

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")


def _load(entry: dict[str, Any]) -> Recording:
    stored = json.loads((ROOT / entry["file"]).read_text())
    request, response = stored["request"], stored["response"]
    body = response.get("body")
    return Recording(
        name=entry["file"],
        provider=entry["provider"],
        surface=entry["surface"],
        stream=entry["stream"],
        status=entry["status"],
        model=entry["model"],
        path=request["path"],
        request=json.dumps(request.get("body")).encode(),
        headers=response["headers"],
        body=base64.b64decode(response["body_base64"]) if body is None else body.encode(),
    )


@cache
def recordings() -> tuple[Recording, ...]:
    """Every recording; none where the folder is absent."""
    index = ROOT / "INDEX.json"
    return tuple(_load(entry) for entry in json.loads(index.read_text())) if index.exists() else ()


@cache
def sdk_usage() -> dict[str, list[int | str] | None]:
    path = ROOT / "SDK_USAGE.json"
    return json.loads(path.read_text()) if path.exists() else {}


def successes() -> Iterator[Recording]:
    return (recording for recording in recordings() if recording.status == 200)
