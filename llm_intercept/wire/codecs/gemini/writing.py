"""Parts of the IR as Google's parts: what requests to Gemini and answers to its clients have in common."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.gemini.shapes import NAME, inner, own, without
from llm_intercept.wire.fields import parse
from llm_intercept.wire.ir import Json, Media, Text, Thinking, ToolCall

_MARKS = frozenset(("signs",))
_CALL = frozenset(("functionCall",))
_BLOBS = frozenset(("inlineData", "fileData"))
_DEFAULT_TYPES = {
    "image": "image/jpeg",
    "document": "application/pdf",
    "audio": "audio/mp3",
    "video": "video/mp4",
}
_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
}
_GOOGLES = (
    "gs://",
    "https://generativelanguage.googleapis.com/",
    "https://www.youtube.com/",
    "https://youtu.be/",
)


def text(part: Text) -> dict[str, Any]:
    members = own(part.extras)
    return {"text": part.text, **members} if members else {"text": part.text}


def thought(part: Thinking, signature: str) -> dict[str, Any]:
    """Encrypted thoughts have no `thought` mark: that is how Gemini sends a signature alone."""
    out: dict[str, Any] = {"text": part.text}
    if not part.redacted:
        out["thought"] = True
    if signature:
        out["thoughtSignature"] = signature
    return {**out, **without(own(part.extras), _MARKS)}


def signs_text(part: Thinking, before: Mapping[str, Json] | None) -> bool:
    """Whether this signature stood on the text that was written before it."""
    if not part.redacted or own(part.extras).get("signs") != "text" or before is None:
        return False
    return "text" in before and "thought" not in before and "thoughtSignature" not in before


def call(part: ToolCall, call_id: str, name: str, signature: str, context: Context) -> dict[str, Any]:
    inside: dict[str, Any] = {"id": call_id, "name": name, "args": arguments(part, context)}
    inside.update(inner(part.extras, "functionCall"))
    if inside.get("id") is None:
        inside.pop("id", None)
    out: dict[str, Any] = {"functionCall": inside}
    if signature:
        out["thoughtSignature"] = signature
    return {**out, **without(own(part.extras), _CALL)}


def arguments(part: ToolCall, context: Context) -> dict[str, Any]:
    """Google's arguments are an object; text that is none becomes the argument `input`."""
    if part.custom:
        return {"input": part.arguments}
    if not part.arguments.strip():
        return {}
    value = parse(part.arguments)
    if isinstance(value, dict):
        return value
    context.warn(f"tool_calls.{part.name}: arguments that are no JSON object are its argument `input`")
    return {"input": part.arguments}


def media(part: Media, context: Context) -> dict[str, Any] | None:
    """None for what has no place: files of another provider, images that the model does not see."""
    if not context.target.images and part.kind == "image":
        context.warn("image: dropped, the model does not see")
        return None
    members = own(part.extras)
    rest = without(members, _BLOBS) if members else {}
    if part.data:
        blob = {"mimeType": _type(part), "data": part.data, **inner(part.extras, "inlineData")}
        return {"inlineData": blob, **rest}
    if part.url:
        return {**_by_url(part, context), **rest}
    if part.text:
        return {"text": part.text, **rest}
    context.warn(f"{part.kind}: dropped, a file id of another provider")
    return None


def _type(part: Media) -> str:
    """Vertex insists on a type."""
    if part.media_type:
        return part.media_type
    ending = urlsplit(part.url).path.rpartition(".")[2].lower() if "://" in part.url else ""
    return _TYPES.get(ending, _DEFAULT_TYPES[part.kind])


def _by_url(part: Media, context: Context) -> dict[str, Any]:
    """Gemini reads its own files, Cloud Storage, YouTube, and (newer models) what is public on the web."""
    if part.url.startswith("data:"):
        head, _, data = part.url[5:].partition(",")
        return {"inlineData": {"mimeType": head.partition(";")[0] or _type(part), "data": data}}
    native = inner(part.extras, "fileData")
    file: dict[str, Any] = {"fileUri": part.url, **native}
    if part.media_type or not part.url.startswith(_GOOGLES):
        file["mimeType"] = _type(part)
    if not part.url.startswith(_GOOGLES) and NAME not in part.extras:
        context.warn(f"{part.kind}: Gemini fetches it by its URL, which only newer models do")
    return {"fileData": file}
