"""A client of one OpenID provider: discovery, the code, signatures. The rules are `policy/oidc.py`."""

import base64
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.auth import jwt
from google.auth.exceptions import GoogleAuthError
from pydantic import BaseModel, SecretStr, ValidationError

from llm_intercept.policy.oidc import LEEWAY_S, Asked, SignOnError, authorization_url, check_claims
from llm_intercept.settings.login import OidcSettings

_TIMEOUT = aiohttp.ClientTimeout(total=15)
_MOST = 1_000_000
_KEPT_S = 3600
_AGAIN_S = 30  # keys are not fetched more often than this for a signature of an unknown key
_KINDS = {"RS256": "RSA", "ES256": "EC"}


class Metadata(BaseModel):
    """What we need of the provider's discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]


class Client:
    """For one running dashboard. What the provider says about itself is kept for an hour."""

    def __init__(self, settings: OidcSettings, secret: SecretStr | None) -> None:
        self.settings = settings
        self._secret = secret
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, list[dict[str, Any]]] | None = None

    async def begin(self, redirect_uri: str, asked: Asked) -> str:
        """Where the browser is sent."""
        async with self._session() as session:
            metadata = await self._discovered(session)
        return authorization_url(metadata.authorization_endpoint, self.settings, redirect_uri, asked)

    async def finish(self, code: str, redirect_uri: str, asked: Asked) -> dict[str, Any]:
        """The claims about whoever logged in, all of them checked."""
        async with self._session() as session:
            metadata = await self._discovered(session)
            answer = await self._exchange(session, metadata, code, redirect_uri, asked)
            token = answer.get("id_token")
            if not isinstance(token, str):
                raise SignOnError("The provider sent no id token.")
            claims = await self._verified(session, metadata, token)
            check_claims(claims, self.settings, asked.nonce, time.time())
            return {**await self._more(session, metadata, answer, claims), **claims}

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(timeout=_TIMEOUT, headers={"accept": "application/json"})

    async def _discovered(self, session: aiohttp.ClientSession) -> Metadata:
        if self._metadata is None or self._metadata[0] + _KEPT_S < time.monotonic():
            url = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
            try:
                found = Metadata.model_validate(await _asked(session, "GET", url))
            except ValidationError:
                raise SignOnError("The provider's discovery document is not complete.") from None
            if found.issuer != self.settings.issuer:
                raise SignOnError(
                    f"The provider calls itself {found.issuer}, not as dashboard.oidc.issuer says."
                )
            self._metadata = (time.monotonic(), found)
        return self._metadata[1]

    async def _exchange(
        self, session: aiohttp.ClientSession, metadata: Metadata, code: str, redirect_uri: str, asked: Asked
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": asked.verifier,
            "client_id": self.settings.client_id,
        }
        headers = {}
        if self._secret is not None:
            secret = self._secret.get_secret_value()
            if "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
                pair = f"{quote(self.settings.client_id, safe='')}:{quote(secret, safe='')}"
                headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
            else:
                form["client_secret"] = secret
        return await _asked(session, "POST", metadata.token_endpoint, data=form, headers=headers)

    async def _verified(
        self, session: aiohttp.ClientSession, metadata: Metadata, token: str
    ) -> dict[str, Any]:
        """The claims of a token that one of the provider's keys has signed."""
        try:
            header = jwt.decode_header(token)  # type: ignore[no-untyped-call]
            algorithm = str(header.get("alg"))
            if algorithm not in _KINDS:
                raise SignOnError(f"The provider signs by {algorithm[:20]}; RS256 and ES256 are accepted.")
            keys = await self._keys_of(session, metadata, algorithm, header.get("kid"))
            claims: dict[str, Any] = jwt.decode(  # type: ignore[no-untyped-call]
                token, certs=keys, clock_skew_in_seconds=LEEWAY_S
            )
        except (GoogleAuthError, ValueError):
            raise SignOnError("The provider's token is not accepted: signature or age are wrong.") from None
        return claims

    async def _keys_of(
        self, session: aiohttp.ClientSession, metadata: Metadata, algorithm: str, wanted: object
    ) -> dict[str, bytes]:
        """Keys for an algorithm by their ids; fetched anew where the one that is wanted is not among them."""
        now = time.monotonic()
        known = self._keys
        is_old = known is None or known[0] + _KEPT_S < now
        is_missing = known is not None and wanted not in {key.get("kid") for key in known[1]}
        if is_old or (is_missing and known is not None and known[0] + _AGAIN_S < now):
            found = (await _asked(session, "GET", metadata.jwks_uri)).get("keys")
            self._keys = (now, [key for key in found or [] if isinstance(key, dict)])
        keys = self._keys[1] if self._keys else []
        fitting = [
            key for key in keys if key.get("kty") == _KINDS[algorithm] and key.get("use", "sig") == "sig"
        ]
        return {str(key.get("kid", number)): pem(key) for number, key in enumerate(fitting)}

    async def _more(
        self,
        session: aiohttp.ClientSession,
        metadata: Metadata,
        answer: Mapping[str, Any],
        claims: Mapping[str, Any],
    ) -> dict[str, Any]:
        """What the provider says at its userinfo endpoint, if it is about the same subject."""
        access = answer.get("access_token")
        if "email" in claims or not metadata.userinfo_endpoint or not isinstance(access, str):
            return {}
        headers = {"authorization": f"Bearer {access}"}
        found = await _asked(session, "GET", metadata.userinfo_endpoint, headers=headers)
        if found.get("sub") != claims.get("sub"):
            raise SignOnError("The provider speaks of two different people.")
        return found


def pem(key: Mapping[str, Any]) -> bytes:
    """A public key of a JWKS; ValueError for what is none."""
    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    if key.get("kty") == "RSA":
        public = rsa.RSAPublicNumbers(_number(key.get("e")), _number(key.get("n"))).public_key()
    elif key.get("crv") == "P-256":
        curve = ec.SECP256R1()
        public = ec.EllipticCurvePublicNumbers(
            _number(key.get("x")), _number(key.get("y")), curve
        ).public_key()
    else:
        raise ValueError("a key of an unknown kind")
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _number(text: object) -> int:
    if not isinstance(text, str):
        raise ValueError("a number is missing")
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


async def _asked(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    data: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A JSON object of the provider. Nothing that it says is passed on to people."""
    try:
        async with session.request(method, url, data=data, headers=headers, allow_redirects=False) as answer:
            body = await answer.content.read(_MOST)
            status = answer.status
        found = orjson.loads(body)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise SignOnError(f"The provider cannot be reached ({type(error).__name__}).") from error
    except ValueError:
        found = None
    if status != 200 or not isinstance(found, dict):
        raise SignOnError(f"The provider answered {status} to a request of ours.")
    return found
