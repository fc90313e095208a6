"""OpenAI's images and audio: a real PNG, a transcript with usage, silence that players accept."""

import base64
import hashlib
import struct
import zlib
from collections.abc import Iterator

from aiohttp import web

from llm_intercept.sim.errors import openai_error
from llm_intercept.sim.frames import Frame, sse
from llm_intercept.sim.multipart import buffer, fields, parts
from llm_intercept.sim.prompt import Json, positive
from llm_intercept.sim.serve import (
    BadRequest,
    Call,
    begin,
    send_bytes,
    send_json,
    send_stream,
    stamp,
)
from llm_intercept.sim.tokens import count, pieces

IMAGE_TOKENS = 272  # of each image that is made
AUDIO_BYTES_PER_TOKEN = 1_600
AUDIO_BYTES_PER_SECOND = 32_000  # 16 kHz, 16 bit
TRANSCRIPT = "This is what the simulator heard."
_MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(413)  # 26 ms of silence
_SPEECH_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


def png(text: str, edge: int = 8) -> bytes:
    """A square in one colour, chosen by the text."""
    colour = hashlib.sha256(text.encode()).digest()[:3]
    rows = (b"\x00" + colour * edge) * edge
    header = struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_png_chunk, chunks))


def _png_chunk(chunk: tuple[bytes, bytes]) -> bytes:
    kind, data = chunk
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


async def images(call: Call) -> web.StreamResponse:
    """Generations (JSON) and edits (multipart) alike."""
    body: Json = call.json() if "json" in call.header("content-type") else dict(_form(call)[0])
    model = str(body.get("model") or "gpt-image-1")
    if refused := await begin(call, model, openai_error):
        return refused
    text, n = str(body.get("prompt", "")), positive(body.get("n")) or 1
    encoded = base64.b64encode(png(text)).decode()
    usage = _image_usage(count(text), IMAGE_TOKENS * n)
    if body.get("stream") is True:
        fate = call.fate(model)
        return await send_stream(call, _image_events(encoded, usage, call), fate, "text/event-stream")
    made = {"url": f"data:image/png;base64,{encoded}"} if body.get("response_format") == "url" else None
    answer = {"created": stamp(call.simulator).created, "data": [made or {"b64_json": encoded}] * n}
    about = {"background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}
    return await send_json(call, {**answer, **about, "usage": usage})


def _image_usage(text: int, made: int) -> Json:
    details = {"image_tokens": 0, "text_tokens": text}
    used = {"input_tokens": text, "input_tokens_details": details, "output_tokens": made}
    return {
        **used,
        "output_tokens_details": {"image_tokens": made, "text_tokens": 0},
        "total_tokens": text + made,
    }


def _image_events(encoded: str, usage: Json, call: Call) -> Iterator[Frame]:
    about = {"background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}
    base = {"b64_json": encoded, "created_at": stamp(call.simulator).created, **about}
    kind = "image_generation.partial_image"
    yield sse({"type": kind, **base, "partial_image_index": 0}, kind, 1)
    yield sse({"type": "image_generation.completed", **base, "usage": usage}, "image_generation.completed", 1)


def _form(call: Call) -> tuple[dict[str, str], int]:
    """(text fields, bytes of the file) of a multipart body."""
    data = buffer(call.file)
    found = list(parts(data, call.header("content-type")))
    return fields(data, found), sum(p.size for p in found if p.filename is not None)


async def transcriptions(call: Call) -> web.StreamResponse:
    form, size = _form(call)
    if not form:
        raise BadRequest("a multipart/form-data body with 'file' and 'model' is required")
    model = form.get("model", "")
    if refused := await begin(call, model, openai_error):
        return refused
    usage = transcript_usage(model, size)
    if form.get("stream") == "true" and not model.startswith("whisper"):
        fate = call.fate(model)
        return await send_stream(call, _transcript_events(usage), fate, "text/event-stream")
    match form.get("response_format", "json"):
        case "text" | "srt" | "vtt":
            return send_bytes(call, f"{TRANSCRIPT}\n".encode(), "text/plain; charset=utf-8")
        case "verbose_json":
            about = {"task": "transcribe", "language": "english", "duration": _seconds(size), "segments": []}
            return await send_json(call, {**about, "text": TRANSCRIPT, "usage": usage})
    return await send_json(call, {"text": TRANSCRIPT, "usage": usage})


def _seconds(size: int) -> int:
    return -(-size // AUDIO_BYTES_PER_SECOND)


def transcript_usage(model: str, size: int) -> Json:
    """Whisper is metered by the second, the others by the token (one for each started 1,600 bytes)."""
    if model.startswith("whisper"):
        return {"type": "duration", "seconds": _seconds(size)}
    heard, said = -(-size // AUDIO_BYTES_PER_TOKEN), count(TRANSCRIPT)
    used = {"type": "tokens", "input_tokens": heard, "output_tokens": said, "total_tokens": heard + said}
    return {**used, "input_token_details": {"text_tokens": 0, "audio_tokens": heard}}


def _transcript_events(usage: Json) -> Iterator[Frame]:
    for piece in pieces(TRANSCRIPT):
        yield sse({"type": "transcript.text.delta", "delta": piece}, tokens=1)
    yield sse({"type": "transcript.text.done", "text": TRANSCRIPT, "usage": usage})


async def speech(call: Call) -> web.StreamResponse:
    """Silence, a frame of it for each token that is spoken; chunked, as the API streams it."""
    body = call.json()
    model, tokens = str(body.get("model", "")), count(str(body.get("input", "")))
    if refused := await begin(call, model, openai_error):
        return refused
    fate = call.fate(model)
    if body.get("stream_format") == "sse":
        return await send_stream(call, _speech_events(tokens), fate, "text/event-stream")
    wanted = str(body.get("response_format", "mp3"))
    frames = [Frame(_wav_head(tokens) if wanted == "wav" else b""), *[Frame(_sound(wanted), 1)] * tokens]
    kind = _SPEECH_TYPES.get(wanted, "audio/mpeg")
    return await send_stream(call, [f for f in frames if f.data], fate, kind)


def _sound(wanted: str) -> bytes:
    return bytes(len(_MP3_FRAME) - 1) if wanted in ("wav", "pcm") else _MP3_FRAME


def _wav_head(tokens: int) -> bytes:
    size = tokens * (len(_MP3_FRAME) - 1)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 24_000, 48_000, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", size + 36, b"WAVE") + form + struct.pack("<4sI", b"data", size)


def _speech_events(tokens: int) -> Iterator[Frame]:
    for _ in range(tokens):
        yield sse({"type": "speech.audio.delta", "audio": base64.b64encode(_MP3_FRAME).decode()}, tokens=1)
    usage = {"input_tokens": tokens, "output_tokens": tokens, "total_tokens": 2 * tokens}
    yield sse({"type": "speech.audio.done", "usage": usage})
