"""The rules of logging in at an OpenID provider. A real one is met in tests/dashboard/test_oidc.py."""

from typing import Any

import pytest
from pydantic import ValidationError

from llm_intercept.policy.oidc import (
    Asked,
    SignOnError,
    authorization_url,
    challenge,
    check_claims,
    check_return,
    identity_of,
)
from llm_intercept.settings.login import OidcSettings

NOW = 1_795_000_000.0
ASKED = Asked("state-1", "nonce-1", "v" * 43, "/", int(NOW) + 600)


def settings(**more: Any) -> OidcSettings:
    return OidcSettings.model_validate({"issuer": "https://id.example", "client_id": "us", **more})


def claims(**more: Any) -> dict[str, Any]:
    made = {
        "iss": "https://id.example",
        "sub": "7",
        "aud": "us",
        "exp": NOW + 300,
        "iat": NOW,
        "nonce": "nonce-1",
        **more,
    }
    return {name: value for name, value in made.items() if value is not None}


def test_the_challenge_is_that_of_the_rfc() -> None:
    assert (
        challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


@pytest.mark.parametrize(
    ("endpoint", "begins"),
    [
        ("https://id.example/a", "https://id.example/a?response_type=code&client_id=us&"),
        ("https://id.example/a?x=1", "https://id.example/a?x=1&response_type=code&"),
    ],
)
def test_where_the_browser_is_sent(endpoint: str, begins: str) -> None:
    url = authorization_url(endpoint, settings(), "https://we.example/back", ASKED)
    assert url.startswith(begins)
    for part in (
        "state=state-1",
        "nonce=nonce-1",
        "code_challenge_method=S256",
        "scope=openid+email+profile",
    ):
        assert part in url
    assert ASKED.verifier not in url


@pytest.mark.parametrize(
    ("args", "asked", "now", "why"),
    [
        ({"state": "state-1", "code": "c"}, None, NOW, "another browser"),
        ({"state": "state-1", "code": "c"}, ASKED, NOW + 601, "too long ago"),
        ({"state": "state-2", "code": "c"}, ASKED, NOW, "another login"),
        ({"code": "c"}, ASKED, NOW, "another login"),
        ({"state": "state-1", "error": "<b>no</b>"}, ASKED, NOW, "refused:  b no b "),
        ({"state": "state-1", "code": "c", "iss": "https://evil.example"}, ASKED, NOW, "another provider"),
        ({"state": "state-1"}, ASKED, NOW, "no code"),
    ],
)
def test_answers_that_are_not_taken(args: dict[str, str], asked: Asked | None, now: float, why: str) -> None:
    with pytest.raises(SignOnError, match=why):
        check_return(args, asked, "https://id.example", now)


def test_an_answer_that_is_taken() -> None:
    args = {"state": "state-1", "code": "c", "iss": "https://id.example"}
    assert check_return(args, ASKED, "https://id.example", NOW) == "c"


@pytest.mark.parametrize(
    "more", [{}, {"aud": ["us"]}, {"aud": ["us", "them"], "azp": "us"}, {"exp": NOW - 30}, {"iat": NOW + 30}]
)
def test_claims_that_are_taken(more: dict[str, Any]) -> None:
    check_claims(claims(**more), settings(), "nonce-1", NOW)


@pytest.mark.parametrize(
    "more",
    [
        {"iss": "https://id.example/"},
        {"aud": "them"},
        {"aud": []},
        {"aud": None},
        {"aud": ["us", "them"]},
        {"azp": "them"},
        {"sub": ""},
        {"sub": None},
        {"nonce": None},
        {"nonce": "nonce-2"},
        {"nonce": ["nonce-1"]},
        {"exp": NOW - 60},
        {"exp": "never"},
        {"exp": True},
        {"exp": None},
        {"iat": NOW + 61},
        {"iat": None},
        {"iat": NOW - 601},
    ],
    ids=str,
)
def test_claims_that_are_not_taken(more: dict[str, Any]) -> None:
    with pytest.raises(SignOnError, match="not accepted"):
        check_claims(claims(**more), settings(), "nonce-1", NOW)


@pytest.mark.parametrize(
    ("more", "email", "name"),
    [
        ({"email": "a@x.example", "email_verified": True}, "a@x.example", "a"),
        ({"email": "a@x.example", "email_verified": "true"}, "a@x.example", "a"),
        ({"email": "a@x.example", "email_verified": False}, "", "user"),
        ({"email": "a@x.example"}, "", "user"),
        ({"email": 7, "email_verified": True}, "", "user"),
        ({"preferred_username": "Jo Müller"}, "", "Jo-M-ller"),
        ({"name": "-._-"}, "", "_"),
        ({"name": "日本"}, "", "user"),
    ],
)
def test_who_that_is(more: dict[str, Any], email: str, name: str) -> None:
    found = identity_of(claims(**more), settings())
    assert (found.email, found.name, found.subject, found.role) == (email, name, "7", None)


@pytest.mark.parametrize(
    ("given", "role"),
    [
        ({"r": "a"}, "admin"),
        ({"r": ["m", "a"]}, "admin"),
        ({"r": ["m", 7, None]}, "member"),
        ({"r": "nothing"}, "viewer"),
        ({"r": {"a": 1}}, "viewer"),
        ({}, "viewer"),
    ],
)
def test_roles(given: dict[str, Any], role: str) -> None:
    flat = settings(role_claim="r", roles={"a": "admin", "m": "member"})
    assert identity_of(claims(**given), flat).role == role
    deep = settings(role_claim="x.r", roles={"a": "admin", "m": "member"})
    assert identity_of(claims(x=given), deep).role == role


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://id.example"},
        {"issuer": "ftp://id.example"},
        {"issuer": "http://127.0.0.1.evil.example:80"},
        {"client_id": ""},
        {"scopes": ["email"]},
        {"role_claim": "groups"},
        {"roles": {"a": "admin"}},
        {"role": "owner"},
        {"secret": "x"},
    ],
    ids=str,
)
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


@pytest.mark.parametrize(
    "issuer", ["http://127.0.0.1:9000", "http://localhost:9000/realm", "http://[::1]:9000"]
)
def test_a_provider_on_this_machine_needs_no_tls(issuer: str) -> None:
    assert settings(issuer=issuer).issuer == issuer
