"""Anthropic's other operations: counting tokens, and the old text completions."""

from collections.abc import Iterator

from aiohttp import web

from llm_intercept.sim.answer import Answer
from llm_intercept.sim.anthropic import headers, input_tokens
from llm_intercept.sim.errors import anthropic_error
from llm_intercept.sim.frames import Frame, sse
from llm_intercept.sim.prompt import Json, Prompt, positive, strings
from llm_intercept.sim.serve import Call, Stamp, Surface, begin, send_json
from llm_intercept.sim.tokens import count


async def count_tokens(call: Call) -> web.StreamResponse:
    body = call.json()
    if refused := await begin(call, str(body.get("model") or call.path_model), anthropic_error):
        return refused
    return await send_json(call, {"input_tokens": input_tokens(body)})


def _read(call: Call, body: Json) -> Prompt:
    written = str(body.get("prompt", ""))
    question = written.rpartition("Human:")[2].partition("\n\nAssistant:")[0]
    return Prompt(
        model=str(body.get("model", "")),
        text=question.strip(),
        input_tokens=count(written),
        max_output=positive(body.get("max_tokens_to_sample")),
        stops=strings(body.get("stop_sequences")),
        stream=body.get("stream") is True,
        body=body,
    )


def _state(prompt: Prompt, stamp: Stamp, text: str, answer: Answer | None) -> Json:
    """One completion object; `answer` is given with the last."""
    reason = None if answer is None else "max_tokens" if answer.finish == "length" else "stop_sequence"
    stop = (answer.stop or "\n\nHuman:") if answer is not None and reason == "stop_sequence" else None
    made = {"type": "completion", "id": f"compl_{stamp.id}", "completion": text, "stop_reason": reason}
    return {**made, "model": prompt.model, "stop": stop, "log_id": f"compl_{stamp.id}"}


def _whole(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    return _state(prompt, stamp, answer.whole_text, answer)


def _stream(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    for number, piece in enumerate(answer.text):
        yield sse(_state(prompt, stamp, piece, None), "completion", 1)
        if number == 0:
            yield sse({"type": "ping"}, "ping")
    yield sse(_state(prompt, stamp, "", answer), "completion")


COMPLETE = Surface(_read, _whole, _stream, anthropic_error, headers=headers)
