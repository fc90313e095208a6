"""The simulator's token rule: deterministic, documented, the same for every dialect.

- A token is up to eight non-space characters together with the white space before them; white space
  at the very end is one token more. `"Hello there"` is 2 tokens, `"extraordinary"` is 2 as well.
- The input of a call is the sum over every string *value* in its prompt fields (system, messages, tools;
  never keys, ids, roles, types or signatures), 3 more for each message, and 258 for each image, document
  or audio part.
- The output is the sum over reasoning, text, and the name and JSON arguments of each tool call.

No model is consulted and no vocabulary is loaded, so a test can compute every number by itself.
"""

import re
from typing import Any

PER_MESSAGE = 3
PER_MEDIA = 258

_PIECE = re.compile(r"\s*\S{1,8}|\s+\Z")

_SILENT = frozenset(
    [
        "type",
        "role",
        "id",
        "index",
        "status",
        "call_id",
        "tool_call_id",
        "tool_use_id",
        "toolUseId",
        "cache_control",
        "cachePoint",
        "signature",
        "thoughtSignature",
        "thought_signature",
        "encrypted_content",
        "mimeType",
        "mime_type",
        "media_type",
        "format",
        "title",
        "strict",
        "phase",
        "internal_chat_message_metadata_passthrough",
    ]
)
_MEDIA = frozenset(
    [
        "image_url",
        "inline_data",
        "inlineData",
        "file_data",
        "fileData",
        "input_audio",
        "image",
        "document",
        "video",
        "audio",
        "source",
        "file",
        "file_id",
    ]
)


def pieces(text: str) -> list[str]:
    """The tokens of a text; joined they are the text again."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """How many tokens a text has."""
    return len(_PIECE.findall(text))


def weigh(value: Any) -> int:
    """The tokens of a prompt field, by the rule above."""
    if isinstance(value, str):
        return count(value)
    if isinstance(value, list):
        return sum(map(weigh, value))
    if isinstance(value, dict):
        return sum(_weigh_field(key, inner) for key, inner in value.items())
    return 0


def weigh_messages(messages: Any) -> int:
    """The tokens of a conversation: its texts and the overhead of each message."""
    if not isinstance(messages, list):
        return weigh(messages) + (PER_MESSAGE if messages else 0)
    return weigh(messages) + PER_MESSAGE * len(messages)


def _weigh_field(key: str, value: Any) -> int:
    if key in _SILENT:
        return 0
    if key in _MEDIA and value:
        return PER_MEDIA
    return weigh(value)
