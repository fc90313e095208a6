"""`route test` against a running proxy: what is set counts for the next call, and each attempt is shown."""

import json
from typing import Any

import pytest

from tests.live.stack import Stack


@pytest.fixture(scope="module", autouse=True)
def routes(stack: Stack) -> None:
    stack.cli("key", "add", "openai", "--key-stdin", "--name", "second", stdin="real-openai-key-second-0123")
    stack.cli("route", "set", "other", "--model", "gpt-5", "--to", "groq/openai/gpt-oss-20b")
    stack.cli("route", "set", "small", "--project", "demo", "--to", "/gpt-5-mini")


def tried(stack: Stack, *words: str) -> dict[str, Any]:
    return dict(json.loads(stack.cli("route", "test", *words, "--json")))


def test_a_route_by_its_name(stack: Stack) -> None:
    found = tried(stack, "other")
    assert (found["status"], found["route"], found["expected_route"]) == (200, "other", "other")
    assert [(t["provider"], t["model"], t["status"]) for t in found["tries"]] == [
        ("groq", "openai/gpt-oss-20b", 200)
    ]
    assert found["tries"][0]["reason"] == "the only target"


def test_a_route_of_a_project(stack: Stack) -> None:
    found = tried(stack, "small", "--model", "gpt-4o")
    assert (found["project"], found["route"], found["tries"][0]["model"]) == ("demo", "small", "gpt-5-mini")


@pytest.mark.parametrize(
    ("model", "provider", "dialect"),
    [
        ("claude-sonnet-4-5", "anthropic", "anthropic"),
        ("gemini-2.5-flash", "gemini", "gemini"),
        ("gpt-4o", "openai", "openai_chat"),
    ],
)
def test_a_model_without_a_route(stack: Stack, model: str, provider: str, dialect: str) -> None:
    found = tried(stack, model)
    assert (found["status"], found["route"], found["provider"]) == (200, "", provider)
    assert found["dialect"] == dialect


def test_in_words(stack: Stack) -> None:
    said = stack.cli("route", "test", "other")
    assert "gpt-5: 200 by the route other, 1 attempt, " in said
    assert "groq/openai/gpt-oss-20b" in said


def test_a_call_that_the_route_does_not_take(stack: Stack) -> None:
    said = stack.cli("route", "test", "other", "--model", "gpt-4o")
    assert "other did not take the call: `llm-intercept route explain gpt-4o` says why" in said


def test_no_token_is_left_over(stack: Stack) -> None:
    tried(stack, "other")
    left = json.loads(stack.cli("token", "list", "--json"))
    assert [token["name"] for token in left if token["name"].startswith("route-test")] == []


def test_a_call_that_fails(stack: Stack) -> None:
    """No key of this provider is stored, so there is nowhere to go."""
    stack.cli("route", "set", "nowhere", "--model", "gpt-nowhere", "--to", "xai/grok-4")
    found = json.loads(stack.cli("route", "test", "nowhere", "--json", check=False))
    assert (found["status"], found["outcome"], found["tries"]) == (403, "refused", [])
    assert "key" in found["error"]
