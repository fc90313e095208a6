"""Images and documents -> blocks with a source; what Anthropic cannot read is named in words."""

import base64
import binascii
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.anthropic.members import complete, own
from llm_intercept.wire.ir import Media

PDF = "application/pdf"
TEXT_TYPES = ("text/", "application/json", "application/xml", "application/yaml", "application/x-yaml")


def block(part: Media, context: Context, native: bool) -> dict[str, Any] | None:
    if part.kind not in ("image", "document"):
        return _left_out(part, context, "Anthropic takes images and documents only")
    if part.kind == "image" and not context.target.images:
        return _left_out(part, context, "this model takes no images")
    if part.url and not context.target.fetches:
        return _left_out(part, context, "this host takes bytes only, and no URL")
    source = _source(part, native)
    if source is None:
        return _left_out(part, context, f"Anthropic cannot read {part.media_type or 'this source'}")
    new: dict[str, Any] = {"type": part.kind, "source": source}
    if part.name and part.kind == "document":
        new["title"] = part.name
    complete(new, part.cache, part.extras)
    return new


def _source(part: Media, native: bool) -> dict[str, Any] | None:
    kept = own(part.extras).get("source")
    if isinstance(kept, dict):
        return kept
    if part.data:
        return _of_bytes(part, native)
    if part.url:
        return {"type": "url", "url": part.url}
    if part.file_id:  # it names a file in the store of the provider that gave it
        return {"type": "file", "file_id": part.file_id} if native else None
    if part.kind == "document" and part.text:
        return {"type": "text", "media_type": "text/plain", "data": part.text}
    return None


def _of_bytes(part: Media, native: bool) -> dict[str, Any] | None:
    mime = part.media_type or ("image/png" if part.kind == "image" else PDF)
    if part.kind == "image" or mime == PDF or native:
        return {"type": "base64", "media_type": mime, "data": part.data}
    if not mime.startswith(TEXT_TYPES):
        return None
    try:
        words = base64.b64decode(part.data).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
    return {"type": "text", "media_type": "text/plain", "data": words} if words else None


def _left_out(part: Media, context: Context, reason: str) -> dict[str, Any]:
    """The model is told that there was something: an answer that ignores it would look like a mistake."""
    context.warn(f"{part.kind}: {reason}; left out")
    named = f" {part.name}" if part.name else ""
    return {"type": "text", "text": f"[{part.kind}{named} left out: {reason}]"}
