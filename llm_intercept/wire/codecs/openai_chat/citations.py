"""Annotations of a text: the dialect knows citations of URLs only."""

from collections.abc import Mapping
from typing import Any

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.openai_chat.terms import string


def annotation(citation: Mapping[str, Any], start: int, end: int, context: Context) -> dict[str, Any] | None:
    """Ours as it is; any other that names a URL, for the characters from `start` to `end`."""
    if isinstance(citation.get("url_citation"), dict):
        return dict(citation)
    url = string(citation.get("url"))
    if not url:
        context.warn(f"citation: {citation.get('type', 'one')} names no URL, chat completions know no other")
        return None
    said = (citation.get("start_index"), citation.get("end_index"))
    first, last = said if all(isinstance(place, int) for place in said) else (start, end)
    inner = {"url": url, "title": string(citation.get("title")), "start_index": first, "end_index": last}
    return {"type": "url_citation", "url_citation": inner}
