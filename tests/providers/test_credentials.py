import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from llm_intercept.errors import ConfigError
from llm_intercept.providers import Registry
from llm_intercept.providers.anthropic import OAUTH_BETA
from llm_intercept.providers.base import Headers, Outgoing
from llm_intercept.providers.vertex import Credential, key_problem

PROVIDERS = Registry({}).providers
NOW = 1_800_000_000.0


def outgoing(path: str, headers: Headers, host: str = "api.example") -> Outgoing:
    return Outgoing("POST", "https", host, 443, path, [("Host", host), *headers], b"{}")


OAT = "sk-ant-oat01-x"
MESSAGES = "/v1/messages"
STREAM = "/v1beta/models/m:x"


def bearer(value: str, name: str = "Authorization") -> tuple[str, str]:
    return name, f"Bearer {value}"


def beta(value: str) -> tuple[str, str]:
    return "anthropic-beta", value


def moved(origin: str, to: str) -> str:
    return f"credential moved: {origin} -> {to}"


ADDED_BETA = f"header anthropic-beta: added {OAUTH_BETA}"
NO_KEY = "query removed: key"


@pytest.mark.parametrize(
    ("provider", "path", "sent", "secret", "headers", "changes"),
    [
        ("openai", "/v1/x", [bearer("lli", "authorization")], "sk-1", [bearer("sk-1", "authorization")], []),
        ("anthropic", MESSAGES, [("X-Api-Key", "lli")], "sk-ant", [("X-Api-Key", "sk-ant")], []),
        ("anthropic", MESSAGES, [bearer("lli")], "sk-ant", [("x-api-key", "sk-ant")],
         [moved("authorization", "x-api-key")]),
        ("anthropic", MESSAGES, [("x-api-key", "lli")], OAT, [bearer(OAT), beta(OAUTH_BETA)],
         [moved("x-api-key", "Authorization"), ADDED_BETA]),
        ("anthropic", MESSAGES, [bearer("lli"), beta("a,b")], OAT, [bearer(OAT), beta(f"a,b,{OAUTH_BETA}")],
         [ADDED_BETA]),
        ("anthropic", MESSAGES, [beta(f"{OAUTH_BETA},a"), bearer("lli")], OAT,
         [beta(f"{OAUTH_BETA},a"), bearer(OAT)], []),
        ("anthropic", "/v1/chat/completions", [bearer("lli")], "sk-ant", [bearer("sk-ant")], []),
        ("azure", "/openai/v1/x", [("Api-Key", "lli")], "az", [("Api-Key", "az")], []),
        ("azure", "/openai/v1/x", [bearer("lli")], "az", [("api-key", "az")],
         [moved("authorization", "api-key")]),
        ("gemini", STREAM, [("X-Goog-Api-Key", "lli")], "AIza", [("X-Goog-Api-Key", "AIza")], []),
        ("gemini", f"{STREAM}?key=lli", [], "AIza", [("x-goog-api-key", "AIza")],
         [NO_KEY, "credential added: x-goog-api-key"]),
        ("gemini", f"{STREAM}?key=lli", [], "ya29.t", [bearer("ya29.t")],
         [NO_KEY, "credential added: Authorization"]),
        ("gemini", "/v1beta/openai/chat/completions", [bearer("lli")], "AIza", [bearer("AIza")], []),
        ("vertex", "/v1/publishers/google/models/m:x?key=lli", [], "AIza", [("x-goog-api-key", "AIza")],
         [NO_KEY, "credential added: x-goog-api-key"]),
        ("vertex", "/v1/projects/p/locations/l/x", [bearer("lli")], " ya29.t\n", [bearer("ya29.t")], []),
        ("bedrock", "/model/m/converse", [bearer("lli"), ("X-Amz-Date", "d")], "ABSKx=:y",
         [bearer("ABSKx=:y")], []),
        ("bedrock", "/model/m/converse", [("x-api-key", "lli")], "bedrock-api-key-x",
         [bearer("bedrock-api-key-x")], [moved("x-api-key", "Authorization")]),
    ],
)  # fmt: skip
def test_scheme(
    provider: str, path: str, sent: Headers, secret: str, headers: Headers, changes: list[str]
) -> None:
    request = outgoing(path, sent)
    PROVIDERS[provider].credential(request, SecretStr(secret), NOW)
    assert request.headers == [("Host", "api.example"), *headers]
    assert request.path == path.partition("?")[0]
    assert request.changes == changes


@pytest.mark.parametrize(
    ("query", "left"),
    [("?alt=sse&key=lli", "?alt=sse"), ("?key=lli&b=%20+", "?b=%20+"), ("?a=key=", "?a=key=")],
)
def test_only_the_key_leaves_the_query(query: str, left: str) -> None:
    request = outgoing(STREAM + query, [])
    PROVIDERS["gemini"].credential(request, SecretStr("AIza"), NOW)
    assert request.path == STREAM + left


def service_account() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "client_email": "sa@p.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    )


def claims(authorization: str | None) -> dict[str, object]:
    assert authorization is not None
    part = authorization.removeprefix("Bearer ").split(".")[1]
    decoded: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return decoded


def test_a_service_account_signs_its_own_token_and_keeps_it() -> None:
    scheme, account = Credential(), SecretStr(service_account())
    assert key_problem(account, own=True) == ""

    def authorization(now: float) -> str | None:
        request = outgoing("/v1/projects/p/locations/l/x", [("authorization", "Bearer lli")])
        scheme(request, account, now)
        assert "PRIVATE KEY" not in str(request)
        return request.header("authorization")

    first = authorization(NOW)
    assert claims(first)["iss"] == "sa@p.iam.gserviceaccount.com"
    assert claims(first)["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert authorization(NOW + 3000) is first or authorization(NOW + 3000) == first
    assert len(scheme._tokens) == 1
    made = scheme._tokens.copy()
    authorization(NOW + 3400)
    assert scheme._tokens != made


@pytest.mark.parametrize(
    ("provider", "secret"),
    [
        ("vertex", '{"type": "authorized_user", "refresh_token": "geheim"}'),
        ("vertex", '{"private_key": "geheim"'),
        ("bedrock", '{"access_key_id": "geheim"'),
        ("bedrock", '{"access_key_id": "geheim"}'),
        ("bedrock", '{"Credentials": {"AccessKeyId": "geheim"}}'),
    ],
)
def test_a_broken_secret_is_named_but_never_quoted(provider: str, secret: str) -> None:
    with pytest.raises(ConfigError) as error:
        PROVIDERS[provider].credential(outgoing("/x", []), SecretStr(secret), NOW)
    assert provider in str(error.value)
    assert "geheim" not in str(error.value)
