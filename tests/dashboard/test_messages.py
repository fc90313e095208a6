"""A message that waits to be shown, and what is downloaded meanwhile."""

from typing import Any

import pytest

from llm_intercept.home import Home
from llm_intercept.store.migrate import connect
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.usage import write_batch
from tests.dashboard.conftest import NOW, Visitor, log_in

M = "/-/llm/manage"
CALL = RequestRow(NOW - 1, "01970000-0000-7000-8000-000000000001", provider="openai", project="default")


@pytest.fixture
def waiting(visit: Any, empty: Home) -> Visitor:
    connection = connect(empty.usage_db)
    write_batch(connection, [CALL])
    connection.close()
    visitor: Visitor = visit(empty)
    log_in(visitor, empty)
    assert visitor.post(f"{M}/projects/new", data={"name": "team"}).status_code == 303
    assert "ds_messages" in visitor.cookies
    return visitor


@pytest.mark.parametrize(
    "path",
    [
        "/usage/requests.csv",
        "/usage/requests.csv?_stream=on",
        f"/usage/requests/{CALL.id}.csv",
        "/usage/by-day.csv",
        "/usage/-/query.csv?sql=select+1",
        "/-/llm/export.csv",
        "/-/llm/export.ndjson",
        f"{M}/audit/export.csv",
        f"{M}/audit/export.ndjson",
    ],
)
def test_a_download_is_whole_and_the_message_waits_on(waiting: Visitor, path: str) -> None:
    before = dict(waiting.cookies)
    answer = waiting.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.text
    assert "set-cookie" not in answer.headers
    assert waiting.cookies == before
    page = waiting.get(f"{M}/projects")
    assert "The project team is made" in page.text
    assert page.cookies.get("ds_messages", "") == ""
