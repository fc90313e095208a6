"""The pages of administration as a person meets them: Chromium, a keyboard, a phone, a proxy behind it."""

import contextlib
import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.cli.dashboard import login_link, serve_arguments
from llm_intercept.home import Home
from llm_intercept.policy.limits import Limit
from llm_intercept.policy.routing import Route
from llm_intercept.policy.targets import parse_target
from llm_intercept.settings import Settings
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault
from tests.dashboard.admin.test_cache import keep, stored
from tests.dashboard.conftest import NOW
from tests.dashboard.test_browser import ARGUMENTS, CHROMIUM, free_port, wait_for
from tests.live.stack import running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
]
M = "/-/llm/manage"
PHONE = 360


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextlib.contextmanager
def dashboard(home: Home) -> Iterator[Settings]:
    settings = Settings.model_validate({"dashboard": {"port": free_port()}})
    argv, env = serve_arguments(home, settings, settings.dashboard.port)
    with subprocess.Popen(argv, env={**os.environ, **env}, stderr=subprocess.DEVNULL) as process:
        wait_for(settings.dashboard.port)
        yield settings
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def browsing(
    chromium: Any, home: Home, settings: Settings, expected: int = 0, **options: Any
) -> Iterator[Any]:
    """A page of somebody who is logged in; fails the test if the console saw an error.

    `expected`: the status of pages that are no 200; the browser tells of them.
    """
    context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(login_link(home, settings))
    yield page
    context.close()
    told = f"Failed to load resource: the server responded with a status of {expected} "
    assert [text for text in problems if not text.startswith(told)] == []


def furnished(folder: Path) -> Home:
    """Something in every list."""
    home = Home(folder)
    home.ensure()
    control = Control(home.control_db, Vault.load(home.secret_key, {}))
    control.users.create("ada", email="ada@example.com", role="admin")
    control.projects.create("a-project-with-quite-a-long-name-that-does-not-break", owner="ada")
    control.tokens.create("default", "a-token-with-quite-a-long-name-that-does-not-break", user="ada")
    control.limits.set(Limit(scope="project", name="default", measure="cost", amount=5 * 10**9, per="day"))
    control.routes.set(Route(name="safe", targets=(parse_target("openai/gpt-5-mini@team*3"),)))
    control.listeners.create("team", is_free=lambda _: True)
    control.close()
    long = {
        "project": "a-project-with-quite-a-long-name-that-does-not-break",
        "token": "a-token-with-a-long-name",
    }
    keep(home, stored(1), stored(2, expires_us=NOW, **long), hits=12_345)
    return home


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Settings]]:
    home = furnished(tmp_path_factory.mktemp("admin"))
    with dashboard(home) as settings:
        yield home, settings


def go(page: Any, path: str) -> None:
    base = "/".join(page.url.split("/")[:3])
    answer = page.goto(base + path)
    assert answer.status == 200, path


def addresses(page: Any) -> list[str]:
    """Every page that can be reached from the lists, found by their links."""
    go(page, M)
    found = [M, *page.eval_on_selector_all(".places a", "all => all.map(one => one.getAttribute('href'))")]
    for path in list(found):
        go(page, path)
        links = page.eval_on_selector_all("main a", "all => all.map(one => one.getAttribute('href'))")
        inner = [link for link in links if link and re.match(r"/-/llm/(manage|listeners)/", link)]
        found += [link for link in inner if "export" not in link]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_in_both_themes_and_on_a_phone(
    chromium: Any, served: tuple[Home, Settings], scheme: str
) -> None:
    width = PHONE if scheme == "light" else 1280
    options = {"viewport": {"width": width, "height": 780}, "color_scheme": scheme}
    with browsing(chromium, *served, **options) as page:
        paths = addresses(page)
        assert len(paths) > 25
        for path in paths:
            go(page, path)
            assert page.evaluate("document.documentElement.scrollWidth") == width, path
            assert page.evaluate(SIDEWAYS) == [], path
            red = page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])")
            assert (red < 60) == (scheme == "dark"), path
            unnamed = page.evaluate(UNLABELLED)
            assert unnamed == [], path


# Tables that would have to be scrolled sideways.
SIDEWAYS = """[...document.querySelectorAll('main .scroll')]
  .filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.innerText.slice(0, 60))"""

# Inputs that a screen reader has no name for.
UNLABELLED = """[...document.querySelectorAll('main input:not([type=hidden]), main select, main textarea')]
  .filter(one => !one.labels.length && !one.getAttribute('aria-label')).map(one => one.outerHTML)"""


def test_a_project_by_keyboard_alone(chromium: Any, served: tuple[Home, Settings]) -> None:
    with browsing(chromium, *served, expected=400) as page:
        go(page, M)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
        tab_to(page, "Manage")
        page.keyboard.press("Enter")
        assert page.locator("#manage").is_visible()
        page.keyboard.press("Escape")
        assert page.locator("#manage").is_hidden()
        page.keyboard.press("Enter")
        tab_to(page, "Projects")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{M}/projects")
        tab_to(page, "New project")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        page.wait_for_url("**/projects/new")
        tab_to(page, "", "f-name")
        page.keyboard.type("by keyboard")
        page.keyboard.press("Enter")
        page.get_by_text("cannot be the name of a project").wait_for()
        assert page.evaluate("document.activeElement.id") == "f-name"
        assert page.evaluate("document.activeElement.value") == "by keyboard"
        page.keyboard.press("Control+a")
        page.keyboard.type("by-keyboard")
        tab_to(page, "", "f-hangup")
        page.keyboard.type("Drain")
        tab_to(page, "Create project")
        page.keyboard.press("Enter")
        page.get_by_text("The project by-keyboard is made").wait_for()
    control = Control(served[0].control_db, Vault.load(served[0].secret_key, {}))
    assert control.projects.get("by-keyboard").hangup == "drain"
    control.close()


@pytest.mark.parametrize(
    ("place", "steps", "button", "said"),
    [
        ("tokens", {"project": "default", "name": "by-keyboard"}, "Create token", "Copy your token now"),
        ("limits", {"scope": "Pro", "name": "default", "measure": "Calls", "amount": "60", "per": "an hour",
                    "timezone": ""}, "Set limit", "60"),
        ("keys", {"provider": "Groq", "secret": "gsk-by-keyboard-0123", "name": "", "try": " "}, "Store key",
         "is stored"),
        ("routes", {"name": "by-keyboard", "targets": "openai/gpt-5-mini"}, "Create route", "The route by"),
    ],
)  # fmt: skip
def test_forms_by_keyboard_alone(
    chromium: Any,
    served: tuple[Home, Settings],
    place: str,
    steps: dict[str, str],
    button: str,
    said: str,
) -> None:
    """Fields are reached one after the other as they are read, and what is missing has the focus."""
    with browsing(chromium, *served) as page:
        go(page, f"{M}/{place}/new")
        page.locator("main input[id]:visible").last.focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.matches(':invalid')"), "what is needed is asked for"
        go(page, f"{M}/{place}/new")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # skips what is on every page
        for name, typed in steps.items():
            tab_to(page, "", f"f-{name}")
            page.keyboard.type(typed)
        tab_to(page, button)
        page.keyboard.press("Enter")
        page.locator("main").get_by_text(said).first.wait_for()
        assert not page.url.endswith("/new")


def tab_to(page: Any, text: str, id_: str = "") -> None:
    """Presses Tab until something with this text or id has the focus; nothing traps it on the way."""
    for _ in range(60):
        page.keyboard.press("Tab")
        on = page.evaluate("[document.activeElement.textContent.trim(), document.activeElement.id]")
        if (id_ and on[1] == id_) or (not id_ and on[0].startswith(text)):
            return
    raise AssertionError(f"{text or id_} cannot be reached")


def test_the_pages_work_without_scripts(chromium: Any, served: tuple[Home, Settings]) -> None:
    with browsing(chromium, *served, java_script_enabled=False) as page:
        go(page, f"{M}/tokens/new")
        page.locator("#f-project").select_option("default")
        page.locator("#f-name").fill("plain")
        page.get_by_role("button", name="Create token").click()
        assert page.locator("#secret").inner_text().startswith("lli_")
        assert page.get_by_role("button", name="Copy").count() == 0
        go(page, f"{M}/tokens")
        page.get_by_label("Pick plain").check()
        page.get_by_role("button", name="Revoke the picked ones").click()
        page.get_by_role("button", name="Revoke").click()
        assert page.get_by_text("The token plain is revoked").is_visible()


def test_the_secret_is_copied_with_a_button(chromium: Any, served: tuple[Home, Settings]) -> None:
    rights = ["clipboard-read", "clipboard-write"]
    with browsing(chromium, *served, expected=410, permissions=rights) as page:
        go(page, f"{M}/tokens/new?project=default")
        page.locator("#f-name").fill("copied")
        page.get_by_role("button", name="Create token").click()
        shown = page.locator("#secret").inner_text()
        page.get_by_role("button", name="Copy").first.click()
        page.get_by_role("button", name="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == shown
        page.get_by_role("link", name="I have copied it").click()
        page.wait_for_url("**/edit")
        page.go_back()
        page.get_by_text("It was shown before").wait_for()
        assert shown not in page.content()


@pytest.mark.live
def test_from_a_project_to_a_refusal_and_back(chromium: Any, tmp_path: Path) -> None:
    """A project, a limit and a token are made; a call passes, the next is refused and seen in the live feed;
    the limit is raised, and the next call passes."""
    with running(tmp_path / "home", keys=False) as stack:
        home = Home(stack.home)
        with dashboard(home) as settings, browsing(chromium, home, settings) as page:
            token = set_up(page, stack.url)
            assert call(stack.url, token) == 200
            stack.rows(1)
            assert call(stack.url, token) == 429
            go(page, "/")
            feed = page.locator("#feed")
            feed.get_by_text("Refused").first.wait_for(timeout=15_000)
            go(page, f"{M}/limits")
            assert page.get_by_text("1 used, 0 left").is_visible()
            page.get_by_role("link", name="Project shop may make 1 request a day", exact=True).click()
            page.locator("#f-amount").fill("2")
            page.get_by_role("button", name="Save").click()
            page.get_by_text("Project shop may make 2 requests a day, from the next call on").wait_for()
            go(page, "/")
            before = feed.locator("tr").count()
            assert call(stack.url, token) == 200
            page.wait_for_function(
                "count => document.querySelectorAll('#feed tr').length > count", arg=before, timeout=15_000
            )
            assert call(stack.url, token) == 429


def set_up(page: Any, proxy: str) -> str:
    """By the forms alone; returns the token's text."""
    go(page, f"{M}/projects")
    page.get_by_role("link", name="New project").click()
    page.get_by_label("Name").fill("shop")
    page.get_by_role("button", name="Create project").click()
    page.get_by_text("The project shop is made").wait_for()
    go(page, f"{M}/limits/new")
    page.get_by_label("For", exact=True).select_option("project")
    page.get_by_label("Name").fill("shop")
    page.get_by_label("Amount").fill("1")
    page.get_by_label("In which time").select_option("day")
    page.get_by_role("button", name="Set limit").click()
    page.get_by_text("Project shop may make 1 request a day, from the next call on").wait_for()
    go(page, f"{M}/tokens/new?project=shop")
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Create token").click()
    assert proxy in page.locator("#s-env").inner_text()
    return str(page.locator("#secret").inner_text())


def call(proxy: str, token: str) -> int:
    """One call to the simulator by base URL; returns its status."""
    body = json.dumps(
        {"model": "sim/echo", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}
    )
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    request = urllib.request.Request(f"{proxy}/v1/chat/completions", body.encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
