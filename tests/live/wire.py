"""Provider bytes for scripted upstreams: streams piece by piece, answers, the requests that ask for them."""

import json
import struct
import zlib

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


def message_answer() -> bytes:
    content = [{"type": "text", "text": "Once upon a time"}]
    usage = {"input_tokens": 20, "output_tokens": 4}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5"}
    return json.dumps({**message, "content": content, "stop_reason": "end_turn", "usage": usage}).encode()


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


GEMINI = "/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent"
GEMINI_BODY = {"contents": [{"role": "user", "parts": [{"text": "Tell me a story."}]}]}


def gemini_chunks() -> list[bytes]:
    """The documents of a Gemini stream, counters growing."""
    found = []
    for number, word in enumerate(WORDS, 1):
        last = number == len(WORDS)
        candidate = {"content": {"role": "model", "parts": [{"text": word}]}, "index": 0}
        if last:
            candidate["finishReason"] = "STOP"
        usage = {"promptTokenCount": 6, "candidatesTokenCount": number, "totalTokenCount": 6 + number}
        document = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"}
        found.append(json.dumps(document).encode())
    return found


def gemini_array() -> list[bytes]:
    """As it comes without `alt=sse`: one JSON array, element by element."""
    first, *rest = gemini_chunks()
    return [b"[" + first, *(b"\n,\r\n" + chunk for chunk in rest), b"\n]\n"]


CONVERSE = "/bedrock/model/amazon.nova-micro-v1%3A0/converse-stream"
CONVERSE_BODY = {"messages": [{"role": "user", "content": [{"text": "Tell me a story."}]}]}


def aws_event(name: str, payload: object) -> bytes:
    """A frame of application/vnd.amazon.eventstream."""
    fields = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        struct.pack("!B", len(k)) + k.encode() + struct.pack("!BH", 7, len(v)) + v.encode()
        for k, v in fields.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", len(headers) + len(body) + 16, len(headers))
    frame = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + body
    return frame + struct.pack("!I", zlib.crc32(frame))


def converse_stream() -> list[bytes]:
    usage = {"inputTokens": 6, "outputTokens": 11, "totalTokens": 17, "cacheReadInputTokens": 3}
    return [
        aws_event("messageStart", {"role": "assistant"}),
        *(
            aws_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}})
            for word in WORDS
        ),
        aws_event("contentBlockStop", {"contentBlockIndex": 0}),
        aws_event("messageStop", {"stopReason": "end_turn"}),
        aws_event("metadata", {"usage": usage, "metrics": {"latencyMs": 5}}),
    ]
