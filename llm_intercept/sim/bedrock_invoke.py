"""Bedrock InvokeModel: each family of models has its own body; the stream wraps the family's chunks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from llm_intercept.sim import anthropic, bedrock_converse, openai_chat
from llm_intercept.sim.answer import Answer, Counts
from llm_intercept.sim.bedrock_converse import EVENT_STREAM
from llm_intercept.sim.errors import bedrock_error
from llm_intercept.sim.frames import Frame, aws_chunk
from llm_intercept.sim.prompt import Json, Prompt, as_dict, positive, strings
from llm_intercept.sim.serve import Call, Headers, Stamp, Surface
from llm_intercept.sim.tokens import count

type Chunks = Iterator[tuple[Json, int]]


@dataclass(frozen=True, slots=True)
class Family:
    """How one family of models reads, answers whole, and answers in chunks."""

    read: Callable[[Call, Json], Prompt]
    whole: Callable[[Prompt, Answer, Stamp], Json]
    chunks: Callable[[Prompt, Answer, Stamp], Chunks]


def _text_reader(field: str, limit: str) -> Callable[[Call, Json], Prompt]:
    def read(call: Call, body: Json) -> Prompt:
        text = str(body.get(field, ""))
        config = as_dict(body.get("textGenerationConfig")) or body
        stops = config.get("stop_sequences", config.get("stopSequences", config.get("stop")))
        return Prompt(
            model=call.path_model,
            text=text,
            input_tokens=count(text),
            max_output=positive(config.get(limit)),
            stops=strings(stops),
            body=body,
        )

    return read


def _read_anthropic(call: Call, body: Json) -> Prompt:
    return anthropic.read_body(body, call.path_model, stream=False)


def _whole_anthropic(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    return {**anthropic.whole(prompt, answer, stamp), "id": f"msg_bdrk_{stamp.id}"}


def _read_nova(call: Call, body: Json) -> Prompt:
    return bedrock_converse.read_body(body, call.path_model)


def _nova_usage(counts: Counts) -> Json:
    usage: Json = {"inputTokens": counts.fresh, "outputTokens": counts.output, "totalTokens": counts.total}
    cached = {"cacheReadInputTokenCount": counts.cache_read, "cacheWriteInputTokenCount": counts.cache_write}
    return {**usage, **cached}


def _whole_nova(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    message = {"content": bedrock_converse.content(answer, stamp), "role": "assistant"}
    reason = bedrock_converse.stop_reason(answer)
    return {"output": {"message": message}, "stopReason": reason, "usage": _nova_usage(answer.counts)}


def _nova_chunks(prompt: Prompt, answer: Answer, stamp: Stamp) -> Chunks:
    for kind, payload, tokens in bedrock_converse.events(answer, stamp):
        yield {kind: payload}, tokens
    yield {"metadata": {"usage": _nova_usage(answer.counts), "metrics": {}, "trace": {}}}, 0


def _limit(answer: Answer, limit: str, stop: str) -> str:
    return limit if answer.finish == "length" else stop


def _whole_llama(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    counts = answer.counts
    counted = {"prompt_token_count": counts.input, "generation_token_count": counts.output}
    return {"generation": answer.whole_text, **counted, "stop_reason": _limit(answer, "length", "stop")}


def _llama_chunks(prompt: Prompt, answer: Answer, stamp: Stamp) -> Chunks:
    last = len(answer.text) - 1
    for i, piece in enumerate(answer.text):
        counted = {"prompt_token_count": None if i else answer.counts.input, "generation_token_count": i + 1}
        reason = _limit(answer, "length", "stop") if i == last else None
        yield {"generation": piece, **counted, "stop_reason": reason}, 1


def _whole_mistral(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    return {"outputs": [{"text": answer.whole_text, "stop_reason": _limit(answer, "length", "stop")}]}


def _mistral_chunks(prompt: Prompt, answer: Answer, stamp: Stamp) -> Chunks:
    last = len(answer.text) - 1
    for i, piece in enumerate(answer.text):
        reason = _limit(answer, "length", "stop") if i == last else None
        yield {"outputs": [{"text": piece, "stop_reason": reason}]}, 1


def _whole_titan(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    result = {"tokenCount": answer.counts.output, "outputText": answer.whole_text}
    reason = _limit(answer, "LENGTH", "FINISH")
    return {"inputTextTokenCount": answer.counts.input, "results": [{**result, "completionReason": reason}]}


def _titan_chunks(prompt: Prompt, answer: Answer, stamp: Stamp) -> Chunks:
    last = len(answer.text) - 1
    for i, piece in enumerate(answer.text):
        ended = i == last
        yield (
            {
                "outputText": piece,
                "index": 0,
                "totalOutputTextTokenCount": answer.counts.output if ended else None,
                "completionReason": _limit(answer, "LENGTH", "FINISH") if ended else None,
                "inputTextTokenCount": None if i else answer.counts.input,
            },
            1,
        )


def _whole_cohere(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    reason = _limit(answer, "MAX_TOKENS", "COMPLETE")
    made = {"finish_reason": reason, "id": stamp.new_id(32), "text": answer.whole_text}
    return {"generations": [made], "id": stamp.id, "prompt": prompt.text}


def _cohere_chunks(prompt: Prompt, answer: Answer, stamp: Stamp) -> Chunks:
    for piece in answer.text:
        yield {"is_finished": False, "text": piece}, 1
    yield {"finish_reason": _limit(answer, "MAX_TOKENS", "COMPLETE"), "is_finished": True}, 0


def _whole_command_r(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    reason = _limit(answer, "MAX_TOKENS", "COMPLETE")
    said = [
        {"role": "USER", "message": prompt.text},
        {"role": "CHATBOT", "message": answer.whole_text},
    ]
    ids = {"response_id": stamp.id, "generation_id": stamp.new_id(32)}
    return {**ids, "chat_history": said, "text": answer.whole_text, "finish_reason": reason}


def _command_r_chunks(prompt: Prompt, answer: Answer, stamp: Stamp) -> Chunks:
    for piece in answer.text:
        yield {"event_type": "text-generation", "is_finished": False, "text": piece}, 1
    reason = _limit(answer, "MAX_TOKENS", "COMPLETE")
    end = {"event_type": "stream-end", "is_finished": True, "finish_reason": reason}
    yield {**end, "response": _whole_command_r(prompt, answer, stamp)}, 0


def _whole_chat(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    return openai_chat.whole(prompt, answer, stamp)


_ANTHROPIC = Family(_read_anthropic, _whole_anthropic, anthropic.events)
_NOVA = Family(_read_nova, _whole_nova, _nova_chunks)
_LLAMA = Family(_text_reader("prompt", "max_gen_len"), _whole_llama, _llama_chunks)
_MISTRAL = Family(_text_reader("prompt", "max_tokens"), _whole_mistral, _mistral_chunks)
_TITAN = Family(_text_reader("inputText", "maxTokenCount"), _whole_titan, _titan_chunks)
_COHERE = Family(_text_reader("prompt", "max_tokens"), _whole_cohere, _cohere_chunks)
_COMMAND_R = Family(_text_reader("message", "max_tokens"), _whole_command_r, _command_r_chunks)
_CHAT = Family(openai_chat.read, _whole_chat, openai_chat.chunks)


def family(model: str, body: Json) -> Family:
    """By the body first, because `sim/echo` names no family; chat bodies of others are OpenAI's."""
    if "anthropic_version" in body:
        return _ANTHROPIC
    if "messages" in body:
        return _NOVA if "nova" in model or "schemaVersion" in body or "inferenceConfig" in body else _CHAT
    if "inputText" in body:
        return _TITAN
    if "message" in body:
        return _COMMAND_R
    if "max_gen_len" in body or "llama" in model:
        return _LLAMA
    return _COHERE if "cohere" in model else _MISTRAL


def _read(call: Call, body: Json) -> Prompt:
    prompt = family(call.path_model, body).read(call, body)
    return replace(prompt, model=call.path_model, stream=False)


def _read_stream(call: Call, body: Json) -> Prompt:
    return replace(_read(call, body), stream=True)


def _whole(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    return family(prompt.model, prompt.body).whole(prompt, answer, stamp)


def _metrics(counts: Counts) -> Json:
    used = {"inputTokenCount": counts.fresh, "outputTokenCount": counts.output}
    times = {"invocationLatency": 1, "firstByteLatency": 1}
    cached = {"cacheReadInputTokenCount": counts.cache_read, "cacheWriteInputTokenCount": counts.cache_write}
    return {**used, **times, **cached}


def _stream(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    """The last chunk carries the metrics."""
    chunks = list(family(prompt.model, prompt.body).chunks(prompt, answer, stamp))
    for payload, tokens in chunks[:-1]:
        yield aws_chunk(payload, tokens)
    for payload, tokens in chunks[-1:]:
        metrics = {"amazon-bedrock-invocationMetrics": _metrics(answer.counts)}
        yield aws_chunk({**payload, **metrics}, tokens)


def _headers(prompt: Prompt, answer: Answer, stamp: Stamp) -> Headers:
    if prompt.stream:
        return (("x-amzn-RequestId", stamp.id), ("x-amzn-bedrock-content-type", "application/json"))
    counts = answer.counts
    return (
        ("x-amzn-RequestId", stamp.id),
        ("x-amzn-bedrock-invocation-latency", "1"),
        ("x-amzn-bedrock-input-token-count", str(counts.fresh)),
        ("x-amzn-bedrock-output-token-count", str(counts.output)),
        ("x-amzn-bedrock-cache-read-input-token-count", str(counts.cache_read)),
        ("x-amzn-bedrock-cache-write-input-token-count", str(counts.cache_write)),
    )


WHOLE = Surface(_read, _whole, _stream, bedrock_error, headers=_headers)
STREAM = Surface(_read_stream, _whole, _stream, bedrock_error, EVENT_STREAM, _headers)
