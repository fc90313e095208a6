"""botocore against the simulator: Converse, InvokeModel of every family, and their event streams."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from llm_intercept.sim.running import Running
from llm_intercept.sim.tokens import count, weigh_messages

TEXT = "Say something extraordinary"
MESSAGES = [{"role": "user", "content": [{"text": TEXT}]}]
TOOLS = {
    "tools": [
        {"toolSpec": {"name": "weather", "inputSchema": {"json": {"type": "object", "properties": {}}}}}
    ]
}


@pytest.fixture
def client(sim: Running) -> Iterator[Any]:
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=sim.address,
        aws_access_key_id="a",
        aws_secret_access_key="s",
        config=Config(retries={"max_attempts": 0}, proxies={}),
    )
    yield client
    client.close()


@pytest.mark.parametrize(
    ("model", "more", "blocks"),
    [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", {}, ["text"]),
        ("sim/think", {}, ["reasoningContent", "text"]),
        ("sim/tools", {"toolConfig": TOOLS}, ["toolUse"]),
        ("amazon.nova-lite-v1:0", {"inferenceConfig": {"maxTokens": 2}}, ["text"]),
    ],
)
def test_converse_stream_and_whole_agree(
    client: Any, model: str, more: dict[str, Any], blocks: list[str]
) -> None:
    whole = client.converse(modelId=model, messages=MESSAGES, **more)
    events = list(client.converse_stream(modelId=model, messages=MESSAGES, **more)["stream"])
    assert [next(iter(b)) for b in whole["output"]["message"]["content"]] == blocks
    assert events[-1]["metadata"]["usage"] == whole["usage"]
    stopped = next(e["messageStop"]["stopReason"] for e in events if "messageStop" in e)
    assert stopped == whole["stopReason"]
    deltas = [e["contentBlockDelta"]["delta"] for e in events if "contentBlockDelta" in e]
    said = "".join(d.get("text", "") for d in deltas)
    assert said == "".join(b.get("text", "") for b in whole["output"]["message"]["content"])


def test_cache_points_write_then_read(client: Any) -> None:
    system = [{"text": "be good"}, {"cachePoint": {"type": "default"}}]
    used = [client.converse(modelId="m", messages=MESSAGES, system=system)["usage"] for _ in range(2)]
    assert [(u["cacheWriteInputTokens"], u["cacheReadInputTokens"]) for u in used] == [(2, 0), (0, 2)]
    assert {u["inputTokens"] for u in used} == {weigh_messages(MESSAGES)}


@pytest.mark.parametrize(
    ("model", "body", "tokens"),
    [
        ("anthropic.claude-v2", {"anthropic_version": "x", "max_tokens": 99, "messages": MESSAGES}, 7),
        ("amazon.nova-micro-v1:0", {"messages": MESSAGES}, 7),
        ("meta.llama3-8b-instruct-v1:0", {"prompt": TEXT, "max_gen_len": 99}, 5),
        ("mistral.mistral-7b-instruct-v0:2", {"prompt": TEXT}, 5),
        ("amazon.titan-text-express-v1", {"inputText": TEXT}, 5),
        ("cohere.command-text-v14", {"prompt": TEXT}, 5),
        ("cohere.command-r-v1:0", {"message": TEXT}, 5),
    ],
)
def test_invoke(client: Any, model: str, body: dict[str, Any], tokens: int) -> None:
    encoded = json.dumps(body).replace('{"text"', '{"type": "text", "text"')
    whole = client.invoke_model(modelId=model, body=encoded)
    headers = whole["ResponseMetadata"]["HTTPHeaders"]
    expected = {"inputTokenCount": count(TEXT) + tokens - 5 + (1 if tokens == 7 else 0)}
    assert int(headers["x-amzn-bedrock-input-token-count"]) == expected["inputTokenCount"]
    assert int(headers["x-amzn-bedrock-output-token-count"]) == count(TEXT)
    assert TEXT in json.dumps(json.load(whole["body"]))
    stream = client.invoke_model_with_response_stream(modelId=model, body=encoded)["body"]
    chunks = [json.loads(event["chunk"]["bytes"]) for event in stream]
    metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]
    assert metrics["inputTokenCount"] == expected["inputTokenCount"]
    assert metrics["outputTokenCount"] == count(TEXT)


def test_embeddings_and_counting(client: Any) -> None:
    answer = json.load(
        client.invoke_model(modelId="amazon.titan-embed-text-v2:0", body='{"inputText": "a b"}')["body"]
    )
    assert (len(answer["embedding"]), answer["inputTextTokenCount"]) == (256, 2)
    counted = client.count_tokens(modelId="m", input={"converse": {"messages": MESSAGES}})
    assert counted["inputTokens"] == weigh_messages(MESSAGES)


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("sim/error-429", "ThrottlingException"),
        ("sim/error-500", "InternalServerException"),
        ("sim/error-overloaded", "ServiceUnavailableException"),
    ],
)
def test_errors_are_typed(client: Any, model: str, code: str) -> None:
    with pytest.raises(ClientError) as raised:
        client.converse_stream(modelId=model, messages=MESSAGES)
    assert raised.value.response["Error"]["Code"] == code
