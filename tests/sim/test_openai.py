"""The official OpenAI SDK against the simulator: shapes it parses, usage that follows the token rule."""

from collections.abc import Callable, Iterator

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionToolParam

from llm_intercept.sim.running import Running
from llm_intercept.sim.tokens import count, weigh_messages

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Say something extraordinary"},
]
TEXT = "Say something extraordinary"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "weather", "parameters": PARAMETERS},
}


@pytest.fixture
def client(sim: Running) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{sim.address}/v1", api_key="k", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("n", [1, 2])
def test_chat(client: OpenAI, n: int) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, n=n)  # type: ignore[arg-type]
    assert [c.message.content for c in answer.choices] == [TEXT] * n
    assert [c.finish_reason for c in answer.choices] == ["stop"] * n
    usage = answer.usage
    assert usage is not None
    assert usage.prompt_tokens == weigh_messages(MESSAGES)
    assert usage.completion_tokens == count(TEXT) * n
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@pytest.mark.parametrize("asked", [True, False])
def test_chat_stream_has_usage_only_when_asked(client: OpenAI, asked: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if asked else {}
    with client.chat.completions.create(  # type: ignore[call-overload]
        model="gpt-4o", messages=MESSAGES, stream=True, **options
    ) as stream:
        chunks = list(stream)
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said == TEXT
    if not asked:
        assert all("usage" not in c.model_fields_set for c in chunks)
        return
    assert all("usage" in c.model_fields_set and c.usage is None for c in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == count(TEXT)
    assert chunks[-1].usage.prompt_tokens == weigh_messages(MESSAGES)


def test_chat_tools_stream_and_whole_agree(client: OpenAI) -> None:
    asked = {"model": "sim/tools", "messages": MESSAGES, "tools": [TOOL]}
    whole = client.chat.completions.create(**asked)  # type: ignore[call-overload]
    assert whole.choices[0].finish_reason == "tool_calls"
    assert whole.choices[0].message.tool_calls[0].function.arguments == '{"city":"sample"}'
    with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.arguments == '{"city":"sample"}'
    assert final.usage == whole.usage


def test_long_prompts_are_cached_the_second_time(client: OpenAI) -> None:
    messages = [{"role": "user", "content": "cache me " * 700}]
    used = [
        client.chat.completions.create(model="gpt-4o-mini", messages=messages, max_tokens=1).usage  # type: ignore[arg-type]
        for _ in range(2)
    ]
    assert [u.prompt_tokens_details.cached_tokens for u in used] == [0, 1403 // 128 * 128]  # type: ignore[union-attr]


def test_responses_stream_and_whole_agree(client: OpenAI) -> None:
    asked = {"model": "sim/think", "input": TEXT, "reasoning": {"effort": "low", "summary": "auto"}}
    whole = client.responses.create(**asked)
    with client.responses.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert whole.output_text == final.output_text == TEXT
    assert whole.usage == final.usage
    assert whole.usage.output_tokens_details.reasoning_tokens == whole.usage.output_tokens - count(TEXT)
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert "response.reasoning_summary_text.delta" in kinds


def test_responses_incomplete(client: OpenAI) -> None:
    answer = client.responses.create(model="sim/lorem", input="x", max_output_tokens=5)
    assert (answer.status, answer.usage.output_tokens) == ("incomplete", 5)  # type: ignore[union-attr]


def test_completions(client: OpenAI) -> None:
    answer = client.completions.create(model="davinci-002", prompt="one two three", max_tokens=2)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("one two", "length")
    with client.completions.create(
        model="davinci-002", prompt="one two", stream=True, stream_options={"include_usage": True}
    ) as stream:
        assert list(stream)[-1].usage.total_tokens == 4  # type: ignore[union-attr]


def test_embeddings_are_the_same_in_both_encodings(client: OpenAI) -> None:
    packed = client.embeddings.create(model="e", input=["a b", "c"], dimensions=8)
    plain = client.embeddings.create(model="e", input=["a b", "c"], dimensions=8, encoding_format="float")
    assert packed.usage.total_tokens == 3
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)


def test_media(client: OpenAI) -> None:
    image = client.images.generate(model="gpt-image-1", prompt="a cat")
    assert image.usage is not None
    assert image.usage.total_tokens == image.usage.input_tokens + image.usage.output_tokens
    heard = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", bytes(16_001)))
    assert heard.usage.input_tokens == 11  # type: ignore[union-attr]
    whisper = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", bytes(64_000)))
    assert whisper.usage.seconds == 2  # type: ignore[union-attr]
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="a b"
    ) as spoken:
        assert spoken.read()[:2] == b"\xff\xfb"
    assert not client.moderations.create(input="kittens").results[0].flagged


def test_files(client: OpenAI) -> None:
    content = bytes(range(256)) * 20_000  # over what is kept in memory while it is received
    small = client.files.create(file=("a.jsonl", b'{"a": 1}\r\n'), purpose="batch")
    large = client.files.create(file=("b.bin", content), purpose="user_data")
    assert client.files.content(small.id).read() == b'{"a": 1}\r\n'
    assert (small.bytes, large.bytes, large.filename) == (10, len(content), "b.bin")
    assert {f.id for f in client.files.list()} == {small.id, large.id}
    assert client.files.delete(large.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(large.id)
    assert len(client.files.content("sim-3mb").read()) == 3_000_000


def test_models(client: OpenAI) -> None:
    assert "sim/echo" in {m.id for m in client.models.list()}
    assert client.models.retrieve("sim/echo").id == "sim/echo"


@pytest.mark.parametrize(
    ("model", "error", "status"),
    [
        ("sim/error-429", openai.RateLimitError, 429),
        ("sim/error-500", openai.InternalServerError, 500),
        ("sim/error-overloaded", openai.InternalServerError, 503),
    ],
)
def test_errors_are_typed(
    client: OpenAI, model: str, error: type[openai.APIStatusError], status: int
) -> None:
    with pytest.raises(error) as raised:
        client.chat.completions.create(model=model, messages=[])
    assert raised.value.status_code == status
    assert (raised.value.response.headers.get("retry-after") == "1") is (status == 429)


@pytest.mark.parametrize("stream", [True, False])
def test_cut(client: OpenAI, stream: bool) -> None:
    with pytest.raises(openai.APIConnectionError):  # noqa: PT012 - the stream breaks while it is read
        answer = client.chat.completions.create(model="sim/cut", messages=MESSAGES, stream=stream)  # type: ignore[call-overload]
        list(answer)


def test_hang_ends_with_the_client(client: OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="sim/hang", messages=[], timeout=0.2)


def test_bodies_that_are_no_json_are_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.post("/chat/completions", cast_to=object, body=[1])


def test_azure(sim: Running) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=sim.address, api_key="k", api_version="2024-10-21", max_retries=0
    ) as client:
        whole = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)  # type: ignore[arg-type]
        assert (whole.model, whole.choices[0].message.content) == ("gpt-4o", TEXT)
        with client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True) as stream:  # type: ignore[call-overload]
            first = next(stream)
        assert first.choices == []
        assert first.prompt_filter_results
        assert client.embeddings.create(model="e", input="a b").usage.total_tokens == 2


def test_error_rate_fails_a_share_of_calls(start_sim: Callable[..., Running]) -> None:
    failing = start_sim(error_rate=1.0)
    with OpenAI(base_url=f"{failing.address}/v1", api_key="k", max_retries=0) as client:
        for _ in range(3):
            with pytest.raises((openai.RateLimitError, openai.InternalServerError)):
                client.chat.completions.create(model="gpt-4o", messages=[])
