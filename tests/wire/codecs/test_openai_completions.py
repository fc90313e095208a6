"""Text completions: a prompt is one user message."""

import json
from typing import Any

import pytest
from openai.types import Completion

from llm_intercept.wire.codec import Context, Target, Untranslatable
from llm_intercept.wire.codecs import openai_completions
from llm_intercept.wire.fold import unfold
from llm_intercept.wire.ir import (
    Answer,
    Event,
    Failed,
    Failure,
    Finished,
    Media,
    Message,
    PartDelta,
    PartStarted,
    Request,
    Sampling,
    Started,
    Text,
    Thinking,
    Tool,
    ToolCall,
)
from llm_intercept.wire.usage import Usage
from tests.wire.codecs.chat_family import decoded, encoded, failed, folded, frames_of

NAME = "openai_completions"


def write(request: Request, **target: Any) -> tuple[dict[str, Any], list[str]]:
    context = Context(Target(**target))
    return dict(openai_completions.encode_request(request, context).body), context.warnings


def test_a_request_there_and_back() -> None:
    body = {
        "model": "m",
        "prompt": "Once",
        "max_tokens": 9,
        "temperature": 0,
        "stop": ["\n"],
        "logprobs": 2,
        "suffix": "end",
        "echo": True,
        "logit_bias": {"1": 1},
        "user": "u",
        "seed": 3,
    }
    request = openai_completions.decode_request(body, "", False)
    assert request.messages == (Message("user", (Text("Once"),)),)
    assert request.sampling == Sampling(9, 0, stop=("\n",), seed=3, logprobs=True, top_logprobs=2)
    assert write(request) == (body, [])


@pytest.mark.parametrize("prompt", [["a", "b"], [1, 2], [[1]], {"a": 1}])
def test_prompts_that_are_not_one_text(prompt: Any) -> None:
    with pytest.raises(Untranslatable) as raised:
        openai_completions.decode_request({"model": "m", "prompt": prompt}, "", False)
    assert raised.value.field == "prompt"


def test_a_list_of_one_prompt_is_that_prompt() -> None:
    request = openai_completions.decode_request({"model": "m", "prompt": ["a"]}, "", False)
    assert request.messages[0].parts == (Text("a"),)


def test_a_conversation_becomes_one_prompt() -> None:
    talk = (
        Message("system", (Text("Be brief."),)),
        Message("user", (Text("Hi"), Media("image", url="u"))),
        Message("assistant", (Thinking("hm"), Text("Hello"))),
        Message("user", (Text("Bye"),)),
    )
    body, warnings = write(Request("m", talk, (Tool("f"),)))
    assert body["prompt"] == "Be brief.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Bye\n\nAssistant:"
    assert [warning.partition(":")[0] for warning in warnings] == ["media", "thinking", "messages", "tools"]


def test_limits_and_refused_parameters() -> None:
    request = Request("m", (Message("user", (Text("a"),)),), sampling=Sampling(99, 1.0, stop=tuple("abcde")))
    body, warnings = write(request, max_output=50, rejects=frozenset({"temperature"}))
    assert body == {"model": "m", "prompt": "a", "max_tokens": 50, "stop": ["a", "b", "c", "d"]}
    assert len(warnings) == 3
    with pytest.raises(Untranslatable):
        write(Request("m", (), sampling=Sampling(n=2), stream=True))


WEIGHED = {
    "tokens": ["a", "b"],
    "token_logprobs": [-1.0, None],
    "top_logprobs": [{"a": -1.0}, None],
    "text_offset": [0, 1],
}
BODY = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 5,
    "model": "m",
    "choices": [{"text": "ab", "index": 0, "logprobs": WEIGHED, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    "system_fingerprint": "fp",
}


def test_an_answer_there_and_back() -> None:
    answer = openai_completions.decode_answer(BODY)
    assert answer.parts == (Text("ab"),)
    assert [entry["token"] for entry in answer.logprobs] == ["a", "b"]
    assert openai_completions.encode_answer(answer, Context()) == BODY
    foreign = Answer("x", "m", answer.parts, "tool_calls", answer.usage, logprobs=answer.logprobs)
    written = openai_completions.encode_answer(foreign, Context())
    assert written["choices"][0]["logprobs"] == WEIGHED
    assert written["choices"][0]["finish_reason"] == "stop"


def test_streams() -> None:
    stream = b"".join(
        b"data: " + json.dumps({**BODY, "choices": [choice], "usage": None}).encode() + b"\n\n"
        for choice in (
            {"text": "a", "index": 0, "logprobs": None, "finish_reason": None},
            {"text": "x", "index": 1, "logprobs": None, "finish_reason": None},
            {"text": "b", "index": 0, "logprobs": None, "finish_reason": "stop"},
        )
    )
    tail = b"data: " + json.dumps({**BODY, "choices": []}).encode() + b"\n\n"
    answer = folded(NAME, frames_of([stream, tail, b"data: [DONE]\n\n"]))
    assert (answer.parts, answer.finish, answer.usage) == ((Text("ab"),), "stop", Usage(input=1, output=2))
    frames = encoded(NAME, unfold(answer))
    assert frames[-1] == ("", b"[DONE]")
    read = [json.loads(data) for _, data in frames[:-1]]
    assert "".join(chunk["choices"][0]["text"] for chunk in read if chunk["choices"]) == "ab"
    assert [Completion.model_validate(chunk).usage is not None for chunk in read[-2:]] == [False, True]
    assert folded(NAME, frames_of([stream])).parts == (Text("ab"),)


@pytest.mark.parametrize(
    "data", [b"", b"data: {}\n\n", b'data: {"id":"a","choices":[]}\n\n', b'data: {"error":"x"}\n\n']
)
def test_streams_that_fail(data: bytes) -> None:
    assert failed(decoded(NAME, frames_of([data]))).kind == "upstream"


END = Finished("tool_calls", Usage())
ORDERS: list[list[Event]] = [
    [],
    [END, END],
    [Started("a", "m"), Started("b", "n"), PartDelta(3, "lost"), END],
    [PartStarted(0, Thinking("hm")), PartDelta(0, "x"), PartStarted(1, ToolCall("a", "f")), END],
    [PartStarted(0, Text("early")), Failed(Failure("rate_limit", "wait", 429)), END],
]


@pytest.mark.parametrize("events", ORDERS)
def test_whatever_events_come_the_grammar_holds(events: list[Event]) -> None:
    frames = [data for _, data in encoded(NAME, events)]
    assert frames.index(b"[DONE]") == len(frames) - 1
    last = json.loads(frames[-2])
    assert "error" in last or last["choices"][0]["finish_reason"] == "stop"


def test_what_is_no_text_is_warned_of() -> None:
    context = Context()
    answer = Answer("", "m", (Thinking("hm"), Text("a"), ToolCall("a", "f")), "stop")
    assert openai_completions.encode_answer(answer, context)["choices"][0]["text"] == "a"
    assert len(context.warnings) == 2
