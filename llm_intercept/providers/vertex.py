"""Google Cloud Vertex AI: Gemini, and the models of partners, in every location.

In the examples, @ stands for /v1/projects/p/locations/us-east5.

Calls that we write ourselves need project and location. They stand in the key's base URL,
`https://us-east5-aiplatform.googleapis.com/v1/projects/P/locations/us-east5`; without one, the JSON of a
service account says the project, the host of the base URL the location, and `global` is the default. API
keys of Google's express mode need neither.

    POST @/publishers/google/models/gemini-2.5-flash:generateContent          generate      gemini
    POST @/publishers/google/models/gemini-2.5-pro:streamGenerateContent      generate      gemini
    POST @/publishers/google/models/gemini-2.5-pro:countTokens                count_tokens  gemini
    POST @/publishers/google/models/gemini-embedding-2:embedContent           embeddings    gemini
    POST @/publishers/google/models/text-embedding-005:predict                embeddings    gemini
    POST @/publishers/google/models/imagen-4.0-generate-001:predict           images        observe
    POST @/publishers/anthropic/models/claude-opus-4@20250514:rawPredict      messages      anthropic
    POST @/publishers/anthropic/models/claude-opus-4-8:streamRawPredict       messages      anthropic
    POST @/publishers/anthropic/models/count-tokens:rawPredict                count_tokens  anthropic
    POST @/publishers/mistralai/models/mistral-medium-3:streamRawPredict      chat          openai_chat
    POST @/publishers/meta/models/llama-4:predict                             generate      observe
    POST @/endpoints/1234:generateContent                                     generate      gemini
    POST @/endpoints/1234:predict                                             generate      observe
    POST @/endpoints/openapi/chat/completions                                 chat          openai_chat
    POST @/cachedContents                                                     other         observe
    POST /v1beta1/projects/p/locations/l/publishers/google/models/gemini-2:generateContent generate gemini
    POST /v1/publishers/google/models/gemini-2.0-flash-exp:generateContent    generate      gemini
    GET  /v1beta1/publishers/google/models                                    models        observe
    GET  /ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent    realtime      gemini
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, cast

import orjson
from pydantic import SecretStr

from llm_intercept.errors import ConfigError
from llm_intercept.providers import endpoints, regions, servings
from llm_intercept.providers.base import Endpoint, Outgoing, Provider, Serving
from llm_intercept.providers.credentials import bearer, drop_query, place

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_RENEW_BEFORE = 300.0
_LIFETIME = 3600.0
_REMEMBERED = 64
_PROJECT = r"/(?:v1|v1beta1)(?:/projects/[^/]+/locations/[^/]+)?"
_API_KEYS = ("AIza", "AQ.")
_ROOT = "https://aiplatform.googleapis.com"
_LOCATED = re.compile(r"(https?://[^/]+)(?:/(v1|v1beta1))?(/projects/[^/]+/locations/[^/?]+)(?:[/?].*)?")
_REGIONAL = re.compile(
    r"https?://(?:([a-z0-9-]+)-aiplatform|aiplatform\.(us|eu)\.rep)\.googleapis\.com(?:[:/].*)?"
)
_LOCATION = re.compile(r"/v1(?:beta1)?/projects/[^/]+/locations/([a-z0-9-]+)/")


@dataclass(slots=True)
class Credential:
    """API keys and access tokens as they are; a service account signs its own token, without any network.

    Signed tokens are remembered by the hash of the account's JSON until shortly before they expire.
    """

    _tokens: dict[str, tuple[float, SecretStr]] = field(default_factory=dict)

    def __call__(self, request: Outgoing, secret: SecretStr, now: float) -> None:
        if drop_query(request, "key"):
            request.changes.append("query removed: key")
        text = secret.get_secret_value().strip()
        if text.startswith("{"):
            request.minted = self._token(text, now)
            bearer(request, request.minted, now)
        elif text.startswith(_API_KEYS):
            place(request, "x-goog-api-key", text)
        else:
            bearer(request, SecretStr(text), now)

    def _token(self, account: str, now: float) -> SecretStr:
        key = sha256(account.encode()).hexdigest()
        made, token = self._tokens.get(key, (0.0, SecretStr("")))
        if not made <= now < made + _LIFETIME - _RENEW_BEFORE:
            token = sign_token(account)
            if len(self._tokens) >= _REMEMBERED:
                self._tokens.clear()
            self._tokens[key] = (now, token)
        return token


def sign_token(account: str) -> SecretStr:
    """A JWT signed with the service account's own key: Google's APIs take it for an access token."""
    from google.oauth2.service_account import Credentials

    try:
        info = orjson.loads(account)
        account_of = cast("Callable[..., Any]", Credentials.from_service_account_info)
        made = account_of(info, scopes=[SCOPE]).with_always_use_jwt_access(True)
    except (ValueError, KeyError):  # their texts may quote the key
        raise ConfigError("the vertex credential is not the JSON key of a service account") from None
    made.refresh(None)
    return SecretStr(str(made.token))


_FORMS = (
    "a key of Google Vertex AI is the JSON of a service account (what is in the file, not its name), an API "
    "key (AIza... or AQ....) or an access token (ya29.... or a JWT)"
)
_OF_A_PERSON = (
    "this JSON is a login of a person, for which Google wants to be asked for each token; store the JSON key "
    "of a service account, or for an hour what `gcloud auth print-access-token` says"
)


def key_problem(secret: SecretStr, own: bool) -> str:
    """A relay may take anything for a key; Google does not."""
    text = secret.get_secret_value().strip()
    if not text.startswith("{"):
        fits = text.startswith((*_API_KEYS, "ya29.", "eyJ"))
        return "" if fits or not own else _FORMS
    try:
        sign_token(text)
    except ConfigError as error:
        return _OF_A_PERSON if '"authorized_user"' in text else str(error)
    return ""


def host_for(path: str, headers: Mapping[str, str]) -> str | None:
    """The location in the path names the host."""
    found = _LOCATION.match(path)
    location = found[1] if found else "global"
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


def base_for(base_url: str | None, secret: SecretStr | None) -> str | None:
    """With project and location, which our paths leave out; any URL below them says them, too."""
    if found := _LOCATED.fullmatch(base_url or ""):
        return f"{found[1]}/{found[2] or 'v1'}{found[3]}"
    root = (base_url or _ROOT).rstrip("/").removesuffix("/v1")
    text = secret.get_secret_value().strip() if secret is not None else ""
    if text.startswith(_API_KEYS):
        return f"{root}/v1"
    regional = _REGIONAL.fullmatch(root)
    location = (regional[1] or regional[2]) if regional else "global"
    return f"{root}/v1/projects/{_project(text)}/locations/{location}"


def _project(account: str) -> str:
    """The project of a service account."""
    try:
        given: object = orjson.loads(account)
    except orjson.JSONDecodeError:
        given = None
    project = given.get("project_id") if isinstance(given, dict) else None
    if not isinstance(project, str) or not project:
        raise ConfigError(
            "the vertex credential does not say its project: store it with --base-url "
            "https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION"
        )
    return project


def _of(
    publisher: str, model: str, verb: str, operation: str, dialect: str, stream: str = "never"
) -> Endpoint:
    path = rf"{_PROJECT}/publishers/{publisher}/models/(?P<model>{model})(?::|%3A){verb}"
    return Endpoint(re.compile(path), operation, dialect, stream)


def _tuned(verb: str, operation: str, dialect: str, stream: str = "never") -> Endpoint:
    path = rf"{_PROJECT}/endpoints/(?P<model>[^/:]+)(?::|%3A){verb}"
    return Endpoint(re.compile(path), operation, dialect, stream)


_ANY = r"[^/:]+?"
ENDPOINTS = (
    _of("google", _ANY, "streamGenerateContent", "generate", "gemini", "path"),
    _of("google", _ANY, "generateContent", "generate", "gemini"),
    # not a model: the body says whose tokens are meant
    Endpoint(
        re.compile(rf"{_PROJECT}/publishers/anthropic/models/count-tokens(?::|%3A)rawPredict"),
        "count_tokens",
        "anthropic",
    ),
    _of("anthropic", _ANY, "streamRawPredict", "messages", "anthropic", "path"),
    _of("anthropic", _ANY, "rawPredict", "messages", "anthropic", "body"),
    _of("google", _ANY, "countTokens", "count_tokens", "gemini"),
    _of("google", _ANY, "(?:embedContent|batchEmbedContents)", "embeddings", "gemini"),
    _of("google", "[^/:]*embedding[^/:]*?", "predict", "embeddings", "gemini"),
    _of("google", "(?:imagen|imagegeneration)[^/:]*?", "predict", "images", "observe"),
    _of("[^/]+", _ANY, "streamRawPredict", "chat", "openai_chat", "path"),
    _of("[^/]+", _ANY, "rawPredict", "chat", "openai_chat", "body"),
    _of("[^/]+", _ANY, "(?:predict|predictLongRunning|serverStreamingPredict)", "generate", "observe"),
    _tuned("streamGenerateContent", "generate", "gemini", "path"),
    _tuned("generateContent", "generate", "gemini"),
    _tuned("countTokens", "count_tokens", "gemini"),
    _tuned("(?:predict|rawPredict|streamRawPredict|serverStreamingPredict)", "generate", "observe"),
    *endpoints.openai(rf"{_PROJECT}/endpoints/[^/]+", inject=True),
    Endpoint(
        re.compile(rf"{_PROJECT}/publishers/[^/]+/models(?:/[^/:]+)?"), "models", "observe", methods=("GET",)
    ),
    Endpoint(re.compile(r"/ws/google\.cloud\.aiplatform\..+"), "realtime", "gemini", "path", ("GET",)),
)


def _google(verb: str, model: str) -> str:
    return f"/publishers/google/models/{servings.quoted(model.rpartition('/')[2])}:{verb}"


def _generate(model: str, stream: bool) -> str:
    return _google("streamGenerateContent?alt=sse" if stream else "generateContent", model)


def _claude(model: str, stream: bool) -> str:
    verb = "streamRawPredict" if stream else "rawPredict"
    return f"/publishers/anthropic/models/{servings.quoted(model.rpartition('/')[2])}:{verb}"


_IS_CLAUDE = re.compile(r"^(?:publishers/anthropic/models/|anthropic/)?claude")
# Gemini's embedding models after 001 have no `predict`, only an `embedContent` whose body is Vertex's own.
_EMBEDS_ONE = re.compile(r"^(?:publishers/google/models/)?gemini-embedding-(?!001$)[^/]+$")
_EMBEDS = re.compile(r"^(?:publishers/google/models/)?(?!gemini-embedding-(?!001$))[^/]*embedding[^/]*$")
_IS_GEMINI = re.compile(r"^(?:publishers/google/models/)?(?!claude)[^/]*$")

SERVES = (
    Serving("gemini", "generate", _generate, models=_IS_GEMINI),
    Serving("gemini", "count_tokens", lambda model, stream: _google("countTokens", model), models=_IS_GEMINI),
    Serving("gemini", "embeddings", lambda model, stream: _google("embedContent", model), models=_EMBEDS_ONE),
    Serving("gemini", "embeddings", lambda model, stream: _google("predict", model), models=_EMBEDS),
    Serving("anthropic", "messages", _claude, "vertex", _IS_CLAUDE),
    # the models of other publishers, and Gemini by its full name
    servings.chat("/endpoints/openapi", re.compile(r"^(?!publishers/|anthropic/)[^/]+/")),
)

PROVIDER = Provider(
    name="vertex",
    title="Google Vertex AI",
    dialect="gemini",
    hosts=("aiplatform.googleapis.com", "*-aiplatform.googleapis.com", "aiplatform.*.rep.googleapis.com"),
    base_url="https://aiplatform.googleapis.com",
    endpoints=ENDPOINTS,
    credential=Credential(),
    ca_names=regions.vertex_hosts(),
    price_provider="google",
    host_for=host_for,
    serves=SERVES,
    vendor_models=True,
    base_for=base_for,
    key_problem=key_problem,
)
