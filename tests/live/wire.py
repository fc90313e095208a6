"""Provider bytes for scripted upstreams: streams piece by piece, answers, the requests that ask for them."""

import json

CHAT = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "Tell me a story about a lighthouse."}],
}
CHAT_STREAM = {**CHAT, "stream": True}
CHAT_STREAM_ASKED = {**CHAT_STREAM, "stream_options": {"include_usage": True}}
MESSAGES = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": CHAT["messages"]}
MESSAGES_STREAM = {**MESSAGES, "stream": True}
WORDS = ("Once", " upon", " a", " time", " there", " was", " a", " lighthouse", " by", " the", " sea")

COMPLETIONS = "/openai/v1/chat/completions"
ANTHROPIC = "/anthropic/v1/messages"


def event(payload: object, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode()


def chat_chunk(text: str, finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    common = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
    }
    return event({**common, "choices": [choice], **more})


def chat_usage(prompt: int = 14, completion: int = 11) -> bytes:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    common = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
    }
    return event({**common, "choices": [], "usage": usage})


DONE = b"data: [DONE]\n\n"


def chat_stream(usage: bool = True) -> list[bytes]:
    """As OpenAI streams it: with `usage: null` in each chunk, if usage was asked for."""
    more: dict[str, object] = {"usage": None} if usage else {}
    words = [chat_chunk(word, **more) for word in WORDS]
    return [*words, chat_chunk("", "stop", **more), *([chat_usage()] if usage else []), DONE]


def chat_answer(text: str = "Once upon a time") -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 14, "completion_tokens": 4, "total_tokens": 18}
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
    }
    return json.dumps({**answer, "choices": [choice], "usage": usage}).encode()


def message_start() -> bytes:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 20, "cache_read_input_tokens": 5, "output_tokens": 1},
    }
    return event({"type": "message_start", "message": message}, "message_start")


def message_delta(text: str) -> bytes:
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return event(delta, "content_block_delta")


def message_stream() -> list[bytes]:
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 13}}
    return [
        message_start(),
        event(block, "content_block_start"),
        *(message_delta(word) for word in WORDS),
        event({"type": "content_block_stop", "index": 0}, "content_block_stop"),
        event(end, "message_delta"),
        event({"type": "message_stop"}, "message_stop"),
    ]
