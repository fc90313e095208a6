"""The bytes that every target sees: one realistic chat request, its answer, and the events of a stream.

Header fields and sizes are those that the official Python client and the API exchange, because a proxy
pays for each field.
"""

import json

PATH = "/v1/chat/completions"
MODEL = "gpt-4o-mini"
SPARED_MODEL = "bench-spared"  # first goes to a provider that fails
UNROUTED_MODEL = "gpt-4o"
CLAUDE = "claude-sonnet-4-5"
STREAM_MODEL = "streamed"  # for gateways that choose the upstream by the model's name
STREAM_HEADER = "X-Bench-Stream"  # the others pass it on to nginx
MARK = b"stream:0000000000"

_QUESTION = (
    "Explain in two sentences what a reverse proxy is, and name one case in which it should not be used. "
    "Keep it short; the answer is shown in a tooltip."
)


def request_headers(key: str, length: int) -> list[tuple[str, str]]:
    """What the official client sends, less Host."""
    return [
        ("Accept", "application/json"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(length)),
        ("User-Agent", "OpenAI/Python 2.8.1"),
        ("Authorization", f"Bearer {key}"),
        ("X-Stainless-Lang", "python"),
        ("X-Stainless-Package-Version", "2.8.1"),
        ("X-Stainless-OS", "Linux"),
        ("X-Stainless-Arch", "x64"),
        ("X-Stainless-Runtime", "CPython"),
        ("X-Stainless-Runtime-Version", "3.13.0"),
        ("x-stainless-retry-count", "0"),
    ]


def request_body(model: str = MODEL) -> bytes:
    messages = [{"role": "system", "content": "You are terse."}, {"role": "user", "content": _QUESTION}]
    return json.dumps({"model": model, "messages": messages, "temperature": 0.2}).encode()


def stream_body(*, ask_usage: bool, model: str = MODEL) -> bytes:
    """The mark tells `bench/stage.py` which stream it is; in the prompt it survives every gateway."""
    prompt = {"role": "user", "content": f"{_QUESTION} {MARK.decode()}"}
    body = {"model": model, "messages": [prompt], "stream": True}
    if ask_usage:
        body["stream_options"] = {"include_usage": True}
    return json.dumps(body).encode()


def message_body(model: str) -> bytes:
    """The same streamed call as Anthropic's clients make it."""
    prompt = {"role": "user", "content": f"{_QUESTION} {MARK.decode()}"}
    return json.dumps({"model": model, "max_tokens": 8192, "messages": [prompt], "stream": True}).encode()


def request(host: str, key: str, body: bytes, *, streamed: bool = False, path: str = PATH) -> bytes:
    """The whole request as it goes onto the wire."""
    fields = [("Host", host), *request_headers(key, len(body))]
    if streamed:
        fields.append((STREAM_HEADER, "1"))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


# ---- what the upstream answers ----

ANSWER_HEADERS = (
    ("openai-organization", "bench"),
    ("openai-processing-ms", "412"),
    ("openai-version", "2020-10-01"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-limit-tokens", "2000000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-remaining-tokens", "1999950"),
    ("x-request-id", "req_0123456789abcdef0123456789abcdef"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
    ("cf-cache-status", "DYNAMIC"),
)
USAGE = {
    "prompt_tokens": 61,
    "completion_tokens": 96,
    "total_tokens": 157,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_TEXT = (
    "A reverse proxy stands in front of servers and takes requests in their name, so that it can spread "
    "load, end TLS, cache answers and hide how many machines there are. It should not be used where the "
    "client must prove itself to the server end to end, as with mutual TLS that cannot be passed on."
)


def answer() -> bytes:
    """A chat completion of about 1 KB."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": _TEXT, "refusal": None, "annotations": []},
        "logprobs": None,
        "finish_reason": "stop",
    }
    completion = {
        "id": "chatcmpl-BenchBenchBenchBenchBenchBen",
        "object": "chat.completion",
        "created": 1760000000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [choice],
        "usage": USAGE,
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }
    return json.dumps(completion).encode()


def event(payload: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(payload, separators=(",", ":")).encode() + b"\n\n"


def _chunk(choices: list[dict[str, object]], **more: object) -> bytes:
    head = {"id": "chatcmpl-Bench", "object": "chat.completion.chunk", "created": 1760000000}
    return event({**head, "model": MODEL, "choices": choices, **more})


def _token(number: int) -> list[dict[str, object]]:
    return [{"index": 0, "delta": {"content": f" t{number:02d}"}}]


_LAST: list[dict[str, object]] = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
# About 150 bytes each. They differ, because some gateways end a stream that repeats itself.
TOKEN_EVENTS = [_chunk(_token(number)) for number in range(64)]
LAST_EVENT = _chunk(_LAST)
# As OpenAI does when it was asked for usage: a null in each event, and one more event with the numbers.
METERED_TOKEN_EVENTS = [_chunk(_token(number), usage=None) for number in range(64)]
METERED_LAST_EVENT = _chunk(_LAST, usage=None) + _chunk([], usage=USAGE)
DONE_EVENT = b"data: [DONE]\n\n"


def _message_event(kind: str, **more: object) -> bytes:
    return f"event: {kind}\n".encode() + event({"type": kind, **more})


def _text_delta(number: int) -> bytes:
    delta = {"type": "text_delta", "text": f" t{number:02d}"}
    return _message_event("content_block_delta", index=0, delta=delta)


_MESSAGE = {
    "id": "msg_bench",
    "type": "message",
    "role": "assistant",
    "model": CLAUDE,
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 61, "output_tokens": 1},
}
# As Anthropic does: what opens a message, about 120 bytes for each token, and what ends it.
MESSAGE_OPENING = _message_event("message_start", message=_MESSAGE) + _message_event(
    "content_block_start", index=0, content_block={"type": "text", "text": ""}
)
MESSAGE_TOKEN_EVENTS = [_text_delta(number) for number in range(64)]
MESSAGE_END = (
    _message_event("content_block_stop", index=0)
    + _message_event(
        "message_delta",
        delta={"stop_reason": "end_turn", "stop_sequence": None},
        usage={"output_tokens": 96},
    )
    + _message_event("message_stop")
)
TOKEN = b'":" t'
"""Stands once in each event that carries a token, whatever the dialect."""
