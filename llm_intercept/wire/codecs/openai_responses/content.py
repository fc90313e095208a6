"""What messages and tool outputs are made of: texts, refusals, images, files, both ways. No items here."""

import re
from collections.abc import Iterable

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.openai_responses.terms import (
    NAME,
    TARGET,
    Members,
    Raw,
    kept,
    own,
    rest,
    written,
)
from llm_intercept.wire.families.unseen import words
from llm_intercept.wire.fields import items, mapping, objects
from llm_intercept.wire.ir import NO_EXTRAS, Cache, Extras, Media, Opaque, Part, RefusalText, Text

TEXTS = frozenset(("input_text", "output_text", "text"))
DATA_URL = re.compile(r"data:([^;,]*);base64,(.*)", re.DOTALL)
# Content parts by the beginning of their type; everything else that is opaque stands as an item.
CONTENT = ("input_", "output_")
SOUNDS = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/wav": "wav", "audio/x-wav": "wav"}
LONG_LIFE = "12h"  # of a cache breakpoint; the other lifetime is 30 minutes


def decode_content(content: object, item: Members | None = None) -> tuple[Part, ...]:
    """A string or a list of parts. `item`: members of the message they stand in, kept on its texts."""
    kept_item = kept({"@item": item}) if item else NO_EXTRAS
    if isinstance(content, str):
        return (Text(content, extras=kept_item),) if content else ()
    return tuple(_part(raw, kept_item) for raw in objects(content))


def _part(raw: Raw, item: Extras) -> Part:
    kind = raw.get("type")
    if kind in TEXTS and isinstance(raw.get("text"), str):
        return _text(raw, item)
    if kind == "refusal" and isinstance(raw.get("refusal"), str):
        return RefusalText(raw["refusal"], _with(rest(raw, ("type", "refusal")), item))
    decode = _MEDIA.get(str(kind))
    media = decode(raw) if decode is not None else None
    return media if media is not None else Opaque(NAME, raw)


def _text(raw: Raw, item: Extras) -> Text:
    members = rest(raw, ("type", "text", "annotations", "logprobs"))
    citations = tuple(objects(raw.get("annotations")))
    extras = _with(members, item)
    if citations and not extras:
        extras = {NAME: {}}
    return Text(raw["text"], citations, cache(raw), extras)


def _with(members: Raw, item: Extras) -> Extras:
    return {NAME: {**members, **own(item)}} if members else item


def cache(raw: Members) -> Cache | None:
    mark = raw.get("prompt_cache_breakpoint")
    if not isinstance(mark, dict):
        return None
    return Cache("1h" if mark.get("ttl") == LONG_LIFE else "5m")


def _image(raw: Raw) -> Media | None:
    url = raw.get("image_url")
    url = mapping(url).get("url") if isinstance(url, dict) else url
    return _media(raw, "image", url, "image_url")


def _file(raw: Raw) -> Media | None:
    data = raw.get("file_data")
    if isinstance(data, str) and data and not data.startswith("data:"):
        data = f"data:;base64,{data}"
    return _media(raw, "document", data or raw.get("file_url"), "file_data", "file_url", "filename")


def _media(raw: Raw, kind: str, url: object, *names: str) -> Media | None:
    address, file_id = _string(url), _string(raw.get("file_id"))
    if not address and not file_id:
        return None
    found = DATA_URL.fullmatch(address)
    return Media(
        "image" if kind == "image" else "document",
        media_type=found[1] if found else "",
        data=found[2] if found else "",
        url="" if found else address,
        file_id="" if address else file_id,
        name=_string(raw.get("filename")),
        detail=_string(raw.get("detail")),
        cache=cache(raw),
        extras=kept(rest(raw, ("type", "detail", "file_id", *names))),
    )


def _audio(raw: Raw) -> Media | None:
    sound = mapping(raw.get("input_audio"))
    if not isinstance(sound.get("data"), str):
        return None
    kind = "audio/mpeg" if sound.get("format") == "mp3" else f"audio/{sound.get('format') or 'wav'}"
    return Media(
        "audio", kind, sound["data"], extras=kept({"@audio": True} | rest(raw, ("type", "input_audio")))
    )


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


_MEDIA = {"input_image": _image, "input_file": _file, "input_audio": _audio}


def encode_inputs(parts: Iterable[Part], context: Context) -> list[Raw]:
    """Content of messages that are not the assistant's, and of tool outputs."""
    found = (_input(part, context) for part in parts)
    return [raw for raw in found if raw is not None]


def _input(part: Part, context: Context) -> Raw | None:
    match part:
        case Text():
            _note_cache(part, context)
            return {"type": "input_text", "text": part.text, **written(part.extras)}
        case RefusalText():
            return {"type": "input_text", "text": part.text}
        case Media():
            _note_cache(part, context)
            raw = encode_media(part, context)
            return (
                {"type": "input_text", "text": words(part)}
                if raw is None
                else {**raw, **written(part.extras)}
            )
        case Opaque(dialect, raw, text):
            if dialect == NAME:
                return dict(raw)
            if text:
                return {"type": "input_text", "text": text}
            dropped(part, context)
    return None


def encode_output(part: Text | RefusalText, context: Context) -> Raw:
    """A part of an assistant's message in a request."""
    if isinstance(part, RefusalText):
        return {"type": "refusal", "refusal": part.text, **written(part.extras)}
    _note_cache(part, context)
    members = {"annotations": annotations(part, context), **written(part.extras)}
    return {"type": "output_text", "text": part.text, **members}


def annotations(part: Text, context: Context) -> list[Members]:
    if part.citations and NAME not in part.extras:
        context.warn(f"citations: written in another dialect, not known to {TARGET}")
        return []
    return list(part.citations)


def encode_media(part: Media, context: Context) -> Raw | None:
    match part.kind:
        case "image" if context.target.images:
            return _written_image(part)
        case "document":
            return _written_file(part)
        case "audio" if "@audio" in own(part.extras) and part.data and part.media_type in SOUNDS:
            sound = {"data": part.data, "format": SOUNDS[part.media_type]}
            return {"type": "input_audio", "input_audio": sound}
    whose = "the model" if part.kind == "image" else TARGET
    context.warn(f"{part.kind}: not taken by {whose}")
    return None


def data_url(part: Media, default: str) -> str:
    return f"data:{part.media_type or default};base64,{part.data}"


def _written_image(part: Media) -> Raw:
    raw: Raw = {"type": "input_image"}
    if part.file_id:
        raw["file_id"] = part.file_id
    else:
        raw["image_url"] = data_url(part, "image/png") if part.data else part.url
    return {**raw, "detail": part.detail} if part.detail else raw


def _written_file(part: Media) -> Raw:
    raw: Raw = {"type": "input_file"}
    if part.text:
        title = f"{part.name}\n\n" if part.name else ""
        return {"type": "input_text", "text": title + part.text}
    if part.file_id:
        raw["file_id"] = part.file_id
    elif part.url:
        raw["file_url"] = part.url
    else:
        raw["filename"] = part.name or "document.pdf"  # needed beside data
        raw["file_data"] = data_url(part, "application/pdf")
    if part.name:
        pdf = part.media_type == "application/pdf" and "." not in part.name  # Converse's names have no ending
        raw["filename"] = f"{part.name}.pdf" if pdf else part.name
    return {**raw, "detail": part.detail} if part.detail else raw


def _note_cache(part: Text | Media, context: Context) -> None:
    if part.cache is not None and "prompt_cache_breakpoint" not in own(part.extras):
        note_cache(context)


def note_cache(context: Context) -> None:
    context.warn(f"cache_control: {TARGET} finds cached prefixes by itself")


def dropped(part: Opaque, context: Context) -> None:
    kind = part.raw.get("type") or next(iter(part.raw), "part")
    context.warn(f"{kind}: of {part.dialect}, not known to {TARGET}")


def is_content(raw: Members) -> bool:
    kind = raw.get("type")
    return isinstance(kind, str) and kind.startswith(CONTENT)


def logprobs(raw: Members) -> list[Raw]:
    return [entry for entry in items(raw.get("logprobs")) if isinstance(entry, dict)]
