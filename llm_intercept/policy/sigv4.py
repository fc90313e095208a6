"""AWS Signature Version 4: verifying what a client signed, and signing a request anew.

Signing is aws-sdk-signers'. Verifying follows the documented algorithm, because it must use exactly the
headers that the client says it signed, whichever they are, and a body known only by its hash.
Presigned URLs, chunked signing and unsigned payloads are not accepted: no LLM client uses them.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from typing import Literal
from urllib.parse import quote, unquote

from aws_sdk_signers import URI, AWSCredentialIdentity, AWSRequest, Field, Fields, SigV4Signer
from pydantic import SecretStr

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = 15 * 60
_TIME = "%Y%m%dT%H%M%SZ"
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM}\s+Credential=(?P<key>[^/,\s]+)/(?P<date>\d{{8}})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)"
    r"/aws4_request\s*,\s*SignedHeaders=(?P<headers>[^,\s]+)\s*,\s*Signature=(?P<signature>[0-9a-f]{64})\s*"
)

type Problem = Literal["malformed", "date", "skew", "unsigned_host", "payload", "mismatch"]
"""Why a signature is not accepted. `mismatch` is a wrong secret or a request changed on the way."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an `Authorization: AWS4-HMAC-SHA256` header says of itself."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def parse_scope(authorization: str) -> Scope | None:
    """None where the header is no well-formed SigV4 signature."""
    found = _AUTHORIZATION.fullmatch(authorization.strip())
    if found is None:
        return None
    key, date, region, service, headers, signature = found.groups()
    return Scope(key, date, region, service, tuple(headers.lower().split(";")), signature)


def verify(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body_sha256: str,
    secret: str,
    now: float,
) -> Problem | None:
    """None if the signature is the secret's over this very request, else what is wrong with it.

    `path` is as on the wire, percent-encoding untouched; `headers` have lower-case names and include `host`.
    """
    scope = parse_scope(headers.get("authorization", ""))
    if scope is None:
        return "malformed"
    stated = headers.get("x-amz-date", "")
    problem = _time_problem(stated, scope, now) or _coverage_problem(scope, headers, body_sha256)
    if problem is not None:
        return problem
    canonical = _canonical_request(method, path, query, headers, body_sha256, scope.signed_headers)
    to_sign = "\n".join((ALGORITHM, stated, str(scope), sha256(canonical.encode()).hexdigest()))
    signature = hmac.new(_signing_key(secret, scope), to_sign.encode(), sha256).hexdigest()
    return None if hmac.compare_digest(signature, scope.signature) else "mismatch"


def _time_problem(stated: str, scope: Scope, now: float) -> Problem | None:
    try:
        signed = datetime.strptime(stated, _TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return "date"
    if stated[:8] != scope.date:
        return "date"
    return "skew" if abs(signed - now) > MAX_SKEW else None


def _coverage_problem(scope: Scope, headers: Mapping[str, str], body_sha256: str) -> Problem | None:
    signed = scope.signed_headers
    if "host" not in signed or any(name not in headers for name in signed):
        return "unsigned_host" if "host" not in signed else "mismatch"
    if headers.get("x-amz-content-sha256", body_sha256) != body_sha256:
        return "payload"
    return None


def _canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], body_sha256: str, signed: tuple[str, ...]
) -> str:
    fields = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in signed)
    return "\n".join(
        (
            method.upper(),
            quote(path or "/", safe="/-_.~"),
            _canonical_query(query),
            fields,
            ";".join(signed),
            body_sha256,
        )
    )


def _canonical_query(query: str) -> str:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    encoded = ((quote(unquote(k), safe="-_.~"), quote(unquote(v), safe="-_.~")) for k, _, v in pairs)
    return "&".join(f"{k}={v}" for k, v in sorted(encoded))


def _signing_key(secret: str, scope: Scope) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (scope.date, scope.region, scope.service, "aws4_request"):
        key = hmac.new(key, part.encode(), sha256).digest()
    return key


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """A key pair as AWS gives it; `region` where the operator fixed one."""

    access_key_id: str
    secret_access_key: SecretStr
    session_token: SecretStr | None = None
    region: str = ""


@dataclass(frozen=True, slots=True)
class Unsigned:
    """What a signature covers. `headers` are those to sign besides the ones that signing adds."""

    method: str
    scheme: str
    host: str  # as in the Host header: with the port where it is not the scheme's own
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def sign(request: Unsigned, keys: AwsKeys, region: str, service: str, now: float) -> dict[str, str]:
    """The headers to set: Authorization, X-Amz-Date and, for temporary keys, X-Amz-Security-Token."""
    token = keys.session_token
    signed = SigV4Signer().sign(
        request=AWSRequest(
            destination=URI(
                scheme=request.scheme, host=request.host, path=request.path, query=request.query or None
            ),
            method=request.method,
            body=BytesIO(request.body),
            fields=_fields(request, now),
        ),
        identity=AWSCredentialIdentity(
            access_key_id=keys.access_key_id,
            secret_access_key=keys.secret_access_key.get_secret_value(),
            session_token=token.get_secret_value() if token else None,
        ),
        properties={"region": region, "service": service, "date": _stamp(now)},
    )
    names = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")
    return {name: signed.fields[name].as_string() for name in names if name in signed.fields}


def _fields(request: Unsigned, now: float) -> Fields:
    given = {name.lower(): Field(name=name, values=[value]) for name, value in request.headers}
    given["host"] = Field(name="Host", values=[request.host])
    # the signer would take a Date header instead, which AWS accepts but botocore never sends
    given["x-amz-date"] = Field(name="X-Amz-Date", values=[_stamp(now)])
    return Fields(given.values())


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime(_TIME)
