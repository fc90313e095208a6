"""Anthropic models on Vertex: the Messages API under rawPredict and streamRawPredict."""

from collections.abc import Iterator

from llm_intercept.sim import anthropic
from llm_intercept.sim.answer import Answer
from llm_intercept.sim.errors import anthropic_error
from llm_intercept.sim.frames import Frame
from llm_intercept.sim.prompt import Json, Prompt
from llm_intercept.sim.serve import Call, Stamp, Surface


def _read(call: Call, body: Json) -> Prompt:
    return anthropic.read_body(body, call.path_model, stream=False)


def _read_stream(call: Call, body: Json) -> Prompt:
    """`stream` in the body wins, as it does there; SDKs always send it."""
    return anthropic.read_body(body, call.path_model, stream=body.get("stream") is not False)


def _whole(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    return {**anthropic.whole(prompt, answer, stamp), "id": f"msg_vrtx_{stamp.id}"}


def _stream(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    return anthropic.stream(prompt, answer, stamp)


WHOLE = Surface(_read, _whole, _stream, anthropic_error)
STREAM = Surface(_read_stream, _whole, _stream, anthropic_error)
