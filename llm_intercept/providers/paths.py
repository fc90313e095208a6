"""Base-URL clients without a provider prefix: the path alone, or with a header, says whose API it is.

Only the rules are here; the provider's own endpoints decide what the path means.

`/openai/v1/...` means two things: our prefix `/openai` with OpenAI's `/v1/...`, and the v1 API of Azure.
A header `api-key` or a query `api-version` is Azure's, anything else OpenAI's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_OPENAI = (
    r"(?:chat/completions|responses|embeddings|completions|images|audio|moderations|batches|realtime|uploads)"
)


@dataclass(frozen=True, slots=True)
class _Rule:
    path: re.Pattern[str]
    provider: str
    prepend: str = ""  # what the client left out of the provider's own path


_RULES = (
    _Rule(re.compile(rf"/v1/{_OPENAI}(?:/.*)?"), "openai"),
    _Rule(re.compile(r"/v1/(?:messages|complete)(?:/.*)?"), "anthropic"),
    _Rule(
        re.compile(r"/(?:v1beta|v1|v1beta1|v1alpha)/(?:models|tunedModels)/[^/]+?(?::|%3A)[A-Za-z]+"),
        "gemini",
    ),
    _Rule(re.compile(r"/v1beta/(?:openai|models|files|cachedContents|batches)(?:/.*)?"), "gemini"),
    _Rule(re.compile(r"/(?:model/.+|inference-profiles(?:/.*)?)"), "bedrock"),
    _Rule(re.compile(r"/openai/deployments/.+"), "azure"),
    _Rule(re.compile(r"/(?:v1|v1beta1)/(?:projects/[^/]+/locations/[^/]+|publishers/[^/]+)/.+"), "vertex"),
    _Rule(re.compile(r"/api/(?:chat|generate|embed|embeddings|tags|show|ps|version)"), "ollama"),
    _Rule(re.compile(rf"/{_OPENAI}(?:/.*)?"), "openai", "/v1"),
    # Claude Code reads `ANTHROPIC_VERTEX_BASE_URL=B/v1`; without the `/v1` it sends this
    _Rule(re.compile(r"/projects/[^/]+/locations/[^/]+/.+"), "vertex", "/v1"),
)
_BY_HEADER = re.compile(r"/v1/(?:models|files)(?:/.*)?|/models(?:/[^:]*)?")


def is_azure_v1(path: str, headers: Mapping[str, str], query: str) -> bool:
    """Azure's `/openai/...` paths, told apart from our own prefix `/openai`."""
    if path.startswith("/openai/deployments/"):
        return True
    return path.startswith("/openai/") and ("api-key" in headers or "api-version=" in query)


def provider_of(path: str, headers: Mapping[str, str], query: str) -> tuple[str, str] | None:
    """(provider name, the provider's own path), or None for a path that says nothing."""
    if is_azure_v1(path, headers, query):
        return "azure", path
    for rule in _RULES:
        if rule.path.fullmatch(path):
            return rule.provider, rule.prepend + path
    if _BY_HEADER.fullmatch(path):
        return _by_header(headers, query), path if path.startswith("/v1/") else f"/v1{path}"
    return None


def _by_header(headers: Mapping[str, str], query: str) -> str:
    if "anthropic-version" in headers or "x-api-key" in headers:
        return "anthropic"
    if "x-goog-api-key" in headers or query.startswith("key=") or "&key=" in query:
        return "gemini"
    return "openai"
