"""Captured requests of Claude Code and Codex for models of every dialect: no warning without explanation."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_intercept.policy.facts import Facts
from llm_intercept.providers import Registry
from llm_intercept.resources import model_catalogue
from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context
from llm_intercept.wire.translation import Side, Translation
from tests.wire.pair_requests import differences, valid

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT.parent / "shared" / "captures"
DOCS = ROOT / "docs" / "translation-warnings.md"
TARGETS = [
    ("openai_chat", "openai", "gpt-4o"),
    ("openai_chat", "openai", "gpt-5"),
    ("openai_chat", "deepseek", "deepseek-chat"),
    ("openai_chat", "openrouter", "anthropic/claude-sonnet-4.5"),
    ("openai_chat", "groq", "llama-3.3-70b-versatile"),
    ("openai_chat", "mistral", "mistral-large-latest"),
    ("openai_responses", "openai", "gpt-5"),
    ("anthropic", "anthropic", "claude-sonnet-4-5"),
    ("anthropic", "anthropic", "claude-opus-4-8"),
    ("gemini", "gemini", "gemini-2.5-flash"),
    ("gemini", "gemini", "gemini-3-pro-preview"),
    ("bedrock_converse", "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("bedrock_converse", "bedrock", "amazon.nova-pro-v1:0"),
    ("ollama", "ollama", "qwen3:8b"),
    ("openai_completions", "openai", "gpt-3.5-turbo-instruct"),
]


@dataclass(frozen=True)
class Call:
    name: str
    dialect: str
    body: Any


def _calls() -> Iterator[Call]:
    for path in sorted(CAPTURES.glob("c*.json")):
        for place, call in enumerate(json.loads(path.read_text())):
            body = call.get("body") or (call.get("message") if call.get("from_client") else None)
            dialect = _dialect(call.get("path", ""), body)
            if dialect:
                asked = {name: value for name, value in body.items() if name != "type"}
                yield Call(f"{path.stem}-{place}", dialect, asked)


def _dialect(path: str, body: Any) -> str:
    if not isinstance(body, dict) or "count" in path:
        return ""
    if body.get("messages"):
        return "anthropic"
    return "openai_responses" if body.get("input") else ""


CALLS = list(_calls())


@cache
def facts() -> Facts:
    return Facts(Registry().providers, model_catalogue)


@cache
def explained() -> tuple[re.Pattern[str], ...]:
    """The first column of the tables in the documentation."""
    rows = re.findall(r"^\| `(.+?)` \|", DOCS.read_text(), re.MULTILINE)
    return tuple(re.compile(".*".join(map(re.escape, row.split("*")))) for row in rows)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_agents_lose_nothing_unexplained(call: Call) -> None:
    for dialect, provider, model in TARGETS:
        if dialect == call.dialect:
            continue
        context = Context(target=facts().target(provider, model), now=1.0)
        one = Translation(Side(call.dialect), Side(dialect), context, stream=True)
        request = replace(one.read(orjson.dumps(call.body), "", True), model=model)
        context.request = request
        body = one.encode(request).body
        valid(
            dialect,
            {name: value for name, value in body.items() if provider != "openrouter" or name != "reasoning"},
        )
        again = codecs.get(dialect).decode_request(orjson.loads(orjson.dumps(body)), model, True)
        assert not list(differences(request, again, dialect, context.warnings))
        unknown = [w for w in context.warnings if not any(row.fullmatch(w) for row in explained())]
        assert not unknown, (model, unknown)


def test_the_documentation_explains_warnings() -> None:
    assert len(explained()) > 25
