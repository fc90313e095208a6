"""What happens at the doors of a running proxy is in the audit log, and in its file."""

import http.client
import json
import time
from typing import Any

import pytest

from tests.live.stack import Stack, free_port, wait_for

CHAT = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]})
PATH = "/v1/chat/completions"


def ask(stack: Stack, token: str, *, port: int = 0) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port or stack.port, timeout=20)
    try:
        headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        connection.request("POST", f"{PATH}?key=not-to-be-seen", CHAT, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def tunnel(stack: Stack, token: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=20)
    try:
        connection.request(
            "CONNECT", "api.openai.com:443", headers={"proxy-authorization": f"Bearer {token}"}
        )
        return connection.getresponse().status
    finally:
        connection.close()


def made(stack: Stack, name: str, *more: str) -> str:
    out = stack.cli("token", "create", "--project", "demo", "--name", name, *more, "--json")
    return str(json.loads(out)["token"])


def found(stack: Stack, count: int, since: int, *filters: str) -> list[dict[str, Any]]:
    """Oldest first, once so many are there."""

    def look() -> list[dict[str, Any]]:
        rows = json.loads(stack.cli("audit", "list", "--json", "--limit", "1000", *filters))["rows"]
        return [row for row in reversed(rows) if row["id"] > since]

    return wait_for(lambda: (rows := look()) and len(rows) >= count and rows, f"{count} rows of {filters}")


@pytest.fixture
def since() -> int:
    return time.time_ns() // 1000


def test_a_revoked_token_is_named(stack: Stack, since: int) -> None:
    token = made(stack, "revoked")
    assert ask(stack, token) == 200
    stack.cli("token", "revoke", "revoked", "--project", "demo")
    assert ask(stack, token) == 401
    (row,) = found(stack, 1, since, "--action", "token.refused")
    assert row["object"]["name"] == "demo/revoked"
    assert row["object"]["id"].startswith("tok_")
    assert (row["outcome"], row["source"]) == ("denied", "127.0.0.1")
    call = stack.rows(2, since)[-1]
    assert row["request_id"] == call["request_id"]
    assert found(stack, 1, since, "--request-id", call["request_id"]) == [row]
    assert row["detail"].startswith(f"token_revoked: POST {PATH}: ")
    said = json.dumps(row)
    assert token not in said
    assert "not-to-be-seen" not in said


def test_a_token_nobody_knows_and_one_at_the_tunnel(stack: Stack, since: int) -> None:
    token = made(stack, "tunnelled")
    stack.cli("token", "revoke", "tunnelled", "--project", "demo")
    assert tunnel(stack, token) == 407
    assert ask(stack, token[:-1] + ("A" if token[-1] != "A" else "B")) == 401
    rows = found(stack, 2, since, "--action", "token.refused")
    assert [row["object"]["name"] for row in rows] == ["demo/tunnelled", ""]
    assert [row["detail"].partition(":")[0] for row in rows] == ["token_revoked", "token_mistyped"]


def test_a_limit_that_refuses(stack: Stack, since: int) -> None:
    token = made(stack, "limited")
    stack.cli("limit", "set", "--token", "demo/limited", "--requests", "1", "--per", "hour")
    assert [ask(stack, token) for _ in range(4)] == [200, 429, 429, 429]
    (row,) = found(stack, 1, since, "--action", "limit.refused")
    assert (row["outcome"], row["after"]["amount"]) == ("denied", 1)
    assert row["object"]["kind"] == "limit"
    thresholds = found(stack, 1, since, "--action", "limit.threshold")
    assert thresholds[-1]["after"]["percent"] == 100


def test_listeners_that_start_and_stop(stack: Stack, since: int) -> None:
    port = free_port()
    stack.cli("listener", "create", "side", "--port", str(port), "--start")
    stack.cli("listener", "stop", "side")
    rows = found(stack, 5, since, "--kind", "listener")
    by_whom = [(row["action"], row["actor"]["kind"]) for row in rows]
    assert sorted(by_whom) == [
        ("listener.create", "cli"),
        ("listener.running", "proxy"),
        ("listener.start", "cli"),
        ("listener.stop", "cli"),
        ("listener.stopped", "proxy"),
    ]


def test_a_flood_is_counted_and_the_log_is_whole(stack: Stack, since: int) -> None:
    token = made(stack, "flood")
    stack.cli("token", "revoke", "flood", "--project", "demo")
    assert {ask(stack, token) for _ in range(60)} == {401}
    stack.processes["proxy"].stop()  # says what was left out
    rows = found(stack, 1, since, "--action", "token.refused", "--source", "127.0.0.1")
    left = [int(row["detail"].split()[0]) for row in rows if "more of token.refused" in row["detail"]]
    assert sum(left) + len(rows) - len(left) >= 60
    assert len(rows) <= 45
    assert "The audit log is whole" in stack.cli("audit", "verify")
    stack.start_proxy()
