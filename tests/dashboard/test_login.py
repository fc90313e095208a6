"""Names and passwords, the first admin, invites, and what people do with their own account."""

import json
import re
from typing import Any

import pytest

from llm_intercept.home import Home
from llm_intercept.store.audit import Audit
from tests.dashboard.conftest import Visitor, new_link
from tests.dashboard.people import CHEAP, PASSWORD, cheap, control_of, furnish, log_in_as

ACCOUNT = "/-/llm/account"
NEW = "another long password"


@pytest.fixture
def peopled(empty: Home) -> Home:
    furnish(empty)
    return empty


@pytest.fixture
def visitor(visit: Any, peopled: Home) -> Visitor:
    return cheap(visit(peopled))


def actions(home: Home) -> list[tuple[str, str, str]]:
    control = control_of(home)
    rows = Audit(control.database).after(0, 1000)
    control.close()
    return [(row.actor, row.action, row.outcome) for row in rows]


def code_of(home: Home, name: str) -> str:
    control = control_of(home)
    try:
        return control.invites.create(name)
    finally:
        control.close()


def test_logging_in_and_out(visitor: Visitor, peopled: Home) -> None:
    form = visitor.get("/").text
    assert 'action="/-/llm/login"' in form
    answer = log_in_as(visitor, "bob@example.com")
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    assert visitor.get("/").status_code == 200
    stolen = dict(visitor.cookies)
    visitor.post("/-/llm/logout")
    visitor.cookies = stolen
    assert visitor.get("/").status_code == 403
    assert ("bob", "login", "ok") in actions(peopled)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("bob", "wrong"),
        ("nobody", PASSWORD),
        ("", ""),
        ("off", PASSWORD),
        ("bob", PASSWORD + " "),
        ("bob", ""),
    ],
)
def test_one_answer_to_all_that_is_wrong(visitor: Visitor, peopled: Home, name: str, password: str) -> None:
    answer = log_in_as(visitor, name, password)
    assert answer.status_code == 403
    assert "The name or the password is wrong." in answer.text
    assert "llm_intercept_session" not in visitor.cookies
    assert visitor.get("/").status_code == 403
    assert {outcome for _, action, outcome in actions(peopled) if action == "login"} == {"failed"}


def test_what_was_typed_as_a_name_is_not_in_the_audit_log(visitor: Visitor, peopled: Home) -> None:
    log_in_as(visitor, "hunter2-in-the-wrong-field", "x")
    control = control_of(peopled)
    rows = Audit(control.database).after(0, 100)
    control.close()
    assert rows
    assert "hunter2" not in str([row.document() for row in rows])


def test_too_many_failures_make_one_wait(visitor: Visitor) -> None:
    for _ in range(5):
        assert log_in_as(visitor, "bob", "wrong").status_code == 403
    answer = log_in_as(visitor, "bob")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert "too many failed attempts" in answer.text.lower()
    assert log_in_as(visitor, "ada").status_code == 302


@pytest.mark.parametrize(
    ("where", "leads"),
    [
        ("/-/llm/requests?since=7d", "/-/llm/requests?since=7d"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_one_goes_on_to_a_page_of_ours(visitor: Visitor, where: str, leads: str) -> None:
    assert log_in_as(visitor, "bob", next=where).headers["location"] == leads


def test_the_page_that_was_wanted_is_remembered(visitor: Visitor) -> None:
    text = visitor.get("/-/llm/requests?since=30d&project=bobs").text
    assert 'name="next" value="/-/llm/requests?since=30d&amp;project=bobs"' in text


def test_another_site_cannot_log_anybody_in(visitor: Visitor) -> None:
    answer = cheap(visitor).post(
        "/-/llm/login", data={"name": "bob", "password": PASSWORD}, headers={"sec-fetch-site": "cross-site"}
    )
    assert answer.status_code == 403
    assert not visitor.cookies


def test_a_new_login_ends_the_one_before_in_this_browser(visitor: Visitor) -> None:
    log_in_as(visitor, "bob")
    old = dict(visitor.cookies)
    log_in_as(visitor, "ada")
    visitor.cookies = old
    assert visitor.get("/").status_code == 403


def test_the_owners_link_still_works(visitor: Visitor, peopled: Home) -> None:
    assert visitor.get(new_link(peopled)).status_code == 302
    assert visitor.get("/usage").status_code == 200
    assert "Local administrator" in visitor.get(ACCOUNT).text


def test_logins_are_in_the_audit_file_at_once(visitor: Visitor, peopled: Home) -> None:
    visitor.get(new_link(peopled))
    log_in_as(visitor, "ada", "wrong, and long enough")
    lines = [json.loads(line) for line in (peopled.logs / "audit.jsonl").read_text().splitlines()]
    assert [(line["action"], line["outcome"]) for line in lines[-2:]] == [
        ("login", "ok"),
        ("login", "failed"),
    ]


def setup_link(home: Home) -> str:
    control = control_of(home)
    try:
        return control.sessions.create_link("setup")
    finally:
        control.close()


def admin_form(**more: str) -> dict[str, str]:
    return {"name": "root", "email": "root@example.com", "password": PASSWORD, "again": PASSWORD, **more}


def test_the_first_admin(visit: Any, empty: Home) -> None:
    visitor, code = cheap(visit(empty)), setup_link(empty)
    assert "Make the first admin" in visitor.get(f"/-/llm/setup?code={code}").text
    assert visitor.get("/").status_code == 403, "looking at the form logs nobody in"
    for wrong, why in (
        (admin_form(password="short", again="short"), "too short"),
        (admin_form(again="not the same at all"), "not the same"),
        (admin_form(name="not a name"), "cannot be the name"),
        (admin_form(email="nonsense"), "not an email address"),
    ):
        answer = visitor.post("/-/llm/setup", data={**wrong, "code": code})
        assert answer.status_code == 400
        assert why in answer.text
        assert PASSWORD not in answer.text
    answer = visitor.post("/-/llm/setup", data=admin_form(code=code))
    assert answer.status_code == 302
    assert visitor.get("/usage").status_code == 200
    assert ("owner", "setup", "ok") in actions(empty)
    visitor.cookies.clear()
    assert visitor.get(f"/-/llm/setup?code={code}").status_code == 403
    assert (
        visitor.post("/-/llm/setup", data=admin_form(code=setup_link(empty), name="eve")).status_code == 403
    )
    assert log_in_as(visitor, "root").status_code == 302


@pytest.mark.parametrize("code", ["", "nonsense", "0" * 48])
def test_an_invented_code_sets_nothing_up(visit: Any, empty: Home, code: str) -> None:
    visitor = cheap(visit(empty))
    assert visitor.get(f"/-/llm/setup?code={code}").status_code == 403
    assert visitor.post("/-/llm/setup", data=admin_form(code=code)).status_code == 403
    assert log_in_as(visitor, "root").status_code == 403


def test_a_login_link_sets_nothing_up_and_a_setup_link_logs_nobody_in(visit: Any, empty: Home) -> None:
    visitor = cheap(visit(empty))
    code = new_link(empty).partition("code=")[2]
    assert visitor.get(f"/-/llm/setup?code={code}").status_code == 403
    assert visitor.get(f"/-/llm/login?code={setup_link(empty)}").status_code == 403
    assert visitor.get("/").status_code == 403


def test_the_owner_makes_the_first_admin_without_a_code(visit: Any, empty: Home) -> None:
    visitor = cheap(visit(empty))
    visitor.get(new_link(empty))
    assert 'href="/-/llm/setup"' in visitor.get(ACCOUNT).text
    assert visitor.post("/-/llm/setup", data=admin_form(code="")).status_code == 302
    assert "root" in visitor.get(ACCOUNT).text
    assert 'href="/-/llm/setup"' not in visitor.get(ACCOUNT).text


def test_an_invite(visitor: Visitor, peopled: Home) -> None:
    control = control_of(peopled)
    control.users.create("new", role="viewer")
    control.close()
    code = code_of(peopled, "new")
    assert "Welcome, new" in visitor.get(f"/-/llm/invite?code={code}").text
    short = visitor.post("/-/llm/invite", data={"code": code, "password": "x", "again": "x"})
    assert short.status_code == 400
    answer = visitor.post("/-/llm/invite", data={"code": code, "password": NEW, "again": NEW})
    assert answer.status_code == 302
    assert visitor.get("/").status_code == 200
    assert visitor.get("/usage").status_code == 403
    assert ("new", "invite.use", "ok") in actions(peopled)
    visitor.cookies.clear()
    for again in (
        visitor.get(f"/-/llm/invite?code={code}"),
        visitor.post("/-/llm/invite", data={"code": code}),
    ):
        assert again.status_code == 403
        assert "used before" in again.text
    assert log_in_as(visitor, "new", NEW).status_code == 302


def sessions_on(text: str) -> list[str]:
    return re.findall(r'name="session" value="(ses_[0-9a-f]+)"', text)


def test_a_session_is_ended_from_another_one_and_at_once(visit: Any, peopled: Home) -> None:
    first, second = visit(peopled), visit(peopled)
    log_in_as(first, "bob")
    log_in_as(second, "bob")
    (other,) = sessions_on(first.get(ACCOUNT).text)
    assert second.get("/-/llm/live.json", html=False).status_code == 200
    assert first.post(f"{ACCOUNT}/sessions", data={"session": other}).status_code == 302
    assert second.get("/-/llm/live.json", html=False).status_code == 403
    assert first.get(ACCOUNT).status_code == 200
    log_in_as(second, "bob")
    first.post(f"{ACCOUNT}/sessions", data={"others": "1"})
    assert second.get("/").status_code == 403
    assert first.get("/").status_code == 200


def test_nobody_ends_the_sessions_of_others_here(visit: Any, peopled: Home) -> None:
    bob, ada = visit(peopled), visit(peopled)
    log_in_as(bob, "bob")
    log_in_as(ada, "ada")
    control = control_of(peopled)
    (session,) = (session for session in control.sessions.list() if session.actor == "ada")
    control.close()
    assert session.id not in bob.get(ACCOUNT).text
    assert bob.post(f"{ACCOUNT}/sessions", data={"session": session.id}).status_code == 404
    assert ada.get("/").status_code == 200


def test_a_deactivated_user_is_out_at_once(visitor: Visitor, peopled: Home) -> None:
    log_in_as(visitor, "bob")
    made = new_token(visitor, name="ci", scope="read", days="")
    bearer = {"authorization": f"Bearer {made}"}
    control = control_of(peopled)
    control.users.change("bob", active=False)
    control.close()
    assert visitor.get("/").status_code == 403
    visitor.cookies.clear()
    assert visitor.get("/-/llm/summary.json", html=False, headers=bearer).status_code == 403
    assert log_in_as(visitor, "bob").status_code == 403


def change(visitor: Visitor, old: str, new: str, again: str = "") -> Any:
    form = {"old": old, "password": new, "again": again or new}
    return visitor.post(f"{ACCOUNT}/password", data=form)


def test_changing_the_password(visit: Any, peopled: Home) -> None:
    here, there = visit(peopled), visit(peopled)
    log_in_as(here, "bob")
    log_in_as(there, "bob")
    for answer, why in (
        (change(here, "wrong", NEW), "old password is wrong"),
        (change(here, PASSWORD, "short"), "too short"),
        (change(here, PASSWORD, NEW, "something else entirely"), "not the same"),
    ):
        assert answer.status_code == 400
        assert why in answer.text
    assert there.get("/").status_code == 200
    stolen = dict(here.cookies)
    answer = change(here, PASSWORD, NEW)
    assert (answer.status_code, answer.headers["location"]) == (302, f"{ACCOUNT}?changed=1")
    assert "is changed" in here.get(answer.headers["location"]).text
    assert there.get("/").status_code == 403
    there.cookies = stolen
    assert there.get("/").status_code == 403, "this browser has a new session"
    assert log_in_as(there, "bob").status_code == 403
    assert log_in_as(there, "bob", NEW).status_code == 302


def test_guessing_the_old_password_is_slowed_down(visitor: Visitor) -> None:
    log_in_as(visitor, "bob")
    answers = [change(visitor, f"guess number {n}", NEW).status_code for n in range(10)]
    assert answers[:5] == [400] * 5
    assert 429 in answers[5:]  # waits grow: the machine cannot be too slow for all of them


def test_the_local_administrator_has_no_password(visitor: Visitor, peopled: Home) -> None:
    visitor.get(new_link(peopled))
    answer = change(visitor, "", NEW)
    assert answer.status_code == 400
    assert "links from the shell" in answer.text


def token_on(text: str) -> str:
    found = re.search(r"llm_api_[0-9A-Za-z]{49}", text)
    assert found is not None
    return found[0]


def new_token(visitor: Visitor, **form: str) -> str:
    answer = visitor.post(f"{ACCOUNT}/tokens", data=form)
    return token_on(visitor.get(answer.headers["location"]).text)


def test_an_api_token_is_shown_once(visitor: Visitor, peopled: Home) -> None:
    log_in_as(visitor, "bob")
    answer = visitor.post(f"{ACCOUNT}/tokens", data={"name": "ci", "scope": "read", "days": "30"})
    assert answer.status_code == 303  # so that loading the page again makes no other
    assert "llm_api_" not in answer.text + answer.headers["location"]
    bob, visitor.cookies = dict(visitor.cookies), {}
    log_in_as(visitor, "ada")
    assert not re.search(r"llm_api_[0-9A-Za-z]{49}", visitor.get(answer.headers["location"]).text)
    visitor.cookies = bob
    page = visitor.get(answer.headers["location"])
    assert "no-store" in page.headers["cache-control"]
    text = token_on(page.text)
    assert text not in visitor.get(ACCOUNT).text
    again = visitor.get(answer.headers["location"]).text
    assert text not in again
    assert "shown once, right after it is made" in again
    assert again.count('name="token" value="apt_') == 1
    cookies, visitor.cookies = dict(visitor.cookies), {}
    bearer = {"authorization": f"Bearer {text}"}
    assert visitor.get("/-/llm/summary.json", html=False, headers=bearer).json()["requests"] == 3
    assert visitor.get("/usage.json", html=False, headers=bearer).status_code == 403
    visitor.cookies = cookies
    (id_,) = re.findall(r'name="token" value="(apt_[0-9a-f]+)"', visitor.get(ACCOUNT).text)
    assert visitor.post(f"{ACCOUNT}/tokens/revoke", data={"token": id_}).status_code == 302
    assert visitor.post(f"{ACCOUNT}/tokens/revoke", data={"token": "apt_0"}).status_code == 404
    visitor.cookies = {}
    assert visitor.get("/-/llm/summary.json", html=False, headers=bearer).status_code == 403
    assert ("bob/ci", "apitoken.use", "denied") in actions(peopled)


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"name": "", "scope": "read"}, "cannot be the name"),
        ({"name": "x", "scope": "admin"}, "not a scope"),
        ({"name": "x", "scope": "read", "days": "soon"}, "number of days"),
    ],
)
def test_an_api_token_that_cannot_be(visitor: Visitor, form: dict[str, str], why: str) -> None:
    log_in_as(visitor, "bob")
    answer = visitor.post(f"{ACCOUNT}/tokens", data=form)
    assert answer.status_code == 400
    assert why in answer.text


def test_what_an_api_token_is_not_for(visitor: Visitor) -> None:
    log_in_as(visitor, "ada")
    texts = {scope: new_token(visitor, name=scope, scope=scope) for scope in ("usage", "read", "write")}
    visitor.cookies = {}

    def status(scope: str, path: str, method: str = "get") -> int:
        headers = {"authorization": f"Bearer {texts[scope]}"}
        return int(visitor.ask(method, path, html=False, headers=headers).status_code)

    assert [status(scope, "/-/llm/export.csv") for scope in texts] == [403, 200, 200]
    assert [status(scope, "/usage/requests.json") for scope in texts] == [403, 200, 200]
    assert [status(scope, f"{ACCOUNT}/tokens", "post") for scope in texts] == [403, 403, 403]
    assert [status(scope, "/-/llm/targets/reset", "post") for scope in texts] == [403, 403, 403]


def test_a_wrong_bearer_token_is_nobodys_whatever_the_cookie_says(visitor: Visitor) -> None:
    log_in_as(visitor, "ada")
    wrong = {"authorization": "Bearer llm_api_" + "0" * 49}
    assert visitor.get("/-/llm/summary.json", html=False, headers=wrong).status_code == 403
    other = {"authorization": "Bearer something-else"}
    assert visitor.get("/-/llm/summary.json", html=False, headers=other).status_code == 200


def test_hashes_never_leave_the_database(visitor: Visitor, peopled: Home) -> None:
    log_in_as(visitor, "ada")
    pages = ("/", ACCOUNT, "/-/api/users", "/-/api/users/ada", "/usage.json", "/-/llm/export.json")
    texts = [visitor.get(path, html=path in ("/", ACCOUNT)).text for path in pages]
    control = control_of(peopled)
    hashed = control.database.rows("SELECT hash FROM passwords")
    documents = str([row.document() for row in Audit(control.database).after(0, 1000)])
    control.close()
    assert len(hashed) == 4
    for text in (*texts, documents):
        assert "argon2" not in text
        assert not [row for row in hashed if row["hash"] in text]


def test_errors_do_not_print_what_was_sent(visitor: Visitor, capsys: pytest.CaptureFixture[str]) -> None:
    log_in_as(visitor, "bob")
    form = {"session": "ses_0", "password": "printed-by-nobody"}
    assert visitor.post(f"{ACCOUNT}/sessions", data=form).status_code == 404
    assert visitor.get("/-/llm/requests/0197-abcdef").status_code == 404
    printed = "".join(capsys.readouterr())
    assert "printed-by-nobody" not in printed
    assert "abcdef" not in printed
    assert visitor.cookies["llm_intercept_session"] not in printed


def test_an_older_hash_is_made_anew_at_the_next_login(visitor: Visitor, peopled: Home) -> None:
    import sys

    from llm_intercept.hashing import Hasher
    from llm_intercept.policy.passwords import Cost

    doors = sys.modules["llm_dashboard.access"].doors(visitor.datasette)
    doors.hasher = Hasher(Cost(time=2, memory_kib=16, parallelism=1))
    assert visitor.post("/-/llm/login", data={"name": "bob", "password": PASSWORD}).status_code == 302
    assert visitor.get("/").status_code == 200, "it is the same password, so no login has ended"
    control = control_of(peopled)
    stored = control.accounts.attempt("bob", "192.0.2.1").hash
    control.close()
    assert "m=16,t=2" in stored
    assert not CHEAP.verify(stored, "wrong").right


def behind(visit: Any, home: Home, settings: str) -> Visitor:
    home.path.joinpath("config.toml").write_text(settings)
    return cheap(visit(home))


LOCAL = "127.0.0.1"


@pytest.mark.parametrize(("trusted", "secure"), [("", False), ("192.0.2.0/24", False), (LOCAL, True)])
def test_cookies_are_secure_behind_a_trusted_proxy_with_tls(
    visit: Any, peopled: Home, trusted: str, secure: bool
) -> None:
    listed = f'["{trusted}"]' if trusted else "[]"
    visitor = behind(visit, peopled, f"[dashboard]\ntrusted_proxies = {listed}\n")
    headers = {"x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.7, 127.0.0.1"}
    form = {"name": "bob", "password": PASSWORD}
    answer = visitor.post("/-/llm/login", data=form, headers=headers)
    assert ("; secure" in answer.headers["set-cookie"].lower()) is secure
    control = control_of(peopled)
    (session,) = control.sessions.list()
    control.close()
    assert session.client_ip == ("198.51.100.7" if secure else LOCAL)


@pytest.mark.parametrize(
    ("proxies", "header", "name", "status"),
    [
        (LOCAL, "x-remote-user", "bob", 200),
        (LOCAL, "X-Remote-User", "BOB@example.com", 200),
        (LOCAL, "x-remote-user", "nobody", 403),
        (LOCAL, "x-remote-user", "off", 403),
        (LOCAL, "x-remote-user", "", 403),
        (LOCAL, "x-other", "bob", 403),
        ("192.0.2.1", "x-remote-user", "bob", 403),
    ],
)
def test_a_proxy_says_who_it_is(
    visit: Any, peopled: Home, proxies: str, header: str, name: str, status: int
) -> None:
    settings = f'[dashboard.trusted_header]\nheader = "X-Remote-User"\nproxies = ["{proxies}"]\n'
    visitor = behind(visit, peopled, settings)
    answer = visitor.get("/-/llm/summary.json", html=False, headers={header: name})
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["requests"] == 3
        assert visitor.get("/usage.json", html=False, headers={header: name}).status_code == 403


def test_the_header_is_nothing_unless_it_is_set(visitor: Visitor) -> None:
    assert visitor.get("/", headers={"x-remote-user": "ada"}).status_code == 403


def test_a_forwarded_address_does_not_make_a_trusted_proxy(visit: Any, peopled: Home) -> None:
    settings = (
        f'[dashboard]\ntrusted_proxies = ["{LOCAL}"]\n'
        '[dashboard.trusted_header]\nheader = "X-Remote-User"\nproxies = ["192.0.2.1"]\n'
    )
    visitor = behind(visit, peopled, settings)
    headers = {"x-remote-user": "ada", "x-forwarded-for": "192.0.2.1"}
    assert visitor.get("/", headers=headers).status_code == 403


def test_whom_the_header_names_goes_before_the_cookie(visit: Any, peopled: Home) -> None:
    settings = f'[dashboard.trusted_header]\nheader = "X-Remote-User"\nproxies = ["{LOCAL}"]\n'
    visitor = behind(visit, peopled, settings)
    log_in_as(visitor, "ada")
    assert visitor.get("/usage.json", html=False).status_code == 200
    assert visitor.get("/usage.json", html=False, headers={"x-remote-user": "bob"}).status_code == 403
    assert visitor.get("/", headers={"x-remote-user": "nobody"}).status_code == 403
