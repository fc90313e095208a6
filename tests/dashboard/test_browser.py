"""The dashboard as a person meets it: a real server, headless Chromium, clicks."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.seed import fill
from llm_intercept.cli.dashboard import login_link, serve_arguments
from llm_intercept.home import Home
from llm_intercept.settings import Settings
from llm_intercept.store.migrate import connect
from llm_intercept.store.pools import BreakerRow, Changes, write_changes
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.usage import write_batch

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Settings]]:
    home = Home(tmp_path_factory.mktemp("served"))
    fill(home, 2000, 10, time.time_ns() // 1000)
    settings = Settings.model_validate({"dashboard": {"port": free_port()}})
    argv, env = serve_arguments(home, settings, settings.dashboard.port)
    with subprocess.Popen(argv, env={**os.environ, **env}, stderr=subprocess.DEVNULL) as process:
        wait_for(settings.dashboard.port)
        yield home, settings
        process.terminate()
        process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the dashboard does not start"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, served: tuple[Home, Settings]) -> Iterator[Any]:
    """Logged in, on the overview; fails the test if the console saw an error."""
    context = chromium.new_context(viewport={"width": 1360, "height": 900}, color_scheme="light")
    opened = context.new_page()
    problems: list[str] = []
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto(login_link(*served))
    yield opened
    context.close()
    assert problems == []


def address(page: Any) -> str:
    """Path and query of where the page is."""
    return "/" + str(page.url).split("/", 3)[3]


def test_from_the_link_through_all_pages(page: Any) -> None:
    assert address(page) == "/"
    assert page.locator(".chart canvas").count() == 2
    page.get_by_role("link", name="Model", exact=True).click()
    page.wait_for_url("**by=model")
    page.get_by_role("link", name="30d").click()
    page.wait_for_url("**range=30d**")
    assert page.locator(".chart canvas").count() == 2
    page.locator("#feed tr").nth(1).click()
    page.wait_for_url("**/-/llm/requests/*")
    assert page.get_by_text("Where the time went").is_visible()
    page.locator(".main-nav").get_by_role("link", name="Requests").click()
    page.locator("select[name=outcome]").select_option("error")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**outcome=error**")
    assert page.locator(".calls .badge.good").count() == 0
    for name in ("Targets", "Reports", "Data", "Overview"):
        page.locator(".main-nav").get_by_role("link", name=name).click()
        assert page.locator(".main-nav a[aria-current]").inner_text() == name


def test_a_call_appears_while_one_looks(page: Any, served: tuple[Home, Settings]) -> None:
    assert page.locator("#live").inner_text() == "live"
    connection = connect(served[0].usage_db)
    row = RequestRow(
        time.time_ns() // 1000, "0197-1", project="just-now", model="new", outcome="ok", status=200
    )
    write_batch(connection, [row])
    connection.close()
    page.get_by_text("just-now").wait_for(timeout=10_000)
    assert page.locator("#feed tr.fresh").count() == 1


def test_a_breaker_is_reset_with_a_button(page: Any, served: tuple[Home, Settings]) -> None:
    now = time.time_ns() // 1000
    opened = BreakerRow("openai", "main", "gpt-5", "open", 5, "503", now + 30_000_000, 1, now)
    connection = connect(served[0].usage_db)
    write_changes(connection, Changes(breakers={("openai", "main", "gpt-5"): opened}), now)
    connection.close()
    page.locator(".main-nav").get_by_role("link", name="Targets").click()
    page.wait_for_url("**/-/llm/targets")
    page.get_by_role("button", name="Reset").click()
    page.get_by_text("asked for; the proxy does it").wait_for(timeout=10_000)
    assert address(page) == "/-/llm/targets"


def test_the_theme_button_remembers(page: Any) -> None:
    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = background()
    page.locator("#theme").click()
    dark = background()
    assert dark != light
    page.reload()
    assert background() == dark
    page.locator("#theme").click()
    assert background() == light


@pytest.mark.parametrize(
    "path", ["/", "/-/llm/requests", "/-/llm/targets", "/usage/by-model", "/usage", "/usage/requests"]
)
def test_nothing_is_cut_off_on_a_phone(page: Any, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/", 3)[2] + path)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_pages_work_without_scripts(chromium: Any, served: tuple[Home, Settings]) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(login_link(*served))
    assert page.locator("#feed tr").count() == 12
    assert page.get_by_text("The chart needs JavaScript").count() == 2
    page.locator("#feed tr a").nth(1).click()
    assert page.get_by_text("Where the time went").is_visible()
    context.close()


def test_the_empty_page_fills_by_itself(chromium: Any, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.ensure()
    settings = Settings.model_validate({"dashboard": {"port": free_port()}})
    argv, env = serve_arguments(home, settings, settings.dashboard.port)
    with subprocess.Popen(argv, env={**os.environ, **env}, stderr=subprocess.DEVNULL) as process:
        wait_for(settings.dashboard.port)
        context = chromium.new_context()
        page = context.new_page()
        page.goto(login_link(home, settings))
        assert page.get_by_text("No calls yet").is_visible()
        connection = connect(home.usage_db)
        write_batch(connection, [RequestRow(time.time_ns() // 1000, "0197-1", project="first", outcome="ok")])
        connection.close()
        page.locator("#feed").get_by_text("first").wait_for(timeout=10_000)
        context.close()
        process.terminate()
        process.wait(20)
