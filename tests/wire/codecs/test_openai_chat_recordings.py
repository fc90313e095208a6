"""The laws of chat completions, text completions and Ollama over every recording of them.

Normalisations: nulls, empty texts and empty lists say nothing; `""` beside tool calls is null; a content list
of one plain text is a string; `<think>` and Mistral's thinking chunks become `reasoning_content`; `reasoning`
stands beside `reasoning_details`, whose entries are numbered; tools have their type; ids of answers have the
dialect's prefix; `stop` is a list; usage is always asked for; a choice without tools is left out.
"""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs import openai_chat
from llm_intercept.wire.fold import fold, unfold
from llm_intercept.wire.framing.lines import Lines
from llm_intercept.wire.framing.sse import SSE
from llm_intercept.wire.ir import Answer, Failure, RefusalText, Request, Text, Thinking, ToolCall
from tests.wire.codecs.chat_family import accumulated, decoded, encoded, frames_of, plain
from tests.wire.cuts import at_random, by_byte
from tests.wire.recordings import Recording, recordings

NAMES = ("openai_chat", "openai_completions", "ollama")


CHUNKED = re.compile(rb"[0-9a-f]+\r\n")  # one recording still has the chunks of its transfer coding


def of(*, stream: bool | None = None, request: bool = False) -> list[Any]:
    """Those of the surfaces that are translated."""
    found = [
        recording
        for recording in recordings()
        if recording.dialect in NAMES and recording.surface not in ("embeddings", "ollama.generate")
    ]
    if not request:
        found = [r for r in found if r.status == 200 and r.stream is stream and not CHUNKED.match(r.body)]
    return [pytest.param(recording, id=recording.name) for recording in found]


def framing(recording: Recording) -> Any:
    return Lines if recording.dialect == "ollama" else SSE


def again(value: Any) -> Any:
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("recording", of(request=True))
def test_requests(recording: Recording) -> None:
    body = json.loads(recording.request)
    if not isinstance(body, dict):
        pytest.skip("no request in this recording")
    codec = codecs.get(recording.dialect)
    if isinstance(body.get("prompt"), list) and len(body["prompt"]) != 1:
        pytest.skip("several prompts are refused")
    if body.get("stream") and body.get("n", 1) > 1:
        pytest.skip("several streamed answers are refused")
    request = codec.decode_request(body, "", False)
    context = Context()
    written = again(codec.encode_request(request, context).body)
    assert asked(codec.decode_request(written, "", False)) == asked(request)
    assert not context.warnings
    assert {name for name, value in body.items() if value and value != -1} <= {*written, "tool_choice"}
    for name, value in body.items():
        if (
            name in ("temperature", "logit_bias", "tools", "response_format", "reasoning", "thinking")
            and value
        ):
            known = [{"type": "function", **tool} for tool in value] if name == "tools" else value
            assert plain(written[name]) == plain(known)


def asked(request: Request) -> Request:
    return replace(request, include_usage=True)


@pytest.mark.parametrize("recording", of(stream=False))
def test_answers(recording: Recording) -> None:
    codec = codecs.get(recording.dialect)
    body = json.loads(recording.body)
    answer = codec.decode_answer(body)
    written = again(codec.encode_answer(answer, Context()))
    assert replace(codec.decode_answer(written), id="") == replace(answer, id="")
    assert plain(written.get("usage")) == plain(body.get("usage"))
    assert {*plain(body)} - {"id"} <= {*written}
    assert fold(unfold(answer)) == answer
    if recording.dialect == "openai_chat":
        tier = written.get("service_tier")
        known = {"service_tier": tier if tier in ("auto", "default", "flex", "scale", "priority") else None}
        ChatCompletion.model_validate({**written, **known})
    if recording.dialect == "openai_completions":
        Completion.model_validate(written)


@pytest.mark.parametrize("recording", of(stream=False))
def test_answers_streamed(recording: Recording) -> None:
    codec = codecs.get(recording.dialect)
    answer = codec.decode_answer(json.loads(recording.body))
    frames = encoded(recording.dialect, unfold(answer))
    said = fold(decoded(recording.dialect, frames))
    assert isinstance(said, Answer)
    assert text_of(said) == text_of(answer)
    assert calls_of(said) == calls_of(answer)
    assert (said.finish, said.usage) == (answer.finish, answer.usage)


@pytest.mark.parametrize("recording", of(stream=True))
def test_streams_cut_anywhere(recording: Recording) -> None:
    name, cutter = recording.dialect, framing(recording)
    whole = decoded(name, frames_of([recording.body], cutter))
    if len(recording.body) < 20_000:
        assert decoded(name, frames_of(by_byte(recording.body), cutter)) == whole
    for seed in range(2):
        assert decoded(name, frames_of(at_random(recording.body, seed), cutter)) == whole


@pytest.mark.parametrize("recording", of(stream=True))
def test_streams_written_again(recording: Recording) -> None:
    name = recording.dialect
    events = decoded(name, frames_of([recording.body], framing(recording)))
    answer = fold(events)
    frames = encoded(name, events)
    again_read = fold(decoded(name, frames))
    if isinstance(answer, Failure):
        assert isinstance(again_read, Failure)
        assert again_read.kind == answer.kind
        return
    assert isinstance(again_read, Answer)
    assert bare(again_read) == bare(answer)
    unfolded = fold(decoded(name, encoded(name, unfold(answer))))
    assert isinstance(unfolded, Answer)
    assert text_of(unfolded) == text_of(answer)
    assert unfolded.usage == answer.usage
    if name == "openai_chat":
        accepted(frames, answer)


def bare(answer: Answer) -> Answer:
    """Without the id, and without the numbers of entries of `reasoning_details`."""
    parts = tuple(replace(p, extras={}) if isinstance(p, Thinking) else p for p in answer.parts)
    return replace(answer, id="", parts=parts)


def accepted(frames: list[Any], answer: Answer) -> None:
    """The official SDK's accumulator finds the same in what we wrote."""
    sdk = accumulated(frames)
    message = sdk.choices[0].message
    assert (message.content or "") + (message.refusal or "") == text_of(answer)
    made = [(c.id, c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or ()]
    assert made == calls_of(answer)
    if answer.finish in ("stop", "length", "tool_calls"):
        assert sdk.choices[0].finish_reason == answer.finish
    if answer.usage.known:
        assert sdk.usage is not None
        assert (sdk.usage.prompt_tokens, answer.usage.input) == (answer.usage.input, sdk.usage.prompt_tokens)


def text_of(answer: Answer) -> str:
    return "".join(part.text for part in answer.parts if isinstance(part, Text | RefusalText))


def calls_of(answer: Answer) -> list[Any]:
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    return [(call.id, call.name, json.loads(call.arguments)) for call in calls]


ERRORS = [
    pytest.param(recording, id=recording.name)
    for recording in recordings()
    if recording.dialect in NAMES and recording.status >= 400
]
KINDS = {
    400: ("invalid_request", "overflow"),
    401: ("authentication",),
    404: ("not_found",),
    429: ("rate_limit",),
}


@pytest.mark.parametrize("recording", ERRORS)
def test_errors(recording: Recording) -> None:
    codec = codecs.get(recording.dialect)
    failure = codec.decode_error(recording.status, recording.headers, recording.body)
    assert failure.kind in KINDS[recording.status]
    assert failure.message
    status, headers, body = codec.encode_error(failure, "r")
    assert status == recording.status
    read = codec.decode_error(status, headers, body)
    assert read.kind == failure.kind


def test_the_overflow_that_was_recorded() -> None:
    found = [r.values[0] for r in ERRORS if b"maximum context length is" in r.values[0].body]
    for recording in found:
        assert openai_chat.decode_error(400, {}, recording.body).kind == "overflow"


def test_lines_inside_a_transfer_coding() -> None:
    found = [r for r in recordings() if r.surface == "ollama.chat" and CHUNKED.match(r.body)]
    for recording in found:
        body = re.sub(rb"(?:^|\r\n)[0-9a-f]+\r\n", b"", recording.body)
        answer = fold(decoded("ollama", frames_of([body], Lines)))
        assert isinstance(answer, Answer)
        assert text_of(answer)
        assert answer.usage.known
        assert fold(decoded("ollama", encoded("ollama", unfold(answer)))) == answer
