"""Content parts: text, images, audio, files, and the further ones of OpenAI's followers, both ways."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.openai_chat.terms import (
    CACHED,
    NAME,
    RAW,
    cache_of,
    extras,
    members,
    own,
    rest,
    string,
)
from llm_intercept.wire.fields import mapping, objects
from llm_intercept.wire.ir import Media, Opaque, Part, RefusalText, Text, Thinking

DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,")
AUDIO_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav"}
AUDIO_FORMATS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
}


def parts_of(content: object) -> list[Part]:
    """The parts of a message's content, a string or a list."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    if not isinstance(content, list):
        return []
    return [part for item in content if (part := _part(item)) is not None]


def _part(item: object) -> Part | None:
    if isinstance(item, str):
        return Text(item)
    if not isinstance(item, dict):
        return None
    kind = string(item.get("type")) or ("text" if isinstance(item.get("text"), str) else "")
    read = READERS.get(kind)
    found = read(item) if read else None
    return found if found is not None else Opaque(NAME, item, string(item.get("text")))


def _text(item: Mapping[str, Any]) -> Part | None:
    kept = rest(item, ("type", "text", "annotations"))
    return Text(string(item.get("text")), cache=cache_of(item), extras=extras(kept))


def _refusal(item: Mapping[str, Any]) -> Part | None:
    return RefusalText(string(item.get("refusal")), extras(rest(item, ("type", "refusal"))))


def _image(item: Mapping[str, Any]) -> Part | None:
    source = item.get("image_url")
    known = mapping(source)
    url = source if isinstance(source, str) else string(known.get("url"))
    kept = extras(rest(item, ("type", "image_url", "text", "index")))
    return _sourced("image", url, cache_of(item), kept, detail=string(known.get("detail"))) if url else None


def _sourced(kind: Any, url: str, cache: Any, kept: Any, detail: str = "", name: str = "") -> Media:
    found = DATA_URL.match(url)
    if found is None:
        return Media(kind, url=url, detail=detail, name=name, cache=cache, extras=kept)
    media_type, data = found[1], url[found.end() :]
    return Media(kind, media_type, data, detail=detail, name=name, cache=cache, extras=kept)


def _audio(item: Mapping[str, Any]) -> Part | None:
    source = mapping(item.get("input_audio"))
    form = string(source.get("format"))
    kept = extras(rest(item, ("type", "input_audio", "text")))
    media_type = AUDIO_TYPES.get(form, f"audio/{form}")
    data = string(source.get("data"))
    return Media("audio", media_type, data, cache=cache_of(item), extras=kept) if data else None


def _file(item: Mapping[str, Any]) -> Part | None:
    source = mapping(item.get("file"))
    data, name = string(source.get("file_data")), string(source.get("filename"))
    kept = extras(rest(item, ("type", "file", "text")))
    if data.startswith(("data:", "http://", "https://")):
        return _sourced("document", data, cache_of(item), kept, name=name)
    if data:
        return Media("document", data=data, name=name, cache=cache_of(item), extras=kept)
    identity = string(source.get("file_id"))
    return Media("document", file_id=identity, name=name, extras=kept) if identity else None


def _linked(kind: Any, member: str) -> Callable[[Mapping[str, Any]], Part | None]:
    """Documents and videos by URL, in followers' own spellings: written again as they came."""

    def read(item: Mapping[str, Any]) -> Part | None:
        source = item.get(member)
        url = source if isinstance(source, str) else string(mapping(source).get("url"))
        name = string(item.get("document_name"))
        return _sourced(kind, url, cache_of(item), extras({RAW: item}), name=name) if url else None

    return read


def _thinking(item: Mapping[str, Any]) -> Part | None:
    inner = item.get("thinking")
    text = inner if isinstance(inner, str) else "".join(string(i.get("text")) for i in objects(inner))
    return Thinking(text, extras=extras({RAW: item}))


READERS: dict[str, Callable[[Mapping[str, Any]], Part | None]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
    "document_url": _linked("document", "document_url"),
    "file_url": _linked("document", "file_url"),
    "video_url": _linked("video", "video_url"),
    "thinking": _thinking,
}


def text_item(part: Text, context: Context) -> dict[str, Any]:
    item = {"type": "text", "text": part.text, **members(part.extras)}
    mark(part, item, context)
    return item


def mark(part: Any, item: dict[str, Any], context: Context) -> None:
    """A cache breakpoint, for targets that take Anthropic's; OpenAI finds prefixes by itself."""
    if part.cache is None or "cache_control" in item or CACHED in own(part.extras):
        return
    if context.target.reasoning == "openrouter":
        item["cache_control"] = {"type": "ephemeral"} | (
            {"ttl": part.cache.ttl} if part.cache.ttl != "5m" else {}
        )
    else:
        context.warn("cache_control: chat completions have no cache breakpoints")


def media_item(part: Media, context: Context) -> dict[str, Any] | None:
    """The content part for a medium; None, with a warning, if the dialect has none."""
    if RAW in own(part.extras):
        return dict(own(part.extras)[RAW])
    if part.kind == "image" and not context.target.images:
        context.warn(f"image: {context.target.model or 'the model'} takes no images")
        return {"type": "text", "text": "[An image was left out here: this model takes no images.]"}
    item = WRITERS[part.kind](part, context)
    if item is None:
        how = "text" if part.text else "URL" if part.url else "file id" if part.file_id else "data"
        context.warn(f"{part.kind}: chat completions take none by {how} ({part.media_type or 'no type'})")
        return None
    item |= members(part.extras)
    mark(part, item, context)
    return item


def _write_image(part: Media, context: Context) -> dict[str, Any] | None:
    url = f"data:{part.media_type or 'image/png'};base64,{part.data}" if part.data else part.url
    detail = {"detail": part.detail} if part.detail else {}
    return {"type": "image_url", "image_url": {"url": url, **detail}} if url else None


def _write_document(part: Media, context: Context) -> dict[str, Any] | None:
    if part.text:
        title = f"{part.name}\n\n" if part.name else ""
        return {"type": "text", "text": title + part.text}
    if part.file_id:
        return {
            "type": "file",
            "file": {"file_id": part.file_id} | ({"filename": part.name} if part.name else {}),
        }
    name = {"filename": _file_name(part)} if part.name else {}
    if part.data:
        name = name or ({"filename": "document.pdf"} if part.media_type == "application/pdf" else {})
        data = f"data:{part.media_type};base64,{part.data}" if part.media_type else part.data
        return {"type": "file", "file": {**name, "file_data": data}}
    if part.url and context.target.reasoning == "openrouter":
        return {"type": "file", "file": {**name, "file_data": part.url}}
    return None


def _file_name(part: Media) -> str:
    """OpenAI tells by its ending what a file is; names from Converse have none."""
    ending = ".pdf" if part.media_type == "application/pdf" and "." not in part.name else ""
    return part.name + ending


def _write_audio(part: Media, context: Context) -> dict[str, Any] | None:
    form = AUDIO_FORMATS.get(part.media_type, part.media_type.removeprefix("audio/"))
    return {"type": "input_audio", "input_audio": {"data": part.data, "format": form}} if part.data else None


def _write_video(part: Media, context: Context) -> dict[str, Any] | None:
    if context.target.reasoning != "openrouter":
        return None
    url = f"data:{part.media_type};base64,{part.data}" if part.data else part.url
    return {"type": "video_url", "video_url": {"url": url}} if url else None


WRITERS: dict[str, Callable[[Media, Context], dict[str, Any] | None]] = {
    "image": _write_image,
    "document": _write_document,
    "audio": _write_audio,
    "video": _write_video,
}
