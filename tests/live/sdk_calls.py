"""One SDK call in a process of its own: prints model and usage [input, output] as the SDK reported them.

ENTRY=connect leaves the SDK's own host names (HTTPS_PROXY and the CA are in the environment);
ENTRY=base_url points it at GATEWAY. Input includes cached tokens, as in our rows.
"""

import json
import os
import sys
from typing import Any

GATEWAY, ENTRY, TOKEN = os.environ["GATEWAY"], os.environ["ENTRY"], os.environ.get("TOKEN", "")
BASE = ENTRY == "base_url"
CHAT: Any = [{"role": "user", "content": "Say hello to the proxy, please."}]


def openai(path: str = "/v1") -> Any:
    from openai import OpenAI

    return OpenAI(api_key=TOKEN, max_retries=0, **({"base_url": GATEWAY + path} if BASE else {}))


def _openai_usage(model: str, usage: Any) -> dict[str, Any]:
    return {"model": model, "usage": [usage.prompt_tokens, usage.completion_tokens]}


def openai_chat() -> dict[str, Any]:
    answer = openai().chat.completions.create(model="gpt-4o", messages=CHAT)
    assert "hello" in answer.choices[0].message.content.lower()
    return _openai_usage("gpt-4o", answer.usage)


def openai_chat_stream() -> dict[str, Any]:
    """Without include_usage the client sees no usage; the simulator's documented rule says what it was."""
    from llm_intercept.sim.tokens import PER_MESSAGE, count

    chunks = list(openai().chat.completions.create(model="gpt-4o", messages=CHAT, stream=True))
    assert all(chunk.choices for chunk in chunks), "the chunk that the proxy asked for must stay hidden"
    assert all("usage" not in chunk.model_dump(exclude_unset=True) for chunk in chunks)
    words = count(CHAT[0]["content"])
    return {"model": "gpt-4o", "usage": [words + PER_MESSAGE, words]}


def openai_chat_stream_usage() -> dict[str, Any]:
    options = {"include_usage": True}
    chunks = list(
        openai().chat.completions.create(model="gpt-4o", messages=CHAT, stream=True, stream_options=options)
    )
    return _openai_usage("gpt-4o", chunks[-1].usage)


def openai_responses() -> dict[str, Any]:
    answer = openai().responses.create(model="gpt-4o", input="hello there")
    return {"model": "gpt-4o", "usage": [answer.usage.input_tokens, answer.usage.output_tokens]}


def openai_responses_stream() -> dict[str, Any]:
    events = list(openai().responses.create(model="gpt-4o", input="hello there", stream=True))
    usage = events[-1].response.usage
    return {"model": "gpt-4o", "usage": [usage.input_tokens, usage.output_tokens]}


def openai_embeddings() -> dict[str, Any]:
    answer = openai().embeddings.create(model="text-embedding-3-small", input="hello there")
    return {"model": "text-embedding-3-small", "usage": [answer.usage.prompt_tokens, None]}


def openai_models() -> dict[str, Any]:
    assert list(openai().models.list())
    return {}


def anthropic() -> Any:
    from anthropic import Anthropic

    return Anthropic(api_key=TOKEN, max_retries=0, **({"base_url": GATEWAY} if BASE else {}))


def _anthropic_usage(usage: Any) -> dict[str, Any]:
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return {"model": "claude-sonnet-5", "usage": [usage.input_tokens + cached, usage.output_tokens]}


def anthropic_messages() -> dict[str, Any]:
    answer = anthropic().messages.create(model="claude-sonnet-5", max_tokens=100, messages=CHAT)
    return _anthropic_usage(answer.usage)


def anthropic_messages_stream() -> dict[str, Any]:
    with anthropic().messages.stream(model="claude-sonnet-5", max_tokens=100, messages=CHAT) as stream:
        return _anthropic_usage(stream.get_final_message().usage)


def anthropic_count_tokens() -> dict[str, Any]:
    assert anthropic().messages.count_tokens(model="claude-sonnet-5", messages=CHAT).input_tokens > 0
    return {}


def gemini() -> Any:
    from google import genai

    options = {"http_options": {"base_url": GATEWAY}} if BASE else {}
    return genai.Client(api_key=TOKEN, **options)


def _gemini_usage(usage: Any) -> dict[str, Any]:
    output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    return {"model": "gemini-2.5-flash", "usage": [usage.prompt_token_count, output]}


def gemini_generate() -> dict[str, Any]:
    client = gemini()
    answer = client.models.generate_content(model="gemini-2.5-flash", contents="hello there")
    return _gemini_usage(answer.usage_metadata)


def gemini_generate_stream() -> dict[str, Any]:
    client = gemini()
    chunks = list(client.models.generate_content_stream(model="gemini-2.5-flash", contents="hello there"))
    return _gemini_usage(chunks[-1].usage_metadata)


def bedrock() -> Any:
    import boto3
    from botocore.config import Config

    options = {"endpoint_url": GATEWAY} if BASE else {}
    config = Config(retries={"max_attempts": 1, "mode": "standard"})
    return boto3.client("bedrock-runtime", region_name="us-east-1", config=config, **options)


CLAUDE = "anthropic.claude-3-5-sonnet-20240620-v1:0"
TURN: Any = [{"role": "user", "content": [{"text": "hello there"}]}]


def _converse_usage(usage: Any) -> dict[str, Any]:
    cached = usage.get("cacheReadInputTokens", 0) + usage.get("cacheWriteInputTokens", 0)
    return {"model": CLAUDE, "usage": [usage["inputTokens"] + cached, usage["outputTokens"]]}


def bedrock_converse() -> dict[str, Any]:
    return _converse_usage(bedrock().converse(modelId=CLAUDE, messages=TURN)["usage"])


def bedrock_converse_stream() -> dict[str, Any]:
    events = list(bedrock().converse_stream(modelId=CLAUDE, messages=TURN)["stream"])
    return _converse_usage(events[-1]["metadata"]["usage"])


INVOKE = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": CHAT})


def bedrock_invoke() -> dict[str, Any]:
    usage = json.loads(bedrock().invoke_model(modelId=CLAUDE, body=INVOKE)["body"].read())["usage"]
    return {"model": CLAUDE, "usage": [usage["input_tokens"], usage["output_tokens"]]}


def bedrock_invoke_stream() -> dict[str, Any]:
    events = list(bedrock().invoke_model_with_response_stream(modelId=CLAUDE, body=INVOKE)["body"])
    metrics = json.loads(events[-1]["chunk"]["bytes"])["amazon-bedrock-invocationMetrics"]
    return {"model": CLAUDE, "usage": [metrics["inputTokenCount"], metrics["outputTokenCount"]]}


def azure() -> Any:
    from openai import AzureOpenAI

    endpoint = GATEWAY if BASE else "https://my-resource.openai.azure.com"
    return AzureOpenAI(api_key=TOKEN, azure_endpoint=endpoint, api_version="2024-10-21", max_retries=0)


def azure_chat() -> dict[str, Any]:
    return _openai_usage("gpt-4o", azure().chat.completions.create(model="gpt-4o", messages=CHAT).usage)


def azure_chat_stream() -> dict[str, Any]:
    options = {"include_usage": True}
    chunks = list(
        azure().chat.completions.create(model="gpt-4o", messages=CHAT, stream=True, stream_options=options)
    )
    return _openai_usage("gpt-4o", chunks[-1].usage)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
