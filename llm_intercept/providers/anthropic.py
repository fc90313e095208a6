"""Anthropic. Claude Code uses the same host for settings, telemetry and login: those paths pass unrecorded.

POST /v1/messages                messages      anthropic
POST /v1/messages/count_tokens   count_tokens  anthropic
POST /v1/complete                complete      anthropic
POST /v1/messages/batches        batches       observe
GET  /v1/models                  models        observe
POST /v1/files                   files         observe
POST /v1/chat/completions        chat          openai_chat
GET  /v1/organizations/me        other         observe
"""

import re

from pydantic import SecretStr

from llm_intercept.providers import endpoints, servings
from llm_intercept.providers.base import Outgoing, Provider
from llm_intercept.providers.credentials import bearer, place

OAUTH_BETA = "oauth-2025-04-20"
"""The API takes OAuth tokens only from requests that carry this value in `anthropic-beta`."""


def credential(request: Outgoing, secret: SecretStr, now: float) -> None:
    """`x-api-key`, or a bearer for OAuth tokens and for the OpenAI-compatible path, which knows only that."""
    if secret.get_secret_value().startswith("sk-ant-oat"):
        bearer(request, secret, now)
        _add_beta(request)
    elif request.path.startswith("/v1/chat/"):
        bearer(request, secret, now)
    else:
        place(request, "x-api-key", secret.get_secret_value())


def _add_beta(request: Outgoing) -> None:
    present = request.header("anthropic-beta")
    if present and OAUTH_BETA in present:
        return
    request.set_header("anthropic-beta", f"{present},{OAUTH_BETA}" if present else OAUTH_BETA)
    request.changes.append(f"header anthropic-beta: added {OAUTH_BETA}")


NOT_INFERENCE = (
    # Claude Code: settings, policy limits, bootstrap, feature switches, telemetry
    re.compile(
        r"/api/(?:claude_code|claude_cli|event_logging|eval|oauth|hello|metrics|organizations)(?:/.*)?"
    ),
    re.compile(r"/api/claude_code_[a-z_]+(?:/.*)?"),
    re.compile(r"/(?:v1/)?oauth/.*"),
    re.compile(r"/v1/(?:metrics|logs|traces|session_ingress)(?:/.*)?"),
    re.compile(r"/mcp-registry/.*"),
)

PROVIDER = Provider(
    name="anthropic",
    title="Anthropic",
    dialect="anthropic",
    hosts=("api.anthropic.com",),
    base_url="https://api.anthropic.com",
    endpoints=(*endpoints.anthropic("/v1"), *endpoints.openai("/v1", inject=True)[:1]),
    credential=credential,
    not_inference=NOT_INFERENCE,
    price_provider="anthropic",
    env="ANTHROPIC_API_KEY",
    bare="/v1",
    serves=(servings.messages("/v1"), servings.count_tokens("/v1")),
)
