"""OpenID Connect as rules: what is asked of a provider, what must be right in its answer, who that makes one.

Signatures and the network are `llm_intercept/oidc.py`.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from llm_intercept.errors import InterceptError
from llm_intercept.settings.login import ROLES, LoginRole, OidcSettings

LEEWAY_S = 60
_OLDEST_S = 600  # an id token is made for this login, so it is new
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


class SignOnError(InterceptError):
    """Somebody could not be logged in by the provider; the text says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a login was begun with, kept by the browser in a sealed cookie."""

    state: str
    nonce: str
    verifier: str
    where: str
    until: int


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is at the provider. `email` is "" unless the provider has verified it."""

    issuer: str
    subject: str
    email: str
    name: str
    role: LoginRole | None  # None: the provider has no say in it


def challenge(verifier: str) -> str:
    """PKCE, method S256."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def authorization_url(endpoint: str, settings: OidcSettings, redirect_uri: str, asked: Asked) -> str:
    query = {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(settings.scopes),
        "state": asked.state,
        "nonce": asked.nonce,
        "code_challenge": challenge(asked.verifier),
        "code_challenge_method": "S256",
    }
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def check_return(args: Mapping[str, str], asked: Asked | None, issuer: str, now: float) -> str:
    """The code that the browser came back with, if it is an answer to what this browser asked for."""
    if asked is None or asked.until < now:
        raise SignOnError("This login was begun in another browser, or too long ago. Begin again.")
    if not hmac.compare_digest(args.get("state", "").encode(), asked.state.encode()):
        raise SignOnError("This answer belongs to another login. Begin again.")
    if args.get("error"):
        raise SignOnError(f"The provider refused: {_ODD.sub(' ', args['error'])[:60]}.")
    if args.get("iss", issuer) != issuer:
        raise SignOnError("This answer comes from another provider.")
    if not args.get("code"):
        raise SignOnError("The provider sent no code.")
    return args["code"]


def check_claims(claims: Mapping[str, Any], settings: OidcSettings, nonce: str, now: float) -> None:
    """What a signature says nothing about: whom the token is from, for whom, for which login, and its age."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    wrong = (
        (claims.get("iss") != settings.issuer, "it is from another issuer"),
        (settings.client_id not in audiences, "it is for another audience"),
        (len(audiences) > 1 and claims.get("azp") != settings.client_id, "it is for several audiences"),
        ("azp" in claims and claims["azp"] != settings.client_id, "it was made for another client"),
        (not _is_text(claims.get("sub")), "it names nobody"),
        (not _same(claims.get("nonce"), nonce), "it is for another login (nonce)"),
        (not _is_number(claims.get("exp")) or claims["exp"] + LEEWAY_S <= now, "it has expired"),
        (not _is_number(claims.get("iat")) or claims["iat"] - LEEWAY_S > now, "it is from the future"),
        (_is_number(claims.get("iat")) and claims["iat"] + _OLDEST_S < now, "it is too old"),
    )
    for is_wrong, why in wrong:
        if is_wrong:
            raise SignOnError(f"The provider's token is not accepted: {why}.")


def identity_of(claims: Mapping[str, Any], settings: OidcSettings) -> Identity:
    email = claims.get("email") if claims.get("email_verified") in (True, "true") else ""
    email = email if isinstance(email, str) else ""
    wanted = next((text for name in ("preferred_username", "name") if _is_text(text := claims.get(name))), "")
    name = _ODD.sub("-", str(wanted or email.partition("@")[0])).strip("-.")[:48]
    return Identity(settings.issuer, claims["sub"], email, name or "user", role_of(claims, settings))


def role_of(claims: Mapping[str, Any], settings: OidcSettings) -> LoginRole | None:
    """The highest that the values of the claim stand for. The claim may lie deeper: `realm_access.roles`."""
    if not settings.role_claim:
        return None
    found: Any = claims.get(settings.role_claim)
    if found is None:
        found = claims
        for part in settings.role_claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    values = found if isinstance(found, list) else [found]
    granted = {
        settings.roles[value] for value in values if isinstance(value, str) and value in settings.roles
    }
    return next((role for role in ROLES if role in granted), settings.role)


def _same(given: object, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), expected.encode())


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value) and len(value) <= 255


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
