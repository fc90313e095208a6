"""The official Google SDK against the simulator: Gemini, and Vertex's paths."""

from collections.abc import Iterator
from typing import Any

import google.auth.credentials
import pytest
from google import genai
from google.genai import errors, types

from llm_intercept.sim.running import Running
from llm_intercept.sim.tokens import count, weigh_messages

TEXT = "Say something extraordinary"
CONTENTS = [{"parts": [{"text": TEXT}], "role": "user"}]


class Token(google.auth.credentials.Credentials):
    """A bearer token that needs no network."""

    def refresh(self, request: Any) -> None:
        self.token = "t"


@pytest.fixture(params=["gemini", "vertex"])
def client(sim: Running, request: pytest.FixtureRequest) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=sim.address)
    if request.param == "gemini":
        client = genai.Client(api_key="k", http_options=options)
    else:
        client = genai.Client(
            vertexai=True, project="p", location="us-central1", credentials=Token(), http_options=options
        )
    with client:
        yield client


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"max_output_tokens": 2},
        {"candidate_count": 2},
        {"thinking_config": {"include_thoughts": True}},
        {"thinking_config": {"thinking_budget": 100}},
    ],
)
def test_stream_and_whole_agree(client: genai.Client, config: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"model": "gemini-2.5-flash", "contents": TEXT, "config": config}
    whole = client.models.generate_content(**asked)
    chunks = list(client.models.generate_content_stream(**asked))
    assert "".join(c.text or "" for c in chunks) == whole.text
    last, usage = chunks[-1].usage_metadata, whole.usage_metadata
    assert last is not None
    assert usage is not None
    for name in ("prompt_token_count", "candidates_token_count", "thoughts_token_count", "total_token_count"):
        assert getattr(last, name) == getattr(usage, name), name
    assert usage.prompt_token_count == weigh_messages(CONTENTS)


def test_usage_follows_the_token_rule(client: genai.Client) -> None:
    usage = client.models.generate_content(model="m", contents=TEXT).usage_metadata
    assert usage is not None
    assert usage.candidates_token_count == count(TEXT)
    assert client.models.count_tokens(model="m", contents=TEXT).total_tokens == usage.prompt_token_count


def test_function_calls(client: genai.Client) -> None:
    declared = {
        "name": "weather",
        "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}},
    }
    config: Any = {"tools": [{"function_declarations": [declared]}]}
    answer = client.models.generate_content(model="sim/tools", contents=TEXT, config=config)
    assert answer.function_calls is not None
    assert [(c.name, c.args) for c in answer.function_calls] == [("weather", {"city": "sample"})]


def test_embeddings(client: genai.Client) -> None:
    answer = client.models.embed_content(model="gemini-embedding-001", contents=["a b"])
    assert answer.embeddings is not None
    assert len(answer.embeddings[0].values or []) == 256


@pytest.mark.parametrize(("model", "status"), [("sim/error-429", 429), ("sim/error-overloaded", 503)])
def test_errors_are_typed(client: genai.Client, model: str, status: int) -> None:
    with pytest.raises(errors.APIError) as raised:
        client.models.generate_content(model=model, contents="x")
    assert raised.value.code == status
    assert raised.value.status in ("RESOURCE_EXHAUSTED", "UNAVAILABLE")
