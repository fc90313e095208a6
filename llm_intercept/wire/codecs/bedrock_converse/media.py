"""Images, documents, video and audio: `{format, source: {bytes | s3Location | text | content}}`.

`bytes` are base64 in JSON. Converse fetches nothing but S3, so any other address cannot be said.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Literal

from llm_intercept.wire.codecs.bedrock_converse.terms import NAME, Members, extras, own, string
from llm_intercept.wire.fields import mapping, objects
from llm_intercept.wire.ir import NO_EXTRAS, Extras, Json, Media, Opaque

type Kind = Literal["image", "document", "audio", "video"]

TYPES: dict[Kind, dict[str, str]] = {
    "image": {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
    "document": {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    "video": {
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "mp4": "video/mp4",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "mpg": "video/mpg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    "audio": {
        "mp3": "audio/mpeg",
        "wav": "audio/wav",
        "flac": "audio/flac",
        "ogg": "audio/ogg",
        "opus": "audio/opus",
        "aac": "audio/aac",
        "m4a": "audio/mp4",
        "pcm": "audio/pcm",
        "webm": "audio/webm",
    },
}
FORMATS = {(kind, media): word for kind, words in TYPES.items() for word, media in words.items()} | {
    ("image", "image/jpg"): "jpeg",
    ("document", "text/x-markdown"): "md",
    ("document", "application/csv"): "csv",
    ("audio", "audio/x-wav"): "wav",
    ("audio", "audio/mp3"): "mp3",
    ("audio", "audio/x-m4a"): "m4a",
}
# How base64 of well-known files begins, for media that come without a type.
STARTS = {"iVBORw": "png", "/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp", "JVBERi": "pdf"}
TEXTUAL = frozenset({"txt", "md", "csv", "html"})
# The documentation leaves the underscore out, the service takes it.
UNNAMEABLE = re.compile(r"[^A-Za-z0-9_\s\-()\[\]]")
LONGEST_NAME = 200


def read(kind: Kind, block: Members) -> Media | Opaque:
    """One block's content; what has no source that we know stays opaque."""
    source = mapping(block.get("source"))
    word = string(block.get("format"))
    media_type = TYPES[kind].get(word, f"{kind}/{word}" if word else "")
    name = string(block.get("name"))
    left = extras(block, "format", "source", "name")
    if isinstance(data := source.get("bytes"), str):
        text = _plain(data) if kind == "document" and word in TEXTUAL else None
        if text is not None:
            return Media(kind, media_type, text=text, name=name, extras=left)
        return Media(kind, media_type, data=data, name=name, extras=left)
    if isinstance(text := source.get("text"), str):
        return Media(kind, media_type or "text/plain", text=text, name=name, extras=left)
    return _elsewhere(kind, media_type, block, left)


def _elsewhere(kind: Kind, media_type: str, block: Members, left: Extras) -> Media | Opaque:
    """In S3, or in pieces: the source is kept as it is, for this dialect."""
    source, name = mapping(block.get("source")), string(block.get("name"))
    kept: Extras = {NAME: {**own(left), "source": source}}
    if pieces := objects(source.get("content")):
        text = "\n".join(string(piece.get("text")) for piece in pieces)
        return Media(kind, media_type or "text/plain", text=text, name=name, extras=kept)
    place = mapping(source.get("s3Location"))
    if address := string(place.get("uri")):
        more = kept if len(place) > 1 else left
        return Media(kind, media_type, url=address, name=name, extras=more or NO_EXTRAS)
    return Opaque(NAME, {kind: block})


def _plain(data: str) -> str | None:
    """The text of a text file, if that is what it is."""
    try:
        text = b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return text if b64encode(text.encode()).decode() == data else None


def write(media: Media, names: set[str]) -> Members | None:
    """The block, or None for what Converse cannot take. `names` are the documents' names so far."""
    word, source = format_of(media), _source(media)
    if not word or source is None:
        return None
    block: Members = {"format": word}
    if media.kind == "document":
        block["name"] = document_name(media.name, names)
    block["source"] = source
    return {media.kind: block | {key: value for key, value in own(media.extras).items() if key != "source"}}


def format_of(media: Media) -> str:
    """The word for its type; "" for a type that Converse does not know."""
    known = media.media_type.partition(";")[0].strip().lower()
    if (media.kind, known) in FORMATS:
        return FORMATS[media.kind, known]
    by_start = next((word for start, word in STARTS.items() if media.data.startswith(start)), "")
    if by_start in TYPES[media.kind]:
        return by_start
    if media.text or known.startswith("text/"):
        return "txt" if media.kind == "document" else ""
    end = media.url.rpartition(".")[2].lower()
    return end if end in TYPES[media.kind] else ""


def _source(media: Media) -> Mapping[str, Json] | None:
    if kept := own(media.extras).get("source"):
        return mapping(kept)
    if media.data:
        return {"bytes": media.data}
    if media.text:
        return _text_source(media)
    if media.url.startswith("s3://"):
        return {"s3Location": {"uri": media.url}}
    head, comma, data = media.url.partition(",")
    return {"bytes": data} if head.startswith("data:") and head.endswith(";base64") and comma else None


def _text_source(media: Media) -> Mapping[str, Json]:
    """`text` is taken only where citations are asked for."""
    if mapping(own(media.extras).get("citations")).get("enabled") is True:
        return {"text": media.text}
    return {"bytes": b64encode(media.text.encode("utf-8", "replace")).decode()}


def document_name(name: str, taken: set[str]) -> str:
    """A name as AWS wants it: few kinds of characters, single blanks, and no two the same in a request."""
    stem = name.rsplit(".", 1)[0] if re.search(r"\.[A-Za-z0-9]{1,5}$", name) else name
    clean = " ".join(UNNAMEABLE.sub(" ", stem).split())[:LONGEST_NAME].strip() or "document"
    found, count = clean, 1
    while found.lower() in taken:
        count += 1
        found = f"{clean[: LONGEST_NAME - 6]} {count}"
    taken.add(found.lower())
    return found
