"""Logging in at a real OpenID provider, which is honest, and then is not."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.home import Home
from tests.dashboard.conftest import Visitor
from tests.dashboard.people import control_of, furnish
from tests.oidc_provider import CLIENT, SECRET

PROVIDER = Path(__file__).resolve().parent.parent / "oidc_provider.py"
START, CALLBACK = "/-/llm/oidc/start", "/-/llm/oidc/callback"
pytestmark = pytest.mark.live


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    port = free_port()
    with subprocess.Popen([sys.executable, str(PROVIDER), str(port)]) as process:
        found, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 30
        while True:
            try:
                _opener.open(f"{found}/seen", timeout=5).close()
                break
            except urllib.error.URLError:
                assert time.monotonic() < deadline, "the provider does not start"
                time.sleep(0.1)
        yield found
        process.terminate()
        process.wait(20)


@pytest.fixture
def peopled(empty: Home) -> Home:
    furnish(empty)
    return empty


@pytest.fixture
def dashboard(
    visit: Any, peopled: Home, issuer: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Visitor]:
    """A dashboard with more settings, and a provider that behaves like that."""
    monkeypatch.setenv("OUR_CLIENT_SECRET", SECRET)

    def start(settings: str = "", **behaviour: Any) -> Visitor:
        control_provider(issuer, **behaviour)
        peopled.path.joinpath("config.toml").write_text(
            f'[dashboard.oidc]\nissuer = "{issuer}"\nclient_id = "{CLIENT}"\n'
            f'client_secret_env = "OUR_CLIENT_SECRET"\ntitle = "Example"\n{settings}\n'
        )
        found: Visitor = visit(peopled)
        return found

    return start


def control_provider(issuer: str, **behaviour: Any) -> None:
    body = json.dumps(behaviour).encode()
    request = urllib.request.Request(f"{issuer}/control", body, {"content-type": "application/json"})
    _opener.open(request, timeout=10).close()


def consent(url: str) -> str:
    """What the provider sends the browser back to; its path and query."""
    with pytest.raises(urllib.error.HTTPError) as raised:
        _opener.open(f"{url}&approve=1", timeout=10)
    assert raised.value.code == 302
    where = urllib.parse.urlsplit(raised.value.headers["location"])
    raised.value.close()
    assert where.path == CALLBACK
    return f"{where.path}?{where.query}"


def there_and_back(visitor: Visitor, path: str = START) -> Any:
    answer = visitor.get(path)
    assert answer.status_code == 302, answer.text
    return visitor.get(consent(answer.headers["location"]))


def who(home: Home) -> list[tuple[str, str, str]]:
    control = control_of(home)
    found = [(session.actor, session.role, session.method) for session in control.sessions.list()]
    control.close()
    return found


def test_a_known_user_by_a_verified_address(dashboard: Any, peopled: Home) -> None:
    visitor = dashboard()
    assert "Log in with Example" in visitor.get("/").text
    cookie = visitor.get(START).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    answer = there_and_back(visitor, f"{START}?next=/-/llm/requests")
    assert (answer.status_code, answer.headers["location"]) == (302, "/-/llm/requests")
    assert visitor.get("/-/llm/summary.json", html=False).json()["requests"] == 3
    assert who(peopled) == [("bob", "member", "oidc")]


def test_the_subject_is_what_counts_from_then_on(dashboard: Any, peopled: Home, issuer: str) -> None:
    visitor = dashboard()
    there_and_back(visitor)
    control = control_of(peopled)
    control.users.change("bob", email="elsewhere@example.com")
    control.users.create("eve", email="bob@example.com")
    control.close()
    there_and_back(visitor)
    assert who(peopled) == [("bob", "member", "oidc")]
    control_provider(issuer, claims={"sub": "subject-2", "email": "ada@example.com"})
    there_and_back(visitor)
    assert who(peopled) == [("ada", "admin", "oidc")]


def test_es256_and_a_secret_in_the_form(dashboard: Any, issuer: str) -> None:
    visitor = dashboard(algorithm="ES256", basic=False)
    assert there_and_back(visitor).headers["location"] == "/"
    with _opener.open(f"{issuer}/seen", timeout=10) as answer:
        last = json.loads(answer.read())[-1]
    assert "client_secret" in last["form"]
    assert "code_verifier" in last["form"]
    assert last["authorization"] == ""


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ({"claims": {"nonce": "another"}}, "nonce"),
        ({"claims": {"nonce": None}}, "nonce"),
        ({"claims": {"aud": "somebody-else"}}, "another audience"),
        ({"claims": {"aud": [CLIENT, "somebody-else"]}}, "several audiences"),
        ({"claims": {"azp": "somebody-else"}}, "another client"),
        ({"claims": {"iss": "https://evil.example"}}, "another issuer"),
        ({"claims": {"exp": -3600}}, "signature or age"),
        ({"claims": {"exp": None}}, "signature or age"),
        ({"claims": {"iat": 3600}}, "signature or age"),
        ({"claims": {"iat": -3600}}, "too old"),
        ({"claims": {"sub": None}}, "names nobody"),
        ({"claims": {"sub": 7}}, "names nobody"),
        ({"forged": True}, "signature or age"),
        ({"algorithm": "HS256"}, "signs by HS256"),
        ({"algorithm": "none"}, "signs by none"),
        ({"kid": "unknown"}, "signature or age"),
        ({"kid": "ec"}, "signature or age"),
        ({"algorithm": "ES256", "kid": "rsa"}, "signature or age"),
        ({"denied": True}, "refused: access_denied"),
        ({"state": "another"}, "another login"),
        ({"broken": "token"}, "answered 500"),
        ({"broken": "keys"}, "signature or age"),
        (
            {"claims": {"email": None}, "userinfo": {"sub": "other", "email": "ada@example.com"}},
            "two different",
        ),
        ({"claims": {"email_verified": False, "email": "ada@example.com"}}, "not here"),
        ({"claims": {"email_verified": None}}, "not here"),
        ({"claims": {"email": "bob"}}, "not here"),
        ({"claims": {"email": "nobody@example.com"}}, "not here"),
        ({"claims": {"email": "off@example.com"}}, "switched off"),
    ],
    ids=str,
)
def test_what_is_wrong_lets_nobody_in(
    dashboard: Any, peopled: Home, behaviour: dict[str, Any], why: str
) -> None:
    visitor = dashboard(**behaviour)
    answer = there_and_back(visitor)
    assert answer.status_code == 403
    assert why in answer.text
    assert who(peopled) == []
    assert visitor.get("/").status_code == 403


def test_an_answer_works_once(dashboard: Any, peopled: Home) -> None:
    visitor = dashboard()
    url = visitor.get(START).headers["location"]
    cookies = dict(visitor.cookies)
    assert visitor.get(consent(url)).status_code == 302
    visitor.post("/-/llm/logout")
    visitor.cookies = cookies
    answer = visitor.get(consent(url))
    assert answer.status_code == 403
    assert "used before" in answer.text
    assert who(peopled) == []


def test_an_answer_belongs_to_the_browser_that_asked(dashboard: Any, peopled: Home) -> None:
    visitor = dashboard()
    back = consent(visitor.get(START).headers["location"])
    for cookies in ({}, {"llm_intercept_signon": "forged"}):
        visitor.cookies = dict(cookies)
        answer = visitor.get(back)
        assert answer.status_code == 403
        assert "another browser" in answer.text
    assert who(peopled) == []


def test_a_code_of_another_login_is_refused_by_pkce(dashboard: Any, peopled: Home) -> None:
    visitor = dashboard()
    first = consent(visitor.get(START).headers["location"])
    second = consent(visitor.get(START).headers["location"])
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(first).query)["code"][0]
    state = urllib.parse.parse_qs(urllib.parse.urlsplit(second).query)["state"][0]
    answer = visitor.get(f"{CALLBACK}?{urllib.parse.urlencode({'code': code, 'state': state})}")
    assert answer.status_code == 403
    assert "answered 400" in answer.text
    assert who(peopled) == []


def test_the_address_may_come_from_userinfo(dashboard: Any, peopled: Home) -> None:
    userinfo = {"sub": "subject-1", "email": "bob@example.com", "email_verified": True}
    there_and_back(dashboard(claims={"email": None, "email_verified": None}, userinfo=userinfo))
    assert who(peopled) == [("bob", "member", "oidc")]


def test_people_are_made_where_that_is_asked_for(dashboard: Any, peopled: Home, issuer: str) -> None:
    visitor = dashboard("create = true", claims={"sub": "new", "email": "new@example.com"})
    there_and_back(visitor)
    assert who(peopled) == [("bobby", "viewer", "oidc")]
    there_and_back(visitor)
    control_provider(
        issuer,
        claims={"sub": "newer", "email": None, "preferred_username": "Bobby !"},
        userinfo={"sub": "newer"},
    )
    there_and_back(visitor)
    control = control_of(peopled)
    made = {
        user.name: (user.email, user.role) for user in control.users.list() if "bobby" in user.name.lower()
    }
    control.close()
    assert made == {"bobby": ("new@example.com", "viewer"), "Bobby-2": (None, "viewer")}


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"groups": ["staff", "llm-admins"]}, "admin"),
        ({"groups": "staff"}, "member"),
        ({"groups": ["unheard-of"]}, "viewer"),
        ({"groups": {"llm-admins": True}}, "viewer"),
        ({}, "viewer"),
    ],
)
def test_a_claim_decides_about_the_role_at_each_login(
    dashboard: Any, peopled: Home, claims: dict[str, Any], role: str
) -> None:
    mapping = 'role_claim = "groups"\nroles = { llm-admins = "admin", staff = "member" }'
    there_and_back(dashboard(mapping, claims=claims))
    assert who(peopled) == [("bob", role, "oidc")]


def test_the_last_admin_stays_one(dashboard: Any, peopled: Home) -> None:
    mapping = 'role_claim = "realm.roles"\nroles = { boss = "admin" }'
    there_and_back(dashboard(mapping, claims={"email": "ada@example.com", "realm": {"roles": ["clerk"]}}))
    assert who(peopled) == [("ada", "admin", "oidc")]


def test_it_is_off_unless_it_is_set(visit: Any, peopled: Home) -> None:
    visitor: Visitor = visit(peopled)
    assert "oidc" not in visitor.get("/").text
    assert visitor.get(START).headers["location"] == "/-/llm/login"
    assert visitor.get(f"{CALLBACK}?code=x&state=y").status_code == 403


def test_a_provider_that_is_not_there(visit: Any, peopled: Home) -> None:
    peopled.path.joinpath("config.toml").write_text(
        f'[dashboard.oidc]\nissuer = "http://127.0.0.1:{free_port()}"\nclient_id = "x"\n'
    )
    answer = visit(peopled).get(START)
    assert answer.status_code == 502
    assert "cannot be reached" in answer.text


def test_a_secret_that_is_not_there(dashboard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = dashboard()
    monkeypatch.delenv("OUR_CLIENT_SECRET")
    answer = visitor.get(START)
    assert answer.status_code == 502
    assert "OUR_CLIENT_SECRET" in answer.text
    assert "OUR_CLIENT_SECRET" not in os.environ
