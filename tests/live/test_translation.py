"""Calls led to other providers by their model's name: the official SDKs talk to every other dialect."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.stack import CLEAN, ROOT, Stack, running

LOOPS = Path(__file__).with_name("tool_loops.py")
TARGETS = {
    "to-openai": ("openai", "gpt-4o"),
    "to-anthropic": ("anthropic", "claude-sonnet-4-5"),
    "to-gemini": ("gemini", "gemini-2.5-flash"),
    "to-bedrock": ("bedrock", "amazon.nova-pro-v1:0"),
    "to-groq": ("groq", "llama-3.3-70b-versatile"),
}
FURTHER = {
    "to-responses": ("openai", "gpt-5-codex", "openai_responses"),
    "to-ollama": ("ollama", "qwen3:8b", "ollama"),
    "to-claude-on-bedrock": ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock_converse"),
}
"""Dialects that a provider serves for some models only, or that no official SDK is for."""
KEPT = {("openai_chat", "to-ollama")}  # which serves it too
DIALECTS = {
    "openai": "openai_chat",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock": "bedrock_converse",
    "groq": "openai_chat",
}
CLIENTS = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock_converse": "bedrock",
}
SAME = {
    "openai_chat": ("openai", "groq", "gemini"),  # Gemini and Groq serve OpenAI's dialects too
    "openai_responses": ("openai", "groq"),
    "anthropic": ("anthropic",),
    "gemini": ("gemini",),
    "bedrock_converse": ("bedrock",),
}
"""Providers that serve the client's own dialect: nothing is translated there."""
FATES = ("error-429", "error-500", "error-overloaded", "cut")


def config() -> str:
    lines = [f'"{alias}" = "{to[0]}/{to[1]}"' for alias, to in (TARGETS | FURTHER).items()]
    lines += [f'"{fate}-{name}" = "{name}/{_named(name, fate)}"' for name in DIALECTS for fate in FATES]
    return "[models.aliases]\n" + "\n".join(lines) + "\n"


def _named(provider: str, fate: str) -> str:
    """The simulator's own models, with a separator that the provider's paths let through."""
    return f"sim.{fate}" if provider in ("gemini", "bedrock") else f"sim/{fate}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("home"), config=config()) as started:
        yield started


@pytest.fixture(scope="module")
def environment(stack: Stack) -> dict[str, str]:
    token = json.loads(stack.cli("token", "create", "--project", "demo", "--name", "sdk", "--json"))
    pair = json.loads(stack.cli("token", "create", "--project", "demo", "--name", "aws", "--aws", "--json"))
    keys = {"AWS_ACCESS_KEY_ID": pair["access_key_id"], "AWS_SECRET_ACCESS_KEY": pair["secret_access_key"]}
    places = {
        "GATEWAY": stack.url,
        "ENTRY": "base_url",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return {**CLEAN, **keys, **places, "TOKEN": token["token"], "AWS_EC2_METADATA_DISABLED": "true"}


def run(stack: Stack, environment: dict[str, str], *arguments: str, call: str = "") -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(LOOPS), *arguments],
        env=environment | ({"CALL": call} if call else {}),
        capture_output=True, text=True, timeout=120, cwd=stack.home, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:] + stack.processes["proxy"].output()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("client", CLIENTS)
def test_a_conversation_with_tools(stack: Stack, environment: dict[str, str], client: str) -> None:
    since = stack.last_id()
    talks = run(stack, environment, client, *TARGETS)
    turns = [(name.split(), turn) for name, talk in talks.items() for turn in talk]
    rows = stack.rows(len(turns), since)
    assert len(rows) == len(turns)
    for ((alias, streamed), turn), row in zip(turns, rows, strict=True):
        provider, model = TARGETS[alias]
        assert (row["provider"], row["model"], row["model_requested"]) == (provider, model, alias)
        assert (row["stream"], row["outcome"], row["status"]) == (streamed == "True", "ok", 200)
        assert [row["input_tokens"], row["output_tokens"]] == turn["usage"]
        _names_what_changed(row, client, provider)
    for name, talk in talks.items():
        _is_a_conversation(name, talk)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_conversation_with_tools_in_the_further_dialects(
    stack: Stack, environment: dict[str, str], client: str
) -> None:
    since = stack.last_id()
    talks = run(stack, environment, client, *FURTHER)
    turns = [(name.split(), turn) for name, talk in talks.items() for turn in talk]
    rows = stack.rows(len(turns), since)
    for ((alias, streamed), turn), row in zip(turns, rows, strict=True):
        provider, model, dialect = FURTHER[alias]
        assert (row["provider"], row["model"], row["model_requested"]) == (provider, model, alias)
        assert (row["stream"], row["outcome"], row["status"]) == (streamed == "True", "ok", 200)
        assert (row["usage_source"], row["input_tokens"], row["output_tokens"]) == (
            "provider",
            *turn["usage"],
        )
        translated = f"dialect: {client} -> {dialect}" in json.loads(row["changes"])
        assert translated is (client != dialect and (client, alias) not in KEPT)
    for name, talk in talks.items():
        _is_a_conversation(name, talk)


def _names_what_changed(row: dict[str, Any], client: str, provider: str) -> None:
    changed = json.loads(row["changes"])
    if provider != CLIENTS[client]:
        assert f"provider: {CLIENTS[client]} -> {provider}" in changed
    told = [change for change in changed if change.startswith("dialect: ")]
    wanted = [] if provider in SAME[client] else [f"dialect: {client} -> {DIALECTS[provider]}"]
    assert told == wanted


def _is_a_conversation(name: str, talk: list[dict[str, Any]]) -> None:
    first, last = talk[0], talk[-1]
    assert [(called, args) for _, called, args in first["calls"]] == [
        ("get_weather", {"city": first["calls"][0][2]["city"]}),
        ("get_time", {"city": first["calls"][1][2]["city"]}),
    ], name
    ids = [call_id for call_id, _, _ in first["calls"]]
    assert len(set(ids)) == 2 or ids == ["", ""], name
    again = next(turn for turn in talk[2:] if turn["calls"] and not turn["text"])
    assert again["calls"][-1][1] == "get_time"
    assert not last["calls"]
    assert "result of get_time" in last["text"], name


STATUS = {
    "error-429": {"openai": 429, "anthropic": 429, "gemini": 429, "bedrock": 429},
    "error-500": {"openai": 500, "anthropic": 500, "gemini": 500, "bedrock": 500},
    "error-overloaded": {"openai": 503, "anthropic": 529, "gemini": 503, "bedrock": 503},
}
RAISED = {
    "error-429": {
        "openai": "RateLimitError", "anthropic": "RateLimitError",
        "gemini": "ClientError", "bedrock": "ThrottlingException",
    },
    "error-500": {
        "openai": "InternalServerError", "anthropic": "InternalServerError",
        "gemini": "ServerError", "bedrock": "InternalServerException",
    },
    "error-overloaded": {
        "openai": "InternalServerError", "anthropic": "OverloadedError",
        "gemini": "ServerError", "bedrock": "ServiceUnavailableException",
    },
}  # fmt: skip


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("fate", STATUS)
def test_errors_are_typed(stack: Stack, environment: dict[str, str], client: str, fate: str) -> None:
    others = [name for name in DIALECTS if name not in SAME[client]]
    since = stack.last_id()
    found = run(stack, environment, client, *(f"{fate}-{name}" for name in others), call="error")
    speaks = CLIENTS[client]
    for name, error in found.items():
        assert (error["name"], error["status"]) == (RAISED[fate][speaks], STATUS[fate][speaks]), (name, error)
        assert bool(error["wait"]) == (fate == "error-429"), name
    rows = stack.rows(len(found), since)
    if client != "bedrock_converse":  # boto3 tries again by itself
        assert len(rows) == len(found)
    assert {row["outcome"] for row in rows} == {"client_error" if fate == "error-429" else "provider_error"}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_stream_that_breaks_ends_with_an_error(
    stack: Stack, environment: dict[str, str], client: str
) -> None:
    others = [name for name in DIALECTS if name not in SAME[client]]
    since = stack.last_id()
    found = run(stack, environment, client, *(f"cut-{name}" for name in others), call="error")
    for name, error in found.items():
        assert error["name"], (name, error)
        assert error["name"] not in ("APIConnectionError", "RemoteProtocolError", "ReadError"), (name, error)
        if name.endswith("False"):
            assert error["status"] == 502
    rows = stack.rows(len(found), since)
    if client != "bedrock_converse":
        assert len(rows) == len(found)
    assert {row["outcome"] for row in rows} == {"upstream_cut"}, [row["outcome"] for row in rows]
