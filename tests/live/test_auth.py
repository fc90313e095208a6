"""Who is served: tokens in every place, own keys, AWS key pairs, revocation; refusals as SDKs see them."""

import base64
import http.client
import json
import ssl
from collections.abc import Iterator

import pytest

from tests.live.stack import Stack, running

CHAT = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]})
CLAUDE = json.dumps(
    {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
)
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    created = stack.cli("token", "create", "--project", "demo", "--name", "laptop", "--json")
    return str(json.loads(created)["token"])


def post(stack: Stack, path: str, body: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=20)
    try:
        connection.request("POST", path, body, {**JSON, **headers})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


PLACES = {
    "bearer": ("/v1/chat/completions", CHAT, "authorization", "Bearer {}"),
    "x-api-key": ("/v1/messages", CLAUDE, "x-api-key", "{}"),
    "anthropic bearer": ("/v1/messages", CLAUDE, "authorization", "Bearer {}"),
    "api-key": ("/openai/deployments/d/chat/completions?api-version=2024-10-21", CHAT, "api-key", "{}"),
    "x-goog-api-key": ("/v1beta/models/gemini-2.5-flash:generateContent", "{}", "x-goog-api-key", "{}"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_token_is_taken_wherever_a_client_puts_it(stack: Stack, token: str, place: str):
    path, body, header, form = PLACES[place]
    since = stack.last_id()
    status, headers, _ = post(stack, path, body, {header: form.format(token)})
    assert status in (200, 400)
    assert headers["x-llm-intercept-request-id"]
    (row,) = stack.rows(1, since)
    assert (row["project"], row["token"], row["credential"]) == ("demo", "laptop", "default")
    assert token not in json.dumps(stack.received()[-1])


STRAYS = [("x-my-key", "{}"), ("cookie", "a=b; key={}"), ("helicone-auth", "Bearer {}")]


@pytest.mark.parametrize(("name", "form"), STRAYS, ids=[name for name, _ in STRAYS])
def test_a_token_in_another_header_stays_here(stack: Stack, token: str, name: str, form: str):
    """Beside one in its place it is taken out; alone it is a mistake, and the call is not sent."""
    stray, since = {name: form.format(token)}, stack.last_id()
    for path, body in (("/v1/chat/completions", CHAT), ("/v1/messages", CLAUDE)):
        assert post(stack, path, body, {"authorization": f"Bearer {token}", **stray})[0] == 200
        assert token not in json.dumps(stack.received()[-1])
        assert json.dumps(stack.received()[-1]).count("a=b") == (name == "cookie")
    assert all(f"token taken out: {name}" in row["changes"] for row in stack.rows(2, since))
    before = stack.received()
    for own in ({}, {"authorization": "Bearer sk-of-the-client-0123456789"}):
        status, _, answer = post(stack, "/v1/chat/completions", CHAT, {**own, **stray})
        error = json.loads(answer)["error"]
        assert (status, error["code"]) == (400, "token_misplaced")
        assert name in error["message"]
        assert token not in error["message"]
    assert stack.received() == before


def test_a_token_before_the_at_of_a_base_url(stack: Stack, token: str):
    """HTTP libraries make Basic credentials of it."""
    since = stack.last_id()
    assert post(stack, "/v1/messages", CLAUDE, {"authorization": basic(f"{token}:")})[0] == 200
    [row] = stack.rows(1, since)
    assert (row["token"], row["credential"]) == ("laptop", "default")
    received = json.dumps(stack.received()[-1])
    assert token not in received
    assert basic(f"{token}:") not in received


def test_a_token_in_the_query_is_taken_and_removed(stack: Stack, token: str):
    since = stack.last_id()
    path = "/v1beta/models/gemini-2.5-flash:generateContent"
    post(stack, f"{path}?key={token}&alt=json", '{"contents":[{"parts":[{"text":"hi"}]}]}', {})
    (row,) = stack.rows(1, since)
    assert (row["token"], row["path"]) == ("laptop", path)
    assert "alt=json" in json.dumps(stack.received()[-1])
    assert token not in json.dumps(stack.received()[-1])


@pytest.mark.parametrize("form", ["{}:", "token:{}", "{}:x"])
def test_a_token_in_proxy_authorization_leaves_the_own_key_in_place(stack: Stack, token: str, form: str):
    since = stack.last_id()
    headers = {
        "proxy-authorization": basic(form.format(token)),
        "authorization": "Bearer sk-my-own-key-1234567890",
    }
    assert post(stack, "/v1/chat/completions", CHAT, headers)[0] == 200
    (row,) = stack.rows(1, since)
    assert (row["project"], row["token"], row["credential"]) == ("demo", "laptop", "client")
    seen = json.dumps(stack.received()[-1])
    assert "sk-my-own-key-1234567890" in seen
    assert token not in seen
    assert "proxy-authorization" not in seen.lower()


def test_an_own_key_passes_and_is_known_by_a_fingerprint_only(stack: Stack):
    since = stack.last_id()
    assert (
        post(stack, "/v1/chat/completions", CHAT, {"authorization": "Bearer sk-own-9876543210abcdef"})[0]
        == 200
    )
    (row,) = stack.rows(1, since)
    assert row["project"] == "default"
    assert row["token"].startswith("own:")
    assert "sk-own" not in json.dumps(row)


def test_nobody_gets_the_stored_key_without_a_token(stack: Stack):
    assert post(stack, "/v1/chat/completions", CHAT, {})[0] in (200, 401)
    assert "real-openai-key" not in json.dumps(stack.received()[-1])


def test_a_refused_call_is_on_the_bill_of_the_tunnels_token(stack: Stack, token: str):
    made = json.loads(stack.cli("token", "create", "--project", "demo", "--name", "spent", "--json"))
    refused = made["token"]
    stack.cli("token", "revoke", "spent", "--project", "demo")
    since = stack.last_id()
    headers = {"proxy-authorization": basic(f"{token}:"), "authorization": f"Bearer {refused}"}
    assert post(stack, "/v1/chat/completions", CHAT, headers)[0] == 401
    (row,) = stack.rows(1, since)
    assert json.loads(row["changes"]) == ["proxy: demo/laptop"]


def test_a_revoked_token_fails_on_the_very_next_call(stack: Stack):
    created = json.loads(stack.cli("token", "create", "--project", "demo", "--name", "short", "--json"))
    bearer = {"authorization": f"Bearer {created['token']}"}
    assert post(stack, "/v1/chat/completions", CHAT, bearer)[0] == 200
    stack.cli("token", "revoke", "--project", "demo", "short")
    status, _, body = post(stack, "/v1/chat/completions", CHAT, bearer)
    assert (status, json.loads(body)["error"]["code"]) == (401, "token_revoked")


def test_a_revoked_token_fails_inside_an_open_tunnel_too(stack: Stack):
    created = json.loads(stack.cli("token", "create", "--project", "demo", "--name", "tunnel", "--json"))
    context = ssl.create_default_context(cafile=stack.cli("ca", "path").strip())
    connection = http.client.HTTPSConnection("127.0.0.1", stack.port, timeout=20, context=context)
    connection.set_tunnel("api.openai.com", 443, {"Proxy-Authorization": basic(f"token:{created['token']}")})
    statuses = []
    for turn in range(2):
        connection.request(
            "POST", "/v1/chat/completions", CHAT, {**JSON, "authorization": "Bearer sk-own-00000000"}
        )
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
        if turn == 0:
            stack.cli("token", "revoke", "--project", "demo", "tunnel")
    connection.close()
    assert statuses == [200, 401]


def wrong(token: str) -> dict[str, str]:
    """name -> a credential that must be refused."""
    swapped = token[:10] + ("A" if token[10] != "A" else "B") + token[11:]
    return {"token_mistyped": swapped}


@pytest.mark.parametrize(
    ("path", "body", "read"),
    [
        ("/v1/chat/completions", CHAT, lambda b: (b["error"]["code"], b["error"]["message"])),
        ("/v1/messages", CLAUDE, lambda b: (b["error"]["type"], b["error"]["message"])),
        ("/v1beta/models/m:generateContent", "{}", lambda b: (b["error"]["status"], b["error"]["message"])),
        ("/model/m/converse", "{}", lambda b: ("", b["message"])),
    ],
)
def test_refusals_speak_the_clients_dialect(stack: Stack, token: str, path: str, body: str, read):
    since = stack.last_id()
    status, headers, answer = post(
        stack, path, body, {"authorization": f"Bearer {wrong(token)['token_mistyped']}"}
    )
    code, message = read(json.loads(answer))
    assert status in (401, 403)
    assert "checksum" in message
    assert code in ("token_mistyped", "authentication_error", "UNAUTHENTICATED", "")
    assert headers["x-llm-intercept-request-id"]
    if path.startswith("/model"):
        assert headers["x-amzn-errortype"]
    (row,) = stack.rows(1, since)
    assert (row["outcome"], row["error_type"], row["attempts"]) == ("refused", "token_mistyped", 0)


def test_sdks_raise_their_own_exceptions(stack: Stack, token: str):
    import anthropic
    import botocore.exceptions
    import openai

    bad = wrong(token)["token_mistyped"]
    with openai.OpenAI(api_key=bad, base_url=f"{stack.url}/v1", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError, match="checksum"):
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "hi"}], stream=True
            )
    claude = anthropic.Anthropic(api_key=bad, base_url=stack.url, max_retries=0)
    with claude, pytest.raises(anthropic.AuthenticationError, match="checksum"):
        claude.messages.create(
            model="claude-sonnet-5", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        )
    bedrock = boto(stack, "LLIAAAAAAAAAAAAAAAAA", "wrong")
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        bedrock.converse(modelId="m", messages=[{"role": "user", "content": [{"text": "hi"}]}])
    assert caught.value.response["Error"]["Code"] in ("UnrecognizedClientException", "AccessDeniedException")
    bedrock.close()


def boto(stack: Stack, key: str, secret: str):
    import boto3
    from botocore.config import Config

    return boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=stack.url, aws_access_key_id=key,
        aws_secret_access_key=secret, config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip


def test_an_aws_pair_is_verified_not_only_looked_up(stack: Stack):
    import botocore.exceptions

    pair = json.loads(
        stack.cli("token", "create", "--project", "demo", "--name", "aws-verify", "--aws", "--json")
    )
    turn = [{"role": "user", "content": [{"text": "hi"}]}]
    good = boto(stack, pair["access_key_id"], pair["secret_access_key"])
    assert good.converse(modelId="anthropic.claude-v2", messages=turn)["usage"]
    good.close()
    since = stack.last_id()
    bad = boto(stack, pair["access_key_id"], pair["secret_access_key"][::-1])
    with pytest.raises(botocore.exceptions.ClientError):
        bad.converse(modelId="anthropic.claude-v2", messages=turn)
    bad.close()
    (row,) = stack.rows(1, since)
    assert (row["outcome"], row["error_type"]) == ("refused", "signature_invalid")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("strict"), config='auth = "required"\n') as started:
        yield started


def test_required_refuses_whatever_has_no_token(strict: Stack):
    status, _, body = post(
        strict, "/v1/chat/completions", CHAT, {"authorization": "Bearer sk-somebody-elses-key-00"}
    )
    assert (status, json.loads(body)["error"]["code"]) == (401, "token_required")
    assert post(strict, "/sim/v1/chat/completions", CHAT, {})[0] == 401
    assert strict.received() == []
    token = json.loads(strict.cli("token", "create", "--project", "demo", "--name", "t", "--json"))["token"]
    assert post(strict, "/v1/chat/completions", CHAT, {"authorization": f"Bearer {token}"})[0] == 200


def test_required_refuses_tunnels_to_strangers(strict: Stack):
    connection = http.client.HTTPConnection("127.0.0.1", strict.port, timeout=20)
    connection.set_tunnel("example.org", 443)
    with pytest.raises(OSError, match="407"):
        connection.connect()
    connection.close()


def test_required_decides_inside_a_tunnel_to_a_provider(strict: Stack):
    context = ssl.create_default_context(cafile=strict.cli("ca", "path").strip())
    connection = http.client.HTTPSConnection("127.0.0.1", strict.port, timeout=20, context=context)
    connection.set_tunnel("api.openai.com", 443)
    connection.request("POST", "/v1/chat/completions", CHAT, JSON)
    assert connection.getresponse().status == 401
    connection.close()


def test_a_call_without_a_stored_key_says_what_to_do(stack: Stack, token: str):
    status, _, body = post(
        stack, "/openrouter/api/v1/chat/completions", CHAT, {"authorization": f"Bearer {token}"}
    )
    assert status == 403
    assert "llm-intercept key add openrouter" in json.loads(body)["error"]["message"]
