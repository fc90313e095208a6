"""Signatures by botocore, the reference, against ours in both directions."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from pydantic import SecretStr

from llm_intercept.policy import sigv4
from llm_intercept.providers import bedrock
from llm_intercept.providers.base import Outgoing

HOST = "bedrock-runtime.eu-west-1.amazonaws.com"
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TARGETS = [
    "/model/anthropic.claude-v1%3A0/converse",
    "/model/anthropic.claude-v1:0/converse",
    "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ax%2Fy/invoke",
    "/model/a~b_c-d.e/invoke",
    "/openai/v1/responses?b=2&a=x%20y&a=%2F&c",
    "/",
]
BODIES = [b"", b'{"messages": []}', '{"t": "\u00fc\\n"}\n'.encode(), bytes(range(256)) * 20]


def signed_by_botocore(
    target: str,
    body: bytes,
    *,
    session: str | None = None,
    host: str = HOST,
    extra: dict[str, str] | None = None,
) -> dict[str, str]:
    headers = {"Host": host, "Content-Type": "application/json", "X-Custom": "a  b ", **(extra or {})}
    request = AWSRequest("POST", f"https://{host}{target}", data=body, headers=headers)
    SigV4Auth(Credentials(KEY, SECRET, session), "bedrock", "eu-west-1").add_auth(request)
    return dict(request.headers.items())


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def signed_at(headers: dict[str, str]) -> float:
    return datetime.strptime(lower(headers)["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def verify(
    target: str,
    headers: dict[str, str],
    body: bytes,
    *,
    secret: str = SECRET,
    method: str = "POST",
    late: float = 0,
) -> sigv4.Problem | None:
    path, _, query = target.partition("?")
    now = signed_at(headers) + late
    return sigv4.verify(method, path, query, lower(headers), sha256(body).hexdigest(), secret, now)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("body", BODIES, ids=len)
@pytest.mark.parametrize("session", [None, "a/session+token=="])
def test_botocore_s_signatures_are_accepted(target: str, body: bytes, session: str | None) -> None:
    assert verify(target, signed_by_botocore(target, body, session=session), body) is None


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("session", [None, "a/session+token=="])
def test_signing_again_equals_botocore_byte_for_byte(target: str, session: str | None) -> None:
    theirs = signed_by_botocore(target, BODIES[1], session=session)
    sent = [*theirs.items(), ("Accept-Encoding", "identity")]
    request = Outgoing("POST", "https", HOST, 443, target, sent, BODIES[1])
    secret = ":".join(part for part in (KEY, SECRET, session) if part)
    bedrock.credential(request, SecretStr(secret), signed_at(theirs))
    assert request.headers == sent
    assert request.changes == []
    assert request.path == target


def test_what_the_client_signed_is_signed_again_also_its_body_hash() -> None:
    extra = {"X-Amz-Content-SHA256": sha256(b"{}").hexdigest(), "anthropic-version": "2023-06-01"}
    theirs = signed_by_botocore(TARGETS[0], b"{}", extra=extra)
    assert "x-amz-content-sha256" in lower(theirs)["authorization"]
    for body in (b"{}", b'{"changed": 1}'):
        request = Outgoing("POST", "https", HOST, 443, TARGETS[0], list(theirs.items()), body)
        bedrock.credential(request, SecretStr(f"{KEY}:{SECRET}"), signed_at(theirs))
        assert verify(TARGETS[0], dict(request.headers), body) is None
        assert (request.headers == list(theirs.items())) is (body == b"{}")


@pytest.mark.parametrize(
    "secret",
    [
        f"{KEY}:{SECRET}",
        f'{{"access_key_id": "{KEY}", "secret_access_key": "{SECRET}"}}',
        f'{{"Credentials": {{"AccessKeyId": "{KEY}", "SecretAccessKey": "{SECRET}", "SessionToken": "t"}}}}',
        f'{{"aws_access_key_id": "{KEY}", "aws_secret_access_key": "{SECRET}", "region": "eu-west-1"}}',
    ],
)
@pytest.mark.parametrize("target", TARGETS)
def test_a_client_without_signature_is_signed_for(target: str, secret: str) -> None:
    sent = [("Host", HOST), ("content-type", "application/json"), ("authorization", "Bearer lli")]
    request = Outgoing("POST", "https", HOST, 443, target, sent, b"{}")
    bedrock.credential(request, SecretStr(secret), 1_800_000_000.0)
    headers = dict(request.headers)
    assert headers["authorization"].startswith(
        f"AWS4-HMAC-SHA256 Credential={KEY}/20270115/eu-west-1/bedrock/"
    )
    assert verify(target, headers, b"{}") is None
    assert ("X-Amz-Security-Token" in headers) is ("SessionToken" in secret)
    assert SECRET not in str(request)


def test_a_client_s_session_token_goes_with_its_key() -> None:
    theirs = signed_by_botocore(TARGETS[0], b"{}", session="of-the-client")
    request = Outgoing("POST", "https", HOST, 443, TARGETS[0], list(theirs.items()), b"{}")
    bedrock.credential(request, SecretStr("AKIDREAL:real"), signed_at(theirs))
    assert "of-the-client" not in str(request)
    assert KEY not in str(request)
    assert verify(TARGETS[0], dict(request.headers), b"{}", secret="real") is None


@pytest.mark.parametrize(
    ("host", "port", "scope"),
    [
        (HOST, 443, "eu-west-1/bedrock"),
        ("bedrock-runtime-fips.us-east-2.amazonaws.com", 443, "us-east-2/bedrock"),
        ("bedrock-mantle.us-west-2.api.aws", 443, "us-west-2/bedrock-mantle"),
        ("relay.corp.example", 8443, "us-east-1/bedrock"),
    ],
)
def test_region_and_service_follow_the_host(host: str, port: int, scope: str) -> None:
    request = Outgoing("POST", "https", host, port, "/model/m/converse", [("Host", host)], b"{}")
    bedrock.credential(request, SecretStr(f"{KEY}:{SECRET}"), 1_800_000_000.0)
    assert f"/20270115/{scope}/aws4_request" in (request.header("authorization") or "")


def test_behind_a_relay_the_client_s_region_is_kept() -> None:
    theirs = signed_by_botocore("/model/m/converse", b"{}", host="127.0.0.1:8080")
    request = Outgoing(
        "POST", "https", "relay.example", 443, "/model/m/converse", list(theirs.items()), b"{}"
    )
    bedrock.credential(request, SecretStr("AKIDREAL:real"), signed_at(theirs))
    assert "/eu-west-1/bedrock/" in (request.header("authorization") or "")


@pytest.mark.parametrize("late", [-899, 0, 899])
def test_clocks_may_differ_a_little(late: float) -> None:
    assert verify("/", signed_by_botocore("/", b""), b"", late=late) is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"authorization": None}, "malformed"),
        ({"authorization": "Bearer x"}, "malformed"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=x"}, "malformed"),
        ({"x-amz-date": "20261120T000000Z x"}, "date"),
        ({"x-amz-date": None}, "date"),
        ({"x-amz-date": "20200101T000000Z"}, "date"),
        ({"x-custom": "other"}, "mismatch"),
        ({"x-custom": None}, "mismatch"),
        ({"host": "evil.example"}, "mismatch"),
        ({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, "payload"),
        ({"x-amz-content-sha256": "0" * 64}, "payload"),
        ({"x-not-signed": "x"}, None),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, str | None], problem: str | None) -> None:
    theirs = signed_by_botocore("/model/m/invoke", b"{}")
    merged = {**lower(theirs), **change}
    headers = {name: value for name, value in merged.items() if value is not None}
    digest = sha256(b"{}").hexdigest()
    assert sigv4.verify("POST", "/model/m/invoke", "", headers, digest, SECRET, signed_at(theirs)) == problem


def test_everything_signed_is_compared() -> None:
    target = "/model/m/invoke?a=1"
    headers = signed_by_botocore(target, b"{}")
    assert verify(target, headers, b"{}") is None
    assert verify(target, headers, b"{ }") == "mismatch"
    assert verify(target, headers, b"{}", secret="other") == "mismatch"
    assert verify(target, headers, b"{}", method="GET") == "mismatch"
    assert verify("/model/n/invoke?a=1", headers, b"{}") == "mismatch"
    assert verify("/model/m/invoke?a=2", headers, b"{}") == "mismatch"
    assert verify("/model/m/invoke", headers, b"{}") == "mismatch"
    assert verify(target, headers, b"{}", late=901) == "skew"
    assert verify(target, headers, b"{}", late=-901) == "skew"


def test_the_host_must_be_signed() -> None:
    headers = lower(signed_by_botocore("/", b""))
    headers["authorization"] = headers["authorization"].replace("content-type;host;", "content-type;")
    assert verify("/", headers, b"") == "unsigned_host"


def test_a_scope_is_read_from_any_client_s_spelling() -> None:
    credential = f"Credential={KEY}/20261120/us-east-1/bedrock/aws4_request"
    text = f"AWS4-HMAC-SHA256 {credential},SignedHeaders=host,Signature={'0' * 64}"
    scope = sigv4.parse_scope(text)
    assert scope is not None
    assert (scope.access_key_id, scope.region, scope.service) == (KEY, "us-east-1", "bedrock")
    assert scope.signed_headers == ("host",)
    assert str(scope) == "20261120/us-east-1/bedrock/aws4_request"
