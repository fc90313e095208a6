"""OpenAI's older text completions."""

from collections.abc import Iterator

from llm_intercept.sim.answer import Answer, Counts
from llm_intercept.sim.errors import openai_error
from llm_intercept.sim.frames import Frame, sse
from llm_intercept.sim.openai_chat import headers
from llm_intercept.sim.prompt import Json, Prompt, as_dict, as_list, positive, strings
from llm_intercept.sim.serve import Call, Stamp, Surface
from llm_intercept.sim.tokens import weigh

_DEFAULT_MAX = 16


def _read(call: Call, body: Json) -> Prompt:
    prompts = as_list(body.get("prompt"))
    numbers = [p for p in prompts if isinstance(p, int)]
    texts = [p for p in prompts if isinstance(p, str)]
    return Prompt(
        model=str(body.get("model") or call.path_model),
        text=texts[-1] if texts else "",
        input_tokens=weigh(texts) + len(numbers),
        max_output=positive(body.get("max_tokens")) or _DEFAULT_MAX,
        stops=strings(body.get("stop")),
        stream=body.get("stream") is True,
        n=(positive(body.get("n")) or 1) * max(1, len(texts)),
        body=body,
    )


def _usage(counts: Counts) -> Json:
    return {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.total,
    }


def _envelope(prompt: Prompt, stamp: Stamp, choices: list[Json]) -> Json:
    made = {"id": f"cmpl-{stamp.id}", "object": "text_completion", "created": stamp.created}
    return {**made, "model": prompt.model, "choices": choices}


def _choice(index: int, text: str, finish: str | None) -> Json:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}


def _finish(answer: Answer) -> str:
    return "length" if answer.finish == "length" else "stop"


def _whole(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    choices = [_choice(i, answer.whole_text, _finish(answer)) for i in range(prompt.n)]
    return {**_envelope(prompt, stamp, choices), "usage": _usage(answer.counts)}


def _stream(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    with_usage = as_dict(prompt.body.get("stream_options")).get("include_usage") is True
    extra: Json = {"usage": None} if with_usage else {}
    for index in range(prompt.n):
        for piece in answer.text:
            yield sse({**_envelope(prompt, stamp, [_choice(index, piece, None)]), **extra}, tokens=1)
        yield sse({**_envelope(prompt, stamp, [_choice(index, "", _finish(answer))]), **extra})
    if with_usage:
        yield sse({**_envelope(prompt, stamp, []), "usage": _usage(answer.counts)})
    yield Frame(b"data: [DONE]\n\n")


SURFACE = Surface(_read, _whole, _stream, openai_error, headers=headers, pretty=True)
