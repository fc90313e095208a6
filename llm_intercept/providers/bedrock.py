"""Amazon Bedrock: the runtime in every region, its FIPS hosts, and the compatible APIs of the `mantle` hosts.

    POST /model/us.anthropic.claude-sonnet-4-5-v1:0/converse                converse      bedrock_converse
    POST /model/us.anthropic.claude-sonnet-4-5-v1%3A0/converse-stream       converse      bedrock_converse
    POST /model/amazon.nova-micro-v1%3A0/invoke                             invoke        bedrock_invoke
    POST /model/amazon.nova-micro-v1:0/invoke-with-response-stream          invoke        bedrock_invoke
    POST /model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse converse bedrock_converse
    POST /model/anthropic.claude-sonnet-4-v1:0/count-tokens                 count_tokens  bedrock_converse
    POST /openai/v1/chat/completions                                        chat          openai_chat
    POST /openai/v1/responses                                               responses     openai_responses
    POST /v1/responses                                                      responses     openai_responses
    GET  /v1/models                                                         models        observe
    POST /anthropic/v1/messages                                             messages      anthropic
    GET  /inference-profiles                                                models        observe
    POST /guardrail/g/version/1/apply                                       other         observe

The control plane (`bedrock.<region>`) is not intercepted; base-URL clients, which send everything to one
address (Claude Code lists its inference profiles), are led there by path.
"""

import re
from collections.abc import Mapping
from hashlib import sha256

import orjson
from pydantic import SecretStr

from llm_intercept.errors import ConfigError
from llm_intercept.policy import sigv4
from llm_intercept.providers import endpoints, regions, servings
from llm_intercept.providers.base import Endpoint, Outgoing, Provider, Serving
from llm_intercept.providers.credentials import CREDENTIAL_HEADERS, drop_signature, place

DEFAULT_REGION = "us-east-1"
_HOST = re.compile(
    r"bedrock(?P<mantle>-mantle)?(?:-runtime)?(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com|api\.aws)"
)
_API_KEYS = ("ABSK", "bedrock-api-key-")
_CONTROL = re.compile(r"/(?:inference-profiles|foundation-models)(?:/[^?]*)?")
_MODEL = r"/model/(?P<model>.+)"
_NOT_SIGNED = frozenset({"x-amz-date", "x-amz-security-token", "host", "content-length", *CREDENTIAL_HEADERS})


def credential(request: Outgoing, secret: SecretStr, now: float) -> None:
    """A Bedrock API key goes as a bearer; an AWS key pair signs the request."""
    keys = read_keys(secret)
    if keys is None:
        drop_signature(request)
        place(request, "Authorization", f"Bearer {secret.get_secret_value()}")
    else:
        _sign(request, keys, now)


def read_keys(secret: SecretStr) -> sigv4.AwsKeys | None:
    """The key pair in a stored secret: JSON (also as `aws sts` prints it) or `ACCESS:SECRET[:SESSION]`."""
    text = secret.get_secret_value().strip()
    if text.startswith("{"):
        return _json_keys(text)
    if text.startswith(_API_KEYS) or ":" not in text:
        return None
    access, _, rest = text.partition(":")
    key, _, session = rest.partition(":")
    return sigv4.AwsKeys(access, SecretStr(key), SecretStr(session) if session else None)


def _json_keys(text: str) -> sigv4.AwsKeys:
    try:
        raw: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ConfigError("the bedrock credential starts like JSON but is not") from None
    given = raw.get("Credentials", raw) if isinstance(raw, dict) else {}
    given = given if isinstance(given, dict) else {}
    found = {
        str(name).lower().replace("_", "").removeprefix("aws"): str(value)
        for name, value in given.items()
        if value
    }
    if "accesskeyid" not in found or "secretaccesskey" not in found:
        raise ConfigError("the bedrock credential needs access_key_id and secret_access_key")
    session = found.get("sessiontoken")
    return sigv4.AwsKeys(
        found["accesskeyid"],
        SecretStr(found["secretaccesskey"]),
        SecretStr(session) if session else None,
        found.get("region", ""),
    )


_FORMS = (
    "a key of Amazon Bedrock is an API key (ABSK... or bedrock-api-key-...), a pair of access key id and "
    "secret access key as ACCESS:SECRET or ACCESS:SECRET:SESSION, or such a pair as JSON (access_key_id, "
    "secret_access_key)"
)
_PAIR = re.compile(r"[A-Z0-9]{16,128}:[^\s:]{16,}(?::[^\s:]+)?")


def key_problem(secret: SecretStr, own: bool) -> str:
    """A relay may take anything for a key; AWS does not."""
    text = secret.get_secret_value().strip()
    if text.startswith("{"):
        try:
            read_keys(secret)
        except ConfigError as error:
            return str(error)
        return ""
    fits = text.startswith(_API_KEYS) or _PAIR.fullmatch(text)
    return "" if fits or not own else _FORMS


def _sign(request: Outgoing, keys: sigv4.AwsKeys, now: float) -> None:
    body = (
        request.body if request.body is not None or request.method not in ("GET", "HEAD", "DELETE") else b""
    )
    if body is None:
        raise ConfigError("a body that streams through cannot be signed for Bedrock")
    region, service = _scope(request, keys)
    if request.header("x-amz-content-sha256") is not None:
        request.set_header("x-amz-content-sha256", sha256(body).hexdigest())
    covered = _covered(request)
    request.drop_header("x-amz-security-token")
    path, _, query = request.path.partition("?")
    unsigned = sigv4.Unsigned(request.method, request.scheme, _authority(request), path, query, covered, body)
    signed = sigv4.sign(unsigned, keys, region, service, now)
    place(request, "Authorization", signed.pop("Authorization"))
    for name, value in signed.items():
        request.set_header(name, value)


def _covered(request: Outgoing) -> tuple[tuple[str, str], ...]:
    """What the client signed is signed again; for a client that signed nothing, what identifies the body."""
    scope = sigv4.parse_scope(request.header("authorization") or "")
    wanted = set(scope.signed_headers) if scope else {"content-type"}
    names = [name.lower() for name, _ in request.headers]
    return tuple(
        (name, value)
        for name, value in request.headers
        if (lower := name.lower()) not in _NOT_SIGNED and lower in wanted and names.count(lower) == 1
    )


def _authority(request: Outgoing) -> str:
    default = {"https": 443, "http": 80}.get(request.scheme)
    return request.host if request.port == default else f"{request.host}:{request.port}"


def _scope(request: Outgoing, keys: sigv4.AwsKeys) -> tuple[str, str]:
    """Region and service: from the host, else the stored key's region, else what the client signed for."""
    found = _HOST.fullmatch(request.host)
    if found:
        return found["region"], "bedrock-mantle" if found["mantle"] else "bedrock"
    client = sigv4.parse_scope(request.header("authorization") or "")
    return keys.region or (
        client.region if client else DEFAULT_REGION
    ), client.service if client else "bedrock"


def host_for(path: str, headers: Mapping[str, str]) -> str | None:
    """A base-URL client's region is in its signature; its service in signature or path."""
    scope = sigv4.parse_scope(headers.get("authorization", ""))
    region = scope.region if scope else DEFAULT_REGION
    if _CONTROL.match(path):
        return f"bedrock.{region}.amazonaws.com"
    if (scope and scope.service == "bedrock-mantle") or not path.startswith(
        ("/model/", "/openai/", "/guardrail/")
    ):
        return f"bedrock-mantle.{region}.api.aws"
    return f"bedrock-runtime.{region}.amazonaws.com"


def base_for(base_url: str | None, secret: SecretStr | None) -> str | None:
    """A stored key pair can say its region; without one the request or the default decides.

    A URL may be that of a call.
    """
    if base_url is not None:
        return base_url.partition("/model/")[0]
    keys = read_keys(secret) if secret is not None else None
    return f"https://bedrock-runtime.{keys.region}.amazonaws.com" if keys and keys.region else None


def _converse(model: str, stream: bool) -> str:
    return f"/model/{servings.quoted(model)}/converse{'-stream' if stream else ''}"


def _invoke(model: str, stream: bool) -> str:
    return f"/model/{servings.quoted(model)}/invoke{'-with-response-stream' if stream else ''}"


def _count(model: str, stream: bool) -> str:
    return f"/model/{servings.quoted(model)}/count-tokens"


NATIVE_SERVES = (
    Serving("bedrock_converse", "converse", _converse),
    Serving("bedrock_invoke", "invoke", _invoke),
    Serving("bedrock_converse", "count_tokens", _count),
)
SERVES = (
    *NATIVE_SERVES,
    Serving("anthropic", "messages", _invoke, "bedrock", re.compile(r"anthropic\.claude|^claude")),
    servings.chat("/openai/v1", re.compile(r"(?:^|\.)openai\.")),
)

ENDPOINTS = (
    Endpoint(re.compile(rf"{_MODEL}/converse-stream"), "converse", "bedrock_converse", "path"),
    Endpoint(re.compile(rf"{_MODEL}/converse"), "converse", "bedrock_converse"),
    Endpoint(re.compile(rf"{_MODEL}/invoke-with-response-stream"), "invoke", "bedrock_invoke", "path"),
    Endpoint(re.compile(rf"{_MODEL}/invoke"), "invoke", "bedrock_invoke"),
    Endpoint(re.compile(rf"{_MODEL}/count-tokens"), "count_tokens", "bedrock_converse"),
    Endpoint(_CONTROL, "models", "observe", methods=("GET",)),
    *endpoints.openai(r"(?:/openai)?/v1", inject=True),
    *endpoints.anthropic(r"/anthropic/v1"),
)

PROVIDER = Provider(
    name="bedrock",
    title="Amazon Bedrock",
    dialect="bedrock_converse",
    hosts=(
        "bedrock-runtime.*.amazonaws.com",
        "bedrock-runtime-fips.*.amazonaws.com",
        "bedrock-mantle.*.api.aws",
    ),
    base_url="https://bedrock-runtime.us-east-1.amazonaws.com",
    endpoints=ENDPOINTS,
    credential=credential,
    ca_names=regions.bedrock_hosts(),
    price_provider="aws",
    env="AWS_BEARER_TOKEN_BEDROCK",
    host_for=host_for,
    serves=SERVES,
    base_for=base_for,
    key_problem=key_problem,
)
