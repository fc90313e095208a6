"""What a recorded call must become: the request as a client sends it, the answer as the provider gave
it, and the numbers of its row, read from the recorded body by means that share nothing with the proxy's."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.eventstream import EventStreamBuffer

from tests.wire.recordings import ROOT, Recording

FOLDERS = {"vercel-gw": "vercel", "bedrock-mantle": "bedrock"}
"""Where a folder's name is not that of the provider."""

HOP_BY_HOP = {"content-length", "transfer-encoding", "connection", "content-encoding"}


@dataclass(frozen=True)
class Sent:
    """A recorded request, as a client of ours would send it."""

    method: str
    host: str
    path: str
    headers: dict[str, str]
    body: bytes | None


def sent(recording: Recording) -> Sent:
    request = json.loads((ROOT / recording.name).read_text())["request"]
    body = request["body"]
    data = (
        None if body is None or request["method"] == "GET" else json.dumps(body, ensure_ascii=False).encode()
    )
    # one recorder wrote the rest of the head into the last value
    headers = {name: value.partition("\n")[0] for name, value in request["headers"].items()}
    return Sent(request["method"], request["host"], request["path"], headers, data)


def provider(recording: Recording) -> str:
    return FOLDERS.get(recording.provider, recording.provider)


def answer_fields(recording: Recording) -> list[tuple[str, str]]:
    return [(name, value) for name, value in recording.headers.items() if name not in HOP_BY_HOP]


def documents(recording: Recording) -> list[Any]:
    """All JSON documents of an answer, in order."""
    if recording.content_type.startswith("application/vnd.amazon.eventstream"):
        return list(_from_events(recording.body))
    text = recording.body.decode("utf-8", "replace")
    try:
        whole = json.loads(text)
        return whole if isinstance(whole, list) else [whole]
    except ValueError:
        return list(_from_lines(text))


def _from_events(body: bytes) -> Iterator[Any]:
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    for event in buffer:
        payload = json.loads(event.payload)
        yield json.loads(base64.b64decode(payload["bytes"])) if "bytes" in payload else payload


def _from_lines(text: str) -> Iterator[Any]:
    for line in text.splitlines():
        data = line.removeprefix("data:").strip()
        if data.startswith(("{", "[")) and data != "[DONE]":
            try:
                yield json.loads(data)
            except ValueError:
                continue


# The names under which providers count each part.
PARTS = {
    "cache_read_tokens": (
        "cached_tokens",
        "cache_read_input_tokens",
        "cachedContentTokenCount",
        "cacheReadInputTokens",
        "cacheReadInputTokenCount",
        "prompt_cache_hit_tokens",
        "num_cached_tokens",
    ),
    "cache_write_tokens": (
        "cache_creation_input_tokens",
        "cacheWriteInputTokens",
        "cacheWriteInputTokenCount",
        "cache_write_tokens",
    ),
    "cache_write_1h_tokens": ("ephemeral_1h_input_tokens",),
    "reasoning_tokens": ("reasoning_tokens", "thoughtsTokenCount", "thinking_tokens"),
}


def parts(recording: Recording) -> dict[str, int]:
    """Cache and reasoning parts: of each name the last value in the answer, 0 where there is none."""
    found: dict[str, int] = {}
    for document in documents(recording):
        for name, value in _numbers(document):
            found[name] = value
    return {part: next((found[n] for n in names if found.get(n)), 0) for part, names in PARTS.items()}


def _numbers(value: Any) -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for name, member in value.items():
            if isinstance(member, int) and not isinstance(member, bool):
                yield name, member
            else:
                yield from _numbers(member)
    elif isinstance(value, list):
        for member in value:
            yield from _numbers(member)


def unasked(body: bytes) -> bytes:
    """An OpenAI stream as a client sees it that did not ask for usage: every event but the usage
    chunk, `"usage":null` taken out, everything else byte by byte as it was."""
    events = re.split(rb"(?<=\n\n)", body)
    kept = [event for event in events if not _is_usage_chunk(event)]
    return b"".join(re.sub(rb'("usage":null,|,"usage":null)(?=[^\n]*\n\n$)', b"", event) for event in kept)


def _is_usage_chunk(event: bytes) -> bool:
    data = event.removeprefix(b"data: ").strip()
    if not data.startswith(b"{"):
        return False
    try:
        payload = json.loads(data)
    except ValueError:
        return False
    return payload.get("choices") == [] and bool(payload.get("usage"))
