"""Every form of these pages in a browser whose scripts are switched off."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.home import Home
from tests.dashboard.admin.test_browser import M, browsing, chromium, dashboard, go, pytestmark  # noqa: F401
from tests.dashboard.admin.test_cache import keep, stored


@pytest.fixture
def page(chromium: Any, tmp_path: Path) -> Iterator[Any]:  # noqa: F811
    home = Home(tmp_path / "home")
    home.ensure()
    keep(home, stored(1), stored(2, model="gpt-5"))
    with (
        dashboard(home) as settings,
        browsing(chromium, home, settings, expected=400, java_script_enabled=False) as found,
    ):
        yield found


def fill(page: Any, path: str, button: str, **fields: str) -> Any:
    """Opens a form, fills its fields by their names and presses the button; returns what is said then."""
    go(page, path)
    for name, value in fields.items():
        field = page.locator(f"main [name='{name.replace('__', '.')}']")
        match field.evaluate("one => one.type"):
            case "checkbox":
                field.set_checked(bool(value))
            case "select-one":
                field.select_option(value)
            case _:
                page.locator("details:not([open]):has([name])").evaluate_all(
                    "all => all.forEach(one => { one.open = true })"
                )
                field.fill(value)
    page.locator("main").get_by_role("button", name=button, exact=True).click()
    return page.locator(".said, .problem, h1").first.inner_text()


def test_every_form(page: Any) -> None:
    assert "is made" in fill(page, f"{M}/projects/new", "Create project", name="shop")
    assert "is changed" in fill(
        page, f"{M}/projects/shop/edit", "Save", hangup="drain", cache="on", models="gpt-5*"
    )
    assert "Copy your token now" in fill(page, f"{M}/tokens/new?project=shop", "Create token", name="ci")
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("button", name="Suspend").click()
    assert "is suspended" in page.locator(".said").inner_text()
    assert "Give this link to ada" in fill(page, f"{M}/users/new", "Create user", name="ada", role="admin")
    go(page, f"{M}/users")
    page.get_by_role("link", name="ada", exact=True).click()
    page.locator("[name=email]").fill("ada@example.com")
    page.get_by_role("button", name="Save").click()
    assert "is changed" in page.locator(".said").inner_text()
    said = fill(
        page,
        f"{M}/limits/new",
        "Set limit",
        scope="project",
        name="shop",
        measure="cost",
        amount="5",
        per="day",
        reserve="2000",
    )
    assert "Project shop may spend $5.00 a day" in said


def test_forms_of_traffic(page: Any) -> None:
    wrong = {"provider": "openai", "base_url": "http://127.0.0.1:9/v1", "secret": "sk-proj-abcdefgh"}
    fill(page, f"{M}/keys/new", "Test before storing", **wrong)
    assert "The key does not work" in page.locator("#trial").inner_text()
    page.locator("[name=try]").uncheck()
    page.get_by_role("button", name="Store key").click()
    assert "is stored" in page.locator(".said").first.inner_text()
    said = fill(page, f"{M}/routes/new", "Create route", name="safe", targets="openai/gpt-5-mini")
    assert "counts from the next call" in said
    fill(page, f"{M}/routes/explain", "Explain", model="gpt-5")
    assert "The route safe takes it" in page.locator("main").inner_text()
    said = fill(page, f"{M}/aliases/edit", "Create alias", name="fast", target="openai/gpt-5-mini")
    assert "fast leads to" in said
    said = fill(page, "/-/llm/listeners/new", "Create listener", name="team", start="")
    assert "is made. It is stopped" in said
    said = fill(page, "/-/llm/listeners/team/edit", "Save", name="team", cache="on")
    assert "The listener team is changed" in said
    rates = {"error_injection__enabled": "yes", "error_injection__error_rates": "429 = 0.1"}
    said = fill(page, f"{M}/failures/listener/team/edit", "Save", **rates)
    assert "For the listener team is simulated" in said
    go(page, f"{M}/failures")
    page.get_by_role("link", name="Reset: listener team").click()
    page.get_by_role("button", name="Reset").click()
    assert "Nothing is simulated" in page.locator(".said").inner_text()


def test_stored_answers(page: Any) -> None:
    go(page, f"{M}/cache")
    page.locator("[name=model]").fill("gpt-5")
    page.get_by_role("button", name="Filter").click()
    page.locator("main td.name a").click()
    assert "Sunny" in page.locator(".message").inner_text()
    page.get_by_role("link", name="Delete").click()
    assert page.locator("h1").inner_text() == "Delete one stored answer?"
    page.get_by_role("button", name="Delete").click()
    assert "One stored answer is deleted" in page.locator(".said").inner_text()
    page.get_by_role("link", name="Delete all").click()
    page.get_by_role("button", name="Delete").click()
    assert "No stored answers yet" in page.locator("main").inner_text()


def test_forms_of_the_house_and_of_oneself(page: Any) -> None:
    fill(page, f"{M}/maintenance/backup", "Make the backup")
    page.get_by_role("heading", name="Backup made and checked").wait_for(timeout=30_000)
    fill(page, f"{M}/maintenance/cleanup", "Clean up")
    page.get_by_role("heading", name="Cleanup done").wait_for(timeout=30_000)
    go(page, f"{M}/audit")
    page.get_by_role("button", name="Verify").click()
    assert "rows are as they were written" in page.locator(".said").inner_text()
    go(page, f"{M}/audit?action=backup.")
    page.locator("td.name a").first.click()
    assert "backup.create" in page.locator("h1").inner_text()
    fill(page, "/-/llm/account", "Make the token", name="monitor", scope="usage")
    assert page.locator("#secret").inner_text().startswith("llm_api_")
    page.get_by_role("button", name="Revoke: monitor").click()
    assert "revoked" in page.locator("main").inner_text()
