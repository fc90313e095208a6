"""The official SDKs through HTTPS_PROXY and through base URLs: rows equal what the SDK reported."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.stack import CLEAN, Stack

CALLS = Path(__file__).with_name("sdk_calls.py")


@dataclass(frozen=True)
class Call:
    """One call that `sdk_calls.py` can make, and what its row must say."""

    name: str
    provider: str
    operation: str
    dialect: str
    stream: bool
    metered: bool = True


CASES = [
    Call("openai_chat", "openai", "chat", "openai_chat", False),
    Call("openai_chat_stream", "openai", "chat", "openai_chat", True),
    Call("openai_chat_stream_usage", "openai", "chat", "openai_chat", True),
    Call("openai_responses", "openai", "responses", "openai_responses", False),
    Call("openai_responses_stream", "openai", "responses", "openai_responses", True),
    Call("openai_embeddings", "openai", "embeddings", "openai_embeddings", False),
    Call("openai_models", "openai", "models", "observe", False, metered=False),
    Call("anthropic_messages", "anthropic", "messages", "anthropic", False),
    Call("anthropic_messages_stream", "anthropic", "messages", "anthropic", True),
    Call("anthropic_count_tokens", "anthropic", "count_tokens", "anthropic", False, metered=False),
    Call("gemini_generate", "gemini", "generate", "gemini", False),
    Call("gemini_generate_stream", "gemini", "generate", "gemini", True),
    Call("bedrock_converse", "bedrock", "converse", "bedrock_converse", False),
    Call("bedrock_converse_stream", "bedrock", "converse", "bedrock_converse", True),
    Call("bedrock_invoke", "bedrock", "invoke", "bedrock_invoke", False),
    Call("bedrock_invoke_stream", "bedrock", "invoke", "bedrock_invoke", True),
    Call("azure_chat", "azure", "chat", "openai_chat", False),
    Call("azure_chat_stream", "azure", "chat", "openai_chat", True),
]


@pytest.fixture(scope="module")
def credentials(stack: Stack) -> dict[str, str]:
    token = json.loads(stack.cli("token", "create", "--project", "demo", "--name", "sdk", "--json"))
    pair = json.loads(stack.cli("token", "create", "--project", "demo", "--name", "aws", "--aws", "--json"))
    bundle = stack.cli("ca", "path").strip()
    return {
        "TOKEN": token["token"],
        "AWS_ACCESS_KEY_ID": pair["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": pair["secret_access_key"],
        "BUNDLE": bundle,
    }


def call(stack: Stack, name: str, entry: str, credentials: dict[str, str]) -> dict[str, object]:
    """Makes the call in a process of its own, with nothing in its environment but what a user would set."""
    env = {**CLEAN, **credentials, "GATEWAY": stack.url, "ENTRY": entry, "AWS_EC2_METADATA_DISABLED": "true"}
    if entry == "connect":
        bundle = credentials["BUNDLE"]
        env |= {"HTTPS_PROXY": stack.url, "SSL_CERT_FILE": bundle, "AWS_CA_BUNDLE": bundle}
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [sys.executable, str(CALLS), name],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=stack.home,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:] + stack.processes["proxy"].output()
    result: dict[str, object] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("entry", ["connect", "base_url"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rows_equal_what_the_sdk_reported(stack: Stack, credentials: dict[str, str], case: Call, entry: str):
    since = stack.last_id()
    reported = call(stack, case.name, entry, credentials)
    (row,) = stack.rows(1, since)
    assert (row["provider"], row["operation"], row["dialect"]) == (
        case.provider,
        case.operation,
        case.dialect,
    )
    assert (row["entry"], row["outcome"], row["status"], row["stream"]) == (
        entry,
        "ok",
        200,
        int(case.stream),
    )
    assert row["project"] == "demo"
    assert row["attempts"] == 1
    if case.metered:
        assert row["usage_source"] == "provider"
        assert [row["input_tokens"], row["output_tokens"]] == reported["usage"]
        assert row["model_requested"] == reported["model"]
    else:
        assert row["usage_source"] == ""
    attempts = stack.query("SELECT * FROM attempts WHERE request_id = ?", row["id"])
    assert [a["status"] for a in attempts] == [200]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_provider_sees_its_key_and_never_a_token(stack: Stack, credentials: dict[str, str], case: Call):
    call(stack, case.name, "base_url", credentials)
    seen = json.dumps(stack.received()[-1])
    assert credentials["TOKEN"] not in seen
    assert credentials["AWS_ACCESS_KEY_ID"] not in seen
    real = "AKIAREALREALREAL0001" if case.provider == "bedrock" else f"real-{case.provider}-key-0123456789"
    assert real in seen


def test_hashes_tell_whether_the_body_was_changed(stack: Stack, credentials: dict[str, str]):
    since = stack.last_id()
    call(stack, "openai_chat", "connect", credentials)
    call(stack, "openai_chat_stream", "connect", credentials)
    call(stack, "openai_chat_stream_usage", "connect", credentials)
    plain, injected, asked = stack.rows(3, since)
    assert plain["request_sha256"] == plain["upstream_sha256"] != ""
    assert asked["request_sha256"] == asked["upstream_sha256"]
    assert injected["request_sha256"] != injected["upstream_sha256"]
    assert "stream_options.include_usage" in injected["changes"]
    received = [r["body_sha256"] for r in stack.received()[-3:]]
    assert received == [plain["upstream_sha256"], injected["upstream_sha256"], asked["upstream_sha256"]]


def test_environment_of_this_machine_does_not_leak_into_the_tests():
    assert not any(name in CLEAN for name in os.environ if "CERT" in name or "BUNDLE" in name)
