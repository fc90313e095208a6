"""Estimates of a prompt's tokens: what counts, how images weigh, that nothing breaks them."""

import struct
import zlib
from base64 import b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.wire import estimate
from llm_intercept.wire.imagesize import image_size


def png(width: int, height: int) -> bytes:
    head = struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + head
        + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    )


def jpeg(width: int, height: int) -> bytes:
    exif = b"\xff\xe1" + struct.pack(">H", 402) + bytes(400)
    return b"\xff\xd8" + exif + b"\xff\xff\xc2" + struct.pack(">HBHH", 11, 8, height, width) + bytes(9)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height)


def webp(width: int, height: int, kind: bytes) -> bytes:
    start = b"RIFF\0\0\0\0WEBP" + kind + bytes(4)
    if kind == b"VP8X":
        return start + bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    if kind == b"VP8L":
        return start + b"\x2f" + (width - 1 | height - 1 << 14).to_bytes(4, "little") + bytes(9)
    return start + bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height)


@pytest.mark.parametrize(
    "data",
    [
        png(640, 480),
        jpeg(640, 480),
        gif(640, 480),
        webp(640, 480, b"VP8X"),
        webp(640, 480, b"VP8L"),
        webp(640, 480, b"VP8 "),
    ],
)
def test_sizes_of_images(data: bytes):
    assert image_size(data) == (640, 480)
    for end in range(len(data) - 1):
        assert image_size(data[:end]) in (None, (640, 480))


@given(
    st.binary(max_size=60),
    st.sampled_from([b"", b"\xff\xd8", b"RIFF0000WEBPVP8 ", b"\x89PNG\r\n\x1a\n", b"GIF89a"]),
)
def test_no_bytes_break_the_sizes(data: bytes, start: bytes):
    found = image_size(start + data)
    assert found is None or min(found) > 0


def count(text: str) -> int:
    return len(text.split())


def tokens(dialect: str, body: dict[str, Any]) -> int:
    return estimate.tokens(dialect, orjson.dumps(body), count)


FRAME = estimate.PER_MESSAGE + estimate.PER_ANSWER
WORDS = "one two three"
TEXTS: list[tuple[str, dict[str, Any]]] = [
    ("anthropic", {"messages": [{"role": "user", "content": WORDS}]}),
    ("openai_responses", {"input": [{"role": "user", "content": WORDS}]}),
    ("gemini", {"contents": [{"parts": [{"text": WORDS}]}]}),
    ("gemini", {"generateContentRequest": {"contents": [{"parts": [{"text": WORDS}]}]}}),
    ("bedrock_converse", {"input": {"converse": {"messages": [{"content": [{"text": WORDS}]}]}}}),
]


@pytest.mark.parametrize(("dialect", "body"), TEXTS)
def test_words_in_every_dialect(dialect: str, body: dict[str, Any]):
    assert tokens(dialect, body) == 3 + FRAME
    assert b":7" in orjson.dumps(estimate.ANSWERS[dialect](7))


def test_bedrock_s_invoke_has_its_body_in_base64():
    inner = orjson.dumps({"messages": [{"role": "user", "content": WORDS}]})
    assert (
        tokens("bedrock_converse", {"input": {"invokeModel": {"body": b64encode(inner).decode()}}})
        == 3 + FRAME
    )


def data(raw: bytes) -> str:
    return b64encode(raw).decode()


PHOTO = data(png(750, 1000))
MEDIA: list[tuple[str, dict[str, Any], int]] = [
    (
        "anthropic",
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PHOTO}},
        1000,
    ),
    (
        "anthropic",
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data(png(75, 10))}},
        1,
    ),
    ("anthropic", {"type": "image", "source": {"type": "base64", "data": data(png(8000, 8000))}}, 1600),
    ("anthropic", {"type": "image", "source": {"type": "base64", "data": "?"}}, 1600),
    ("anthropic", {"type": "image", "source": {"type": "url", "url": "https://example.com/x"}}, 1600),
    ("anthropic", {"type": "document", "source": {"type": "url", "url": "https://example.com/x"}}, 2000),
    ("anthropic", {"type": "document", "source": {"type": "text", "data": "four words are here"}}, 4),
    (
        "anthropic",
        {
            "type": "document",
            "source": {"media_type": "application/pdf", "data": data(b"/Type /Page /Type/Page /Type /Pages")},
        },
        4000,
    ),
    ("anthropic", {"type": "tool_result", "content": [{"type": "image", "source": {"data": PHOTO}}]}, 1000),
    ("openai_responses", {"type": "input_image", "image_url": f"data:image/png;base64,{PHOTO}"}, 1000),
    ("openai_responses", {"type": "input_image", "image_url": "https://example.com/x.png"}, 1600),
    ("openai_responses", {"type": "input_file", "file_id": "file-1"}, 258),
    ("openai_responses", {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA"}, 2000),
    ("gemini", {"inlineData": {"mimeType": "image/png", "data": PHOTO}}, 1000),
    ("gemini", {"inlineData": {"mimeType": "text/plain", "data": data(b"two words")}}, 2),
    ("gemini", {"inlineData": {"mimeType": "audio/mp3", "data": data(bytes(50_000))}}, 101),
    ("gemini", {"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/x"}}, 258),
    ("bedrock_converse", {"image": {"format": "png", "source": {"bytes": PHOTO}}}, 1000),
    ("bedrock_converse", {"document": {"format": "csv", "name": "", "source": {"bytes": data(b"a b c")}}}, 3),
]
WRAPPED = {
    "anthropic": lambda part: {"messages": [{"role": "user", "content": [part]}]},
    "openai_responses": lambda part: {"input": [{"role": "user", "content": [part]}]},
    "gemini": lambda part: {"contents": [{"parts": [part]}]},
    "bedrock_converse": lambda part: {"input": {"converse": {"messages": [{"content": [part]}]}}},
}


@pytest.mark.parametrize(("dialect", "part", "weight"), MEDIA)
def test_media(dialect: str, part: dict[str, Any], weight: int):
    named = 1 if dialect == "bedrock_converse" else 0  # `format` is a word as good as any
    assert tokens(dialect, WRAPPED[dialect](part)) - FRAME == weight + named


def test_tools_and_system_count():
    body: dict[str, Any] = {"messages": [{"role": "user", "content": WORDS}]}
    system = tokens("anthropic", body | {"system": [{"type": "text", "text": "be short"}]})
    tools = tokens("anthropic", body | {"tools": [{"name": "x", "description": "does what it says"}]})
    assert system == tokens("anthropic", body) + 2
    assert tools >= tokens("anthropic", body) + 4


MEMBERS = (
    *("messages", "contents", "input", "content", "source", "data", "image_url", "url", "tools", "type"),
    *("inlineData", "fileData", "bytes", "images", "converse", "invokeModel", "body", "format", "text"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(MEMBERS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(estimate.ANSWERS)), JSON)
def test_any_body_has_a_number(dialect: str, body: Any):
    assert estimate.tokens(dialect, orjson.dumps(body), count) >= estimate.PER_ANSWER


def test_what_is_no_json_has_one_as_well():
    assert estimate.tokens("anthropic", b"\xff{", count) == estimate.PER_ANSWER
