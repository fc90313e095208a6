"""What fails on purpose is told apart: on the first page, in the list of calls, on the page of a call."""

import re
from contextlib import closing
from typing import Any

import pytest

from llm_intercept.home import Home
from llm_intercept.policy.failures import Failures
from llm_intercept.store.control import Control
from llm_intercept.store.migrate import connect
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.usage import write_batch
from llm_intercept.vault import Vault
from tests.dashboard.conftest import NOW, Visitor, log_in

KINDS = {1: "", 2: "timeout", 3: "response_delay,stream_cut", 4: "stream_cut"}


@pytest.fixture
def visitor(visit: Any, empty: Home) -> Visitor:
    made = [
        RequestRow(
            id=NOW - number * 1_000_000,
            request_id=f"0190-{number}",
            provider="openai",
            model=f"model-{number}",
            outcome="ok",
            status=200,
            failure=failure,
            simulated=int(bool(failure)),
        )
        for number, failure in KINDS.items()
    ]
    with closing(connect(empty.usage_db)) as connection:
        write_batch(connection, made)
    found: Visitor = visit(empty)
    log_in(found, empty)
    return found


def simulate(home: Home, failures: Failures) -> None:
    control = Control(home.control_db, Vault.load(home.secret_key, {}))
    control.failures.set("project", "default", failures)
    control.close()


def test_the_first_page_says_what_is_simulated(visitor: Visitor, empty: Home) -> None:
    assert "Failures are simulated" not in visitor.get("/").text
    errors = {"enabled": True, "error_rates": {"500": 0.5}}
    simulate(empty, Failures.model_validate({"error_injection": errors}))
    text = visitor.get("/").text
    assert "Failures are simulated" in text
    assert "project <b>default</b>: 50 % get 500" in text
    assert "llm-intercept failure reset --project default" in text
    simulate(empty, Failures.model_validate({"error_injection": errors | {"enabled": False}}))
    assert "Failures are simulated" not in visitor.get("/").text


@pytest.mark.parametrize(
    ("failure", "numbers"),
    [("", [1, 2, 3, 4]), ("any", [2, 3, 4]), ("stream_cut", [3, 4]), ("response_delay", [3]), ("cut", [])],
)
def test_the_list_is_filtered_by_it(visitor: Visitor, failure: str, numbers: list[int]) -> None:
    text = visitor.get(f"/-/llm/requests?since=24h&failure={failure}").text
    assert [int(found) for found in re.findall(r"<td>model-(\d)", text)] == numbers
    assert f"<b>{len(numbers)}</b> requests" in text


def test_calls_are_marked(visitor: Visitor) -> None:
    text = visitor.get("/-/llm/requests?since=24h").text
    assert len(re.findall(r'<span class="badge warn">simulated</span>', text)) == 3
    assert "response delay, stream cut" in text
    assert "simulated: response delay, stream cut" in visitor.get("/-/llm/requests/0190-3").text
    assert "simulated:" not in visitor.get("/-/llm/requests/0190-1").text
