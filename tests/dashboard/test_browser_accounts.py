"""Accounts as people meet them: from the setup link to a member who sees what is theirs, with real clicks."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llm_intercept.cli.dashboard import address, new_setup_link, serve_arguments
from llm_intercept.home import Home
from llm_intercept.settings import Settings
from llm_intercept.store.migrate import connect
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.usage import write_batch
from tests.dashboard.people import control_of
from tests.dashboard.test_browser import ARGUMENTS, CHROMIUM, free_port, wait_for

PASSWORD = "correct horse battery"
NEW = "another long password"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Settings]]:
    home = Home(tmp_path_factory.mktemp("accounts") / "home")
    home.ensure()
    settings = Settings.model_validate({"dashboard": {"port": free_port()}})
    argv, env = serve_arguments(home, settings, settings.dashboard.port)
    with subprocess.Popen(argv, env={**os.environ, **env}, stderr=subprocess.DEVNULL) as process:
        wait_for(settings.dashboard.port)
        yield home, settings
        process.terminate()
        process.wait(20)


@pytest.fixture
def browser() -> Iterator[Callable[..., Any]]:
    """Opens pages, each in a browser of its own; fails the test if a console saw an error."""
    playwright = pytest.importorskip("playwright.sync_api")
    problems: list[str] = []
    with playwright.sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)

        def opened(**options: Any) -> Any:
            page = chromium.new_context(viewport={"width": 1360, "height": 900}, **options).new_page()
            page.on("pageerror", lambda error: problems.append(str(error)))
            return page

        yield opened
        chromium.close()
    assert problems == []


def fill_in(page: Any, button: str, **values: str) -> None:
    for name, value in values.items():
        page.locator(f"main [name={name}]").last.fill(value)
    page.get_by_role("button", name=button, exact=True).click()


def record(home: Home) -> None:
    """A call of bob's project and one of somebody else's."""
    control = control_of(home)
    control.projects.create("bobs", owner="bob")
    control.projects.create("theirs")
    control.close()
    connection = connect(home.usage_db)
    now = time.time_ns() // 1000
    rows = [
        RequestRow(
            now - n,
            f"0197aaaa-0000-7000-8000-00000000000{n}",
            project=name,
            model=name,
            outcome="ok",
            status=200,
        )
        for n, name in enumerate(("bobs", "theirs"), 1)
    ]
    write_batch(connection, rows)
    connection.close()


def test_from_the_setup_link_to_a_member_who_sees_what_is_theirs(
    browser: Callable[..., Any], served: tuple[Home, Settings]
) -> None:
    (home, settings), admin = served, browser()
    base = address(home, settings)
    admin.goto(new_setup_link(home, settings))
    fill_in(
        admin, "Make the admin", name="ada", email="ada@example.com", password=PASSWORD, again="not the same"
    )
    admin.get_by_text("The two passwords are not the same.").wait_for()
    assert admin.locator("[name=name]").input_value() == "ada", "what was right stays"
    fill_in(admin, "Make the admin", password=PASSWORD, again=PASSWORD)
    admin.wait_for_url(f"{base}/")
    assert admin.locator(".main-nav").get_by_role("link", name="Data").is_visible()

    control = control_of(home)
    control.users.create("bob")
    link = f"{base}/-/llm/invite?code={control.invites.create('bob')}"
    control.close()
    record(home)
    bob = browser(java_script_enabled=False)
    bob.goto(link)
    assert bob.get_by_role("heading", name="Welcome, bob").is_visible()
    fill_in(bob, "Set the password", password=NEW, again=NEW)
    bob.wait_for_url(f"{base}/")
    assert bob.locator(".main-nav").get_by_role("link", name="Data").count() == 0
    assert bob.locator("#feed").get_by_text("bobs").count() > 0
    assert "theirs" not in bob.content()
    answer = bob.goto(f"{base}/-/llm/requests/0197aaaa-0000-7000-8000-000000000002")
    assert answer.status == 404
    answer = bob.goto(f"{base}/usage/requests")
    assert answer.status == 403
    bob.goto(f"{base}/")
    bob.get_by_role("button", name="Log out").click()
    bob.wait_for_url("**/-/llm/login")
    fill_in(bob, "Log in", name="bob", password="wrong password")
    assert bob.get_by_text("The name or the password is wrong.").is_visible()
    fill_in(bob, "Log in", password=NEW)
    bob.wait_for_url(f"{base}/")
    admin.goto(f"{base}/")
    assert admin.locator("#feed").get_by_text("theirs").count() > 0


def test_a_login_is_ended_from_another_browser_at_once(
    browser: Callable[..., Any], served: tuple[Home, Settings]
) -> None:
    (home, settings), here, there = served, browser(), browser()
    base = address(home, settings)
    for page in (here, there):
        page.goto(f"{base}/-/llm/account")
        fill_in(page, "Log in", name="ada", password=PASSWORD)
        page.wait_for_url("**/-/llm/account")
    there.goto(f"{base}/")
    there.locator("#live").get_by_text("live").wait_for()
    here.reload()
    here.get_by_role("button", name="End all others").click()
    there.get_by_text("logged out").wait_for(timeout=15_000)
    assert there.goto(f"{base}/").status == 403
    assert here.goto(f"{base}/").status == 200


def test_an_api_token_and_a_new_password(browser: Callable[..., Any], served: tuple[Home, Settings]) -> None:
    (home, settings), page = served, browser()
    base = address(home, settings)
    page.goto(f"{base}/-/llm/account")
    fill_in(page, "Log in", name="ada", password=PASSWORD)
    page.wait_for_url("**/-/llm/account")
    fill_in(page, "Make the token", name="ci")
    text = page.locator(".once").inner_text()
    assert re.fullmatch(r"llm_api_[0-9A-Za-z]{49}", text)
    page.goto(f"{base}/-/llm/account")
    assert text not in page.content()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_text("revoked").wait_for()
    fill_in(page, "Change the password", old=PASSWORD, password=NEW, again=NEW)
    page.get_by_text("The password is changed.").wait_for()
    control = control_of(home)
    assert len(control.sessions.list(control.users.get("ada").id)) == 1
    control.close()


@pytest.mark.parametrize("path", ["/-/llm/login", "/-/llm/account"])
def test_nothing_is_cut_off_on_a_phone(
    browser: Callable[..., Any], served: tuple[Home, Settings], path: str
) -> None:
    page, base = browser(), address(*served)
    page.set_viewport_size({"width": 390, "height": 800})
    if path.endswith("account"):
        page.goto(f"{base}{path}")
        fill_in(page, "Log in", name="ada", password=NEW)
        page.wait_for_url("**/-/llm/account")
    page.goto(f"{base}{path}")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
