"""The official Anthropic SDK against the simulator, on the first-party API, Vertex and Bedrock."""

from collections.abc import Iterator

import anthropic
import pytest
from anthropic import Anthropic

from llm_intercept.sim.running import Running
from llm_intercept.sim.tokens import count, weigh_messages

MESSAGES = [{"role": "user", "content": "Say something extraordinary"}]
TEXT = "Say something extraordinary"
TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


@pytest.fixture
def client(sim: Running) -> Iterator[Anthropic]:
    with Anthropic(base_url=sim.address, api_key="k", max_retries=0) as client:
        yield client


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"max_tokens": 2},
        {"stop_sequences": ["extra"]},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"tools": [TOOL], "tool_choice": {"type": "any"}},
    ],
)
def test_stream_and_whole_agree(client: Anthropic, more: dict[str, object]) -> None:
    asked = {"model": "claude-x", "max_tokens": 100, "messages": MESSAGES, **more}
    whole = client.messages.create(**asked)  # type: ignore[call-overload]
    with client.messages.stream(**asked) as stream:  # type: ignore[arg-type]
        final = stream.get_final_message()
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert final.usage.input_tokens == whole.usage.input_tokens
    assert final.stop_reason == whole.stop_reason
    assert [b.type for b in final.content] == [b.type for b in whole.content]
    assert [getattr(b, "text", None) for b in final.content] == [
        getattr(b, "text", None) for b in whole.content
    ]


def test_usage_follows_the_token_rule(client: Anthropic) -> None:
    answer = client.messages.create(model="claude-x", max_tokens=50, messages=MESSAGES)  # type: ignore[arg-type]
    assert answer.usage.input_tokens == weigh_messages(MESSAGES)
    assert answer.usage.output_tokens == count(TEXT)
    counted = client.messages.count_tokens(model="claude-x", messages=MESSAGES)  # type: ignore[arg-type]
    assert counted.input_tokens == answer.usage.input_tokens


@pytest.mark.parametrize(
    ("ttl", "name"), [("5m", "ephemeral_5m_input_tokens"), ("1h", "ephemeral_1h_input_tokens")]
)
def test_cache_control_writes_then_reads(client: Anthropic, ttl: str, name: str) -> None:
    system = [{"type": "text", "text": f"be good {ttl}", "cache_control": {"type": "ephemeral", "ttl": ttl}}]
    asked = {"model": "claude-x", "max_tokens": 9, "messages": MESSAGES, "system": system}
    first = client.messages.create(**asked).usage  # type: ignore[call-overload]
    with client.messages.stream(**asked) as stream:  # type: ignore[arg-type]
        second = stream.get_final_message().usage
    assert (first.cache_creation_input_tokens, getattr(first.cache_creation, name)) == (3, 3)
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, 3)
    assert first.input_tokens == second.input_tokens == weigh_messages(MESSAGES)


@pytest.mark.parametrize(
    ("model", "status"), [("sim/error-429", 429), ("sim/error-500", 500), ("sim/error-overloaded", 529)]
)
def test_errors_are_typed(client: Anthropic, model: str, status: int) -> None:
    with pytest.raises(anthropic.APIStatusError) as raised:
        client.messages.create(model=model, max_tokens=1, messages=[])
    assert raised.value.status_code == status
    assert raised.value.request_id


def test_models_have_anthropics_shape(client: Anthropic) -> None:
    assert client.models.retrieve("sim/echo").display_name == "sim/echo"
    assert "sim/echo" in {m.id for m in client.models.list()}


def test_unknown_paths_have_anthropics_error(client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        client.get("/v1/nothing", cast_to=object)


def test_vertex(sim: Running) -> None:
    with anthropic.AnthropicVertex(
        base_url=f"{sim.address}/v1", region="us-east5", project_id="p", access_token="t"
    ) as client:
        asked = {"model": "claude-sonnet-4@20250514", "max_tokens": 9, "messages": MESSAGES}
        whole = client.messages.create(**asked)  # type: ignore[call-overload]
        with client.messages.stream(**asked) as stream:  # type: ignore[arg-type]
            assert stream.get_final_message().usage.output_tokens == whole.usage.output_tokens == count(TEXT)
        assert (whole.model, whole.id[:9]) == ("claude-sonnet-4", "msg_vrtx_")


def test_bedrock(sim: Running) -> None:
    with anthropic.AnthropicBedrock(
        base_url=sim.address, aws_region="us-east-1", aws_access_key="a", aws_secret_key="s"
    ) as client:
        asked = {"model": "us.anthropic.claude-sonnet-4-20250514-v1:0", "max_tokens": 9, "messages": MESSAGES}
        whole = client.messages.create(**asked)  # type: ignore[call-overload]
        with client.messages.stream(**asked) as stream:  # type: ignore[arg-type]
            assert stream.get_final_message().usage.output_tokens == whole.usage.output_tokens == count(TEXT)
        assert (whole.model, whole.id[:9]) == ("claude-sonnet-4-20250514", "msg_bdrk_")
