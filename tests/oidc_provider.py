"""An OpenID provider for tests, a process of its own: discovery, a page to consent on, token, keys, userinfo.

    python tests/oidc_provider.py PORT

`POST /control` with a JSON object changes how it behaves from then on; see `Behaviour`.
"""

import asyncio
import base64
import hashlib
import json
import secrets
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

CLIENT = "dashboard"
SECRET = "a secret of the client"


@dataclass
class Behaviour:
    """What the next logins are like. Claims that are None are left out."""

    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    forged: bool = False  # signed by a key that is not published
    kid: str = ""
    denied: bool = False
    basic: bool = True
    state: str = ""
    broken: str = ""  # the name of an endpoint that fails


@dataclass
class Login:
    nonce: str
    challenge: str
    redirect_uri: str


class Provider:
    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.behaviour = Behaviour()
        self.rsa, self.forger = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.codes: dict[str, Login] = {}
        self.seen: list[dict[str, Any]] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self.discovery)
        app.router.add_get("/authorize", self.authorize)
        app.router.add_post("/token", self.token)
        app.router.add_get("/keys", self.keys)
        app.router.add_get("/userinfo", self.userinfo)
        app.router.add_post("/control", self.control)
        app.router.add_get("/seen", self.show_seen)
        return app

    async def control(self, request: web.Request) -> web.Response:
        self.behaviour = Behaviour(**await request.json())
        return web.json_response({})

    async def show_seen(self, request: web.Request) -> web.Response:
        return web.json_response(self.seen)

    async def discovery(self, request: web.Request) -> web.Response:
        method = "client_secret_basic" if self.behaviour.basic else "client_secret_post"
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "token_endpoint_auth_methods_supported": [method],
            }
        )

    async def authorize(self, request: web.Request) -> web.Response:
        """A page with a button; with `approve`, what the button leads to."""
        asked = dict(request.query)
        assert asked["client_id"] == CLIENT
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        if "approve" not in asked:
            link = f"/authorize?{urlencode({**asked, 'approve': '1'})}".replace("&", "&amp;")
            return web.Response(text=f'<a href="{link}">Consent</a>', content_type="text/html")
        answer = {"state": self.behaviour.state or asked["state"]}
        if self.behaviour.denied:
            answer["error"] = "access_denied"
        else:
            code = secrets.token_urlsafe(16)
            self.codes[code] = Login(asked["nonce"], asked["code_challenge"], asked["redirect_uri"])
            answer["code"] = code
        raise web.HTTPFound(f"{asked['redirect_uri']}?{urlencode(answer)}")

    async def token(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        self.seen.append({"form": sorted(form), "authorization": request.headers.get("authorization", "")})
        login = self.codes.pop(str(form.get("code")), None)
        verifier = str(form.get("code_verifier", ""))
        proof = encoded(hashlib.sha256(verifier.encode()).digest())
        if self.behaviour.broken == "token":
            return web.json_response({"error": "server_error"}, status=500)
        if login is None or proof != login.challenge or form.get("redirect_uri") != login.redirect_uri:
            return web.json_response({"error": "invalid_grant"}, status=400)
        if not self._is_client(request, form):
            return web.json_response({"error": "invalid_client"}, status=401)
        token = {"access_token": "at", "token_type": "Bearer", "id_token": self._id_token(login.nonce)}
        return web.json_response(token)

    def _is_client(self, request: web.Request, form: dict[str, Any]) -> bool:
        if not self.behaviour.basic:
            return bool(form.get("client_secret") == SECRET)
        pair = base64.b64encode(f"{CLIENT}:{SECRET.replace(' ', '%20')}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {pair}"

    async def keys(self, request: web.Request) -> web.Response:
        if self.behaviour.broken == "keys":
            return web.json_response({"keys": [{"kty": "RSA", "kid": "rsa", "n": "?"}]})
        public, point = self.rsa.public_key().public_numbers(), self.ec.public_key().public_numbers()
        known = [
            {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
            {"kty": "RSA", "kid": "rsa", "use": "sig", "n": number(public.n), "e": number(public.e)},
            {"kty": "EC", "kid": "ec", "crv": "P-256", "x": number(point.x, 32), "y": number(point.y, 32)},
        ]
        return web.json_response({"keys": known})

    async def userinfo(self, request: web.Request) -> web.Response:
        assert request.headers["authorization"] == "Bearer at"
        return web.json_response(self.behaviour.userinfo)

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "subject-1",
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "email": "bob@example.com",
            "email_verified": True,
            "preferred_username": "bobby",
            **{
                name: now + v if name in ("exp", "iat") and v else v
                for name, v in self.behaviour.claims.items()
            },
        }
        return self._signed({name: value for name, value in claims.items() if value is not None})

    def _signed(self, claims: dict[str, Any]) -> str:
        algorithm = self.behaviour.algorithm
        kid = self.behaviour.kid or {"RS256": "rsa", "ES256": "ec"}.get(algorithm, "rsa")
        header = {"alg": algorithm, "typ": "JWT", "kid": kid}
        text = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
        return f"{text}.{encoded(self._signature(algorithm, text.encode()))}"

    def _signature(self, algorithm: str, text: bytes) -> bytes:
        if algorithm == "ES256":
            r, s = decode_dss_signature(self.ec.sign(text, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        if algorithm == "RS256":
            key = self.forger if self.behaviour.forged else self.rsa
            return key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        if algorithm == "HS256":  # the trick: the public key as a shared secret
            return hashlib.sha256(text).digest()
        return b""


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value: int, length: int = 0) -> str:
    return encoded(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


async def main(port: int) -> None:
    runner = web.AppRunner(Provider(port).app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
