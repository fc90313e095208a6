"""The words that the whole codec shares: its name, limits of ids, how members without an IR word are kept.

Extras hold wire members under their own names, and what belongs to no single wire object (which item
a text stood in, which namespace a tool) under names with `@`, which no wire member begins with.
No parsing of any particular object belongs here.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from llm_intercept.wire.fields import mapping
from llm_intercept.wire.ir import NO_EXTRAS, Extras, Json
from llm_intercept.wire.toolids import fitted

type Members = Mapping[str, Json]
type Raw = dict[str, Any]

NAME = "openai_responses"
TARGET = "OpenAI responses"

# `string_above_max_length` beyond 64; which characters does not matter (Bedrock's ids have a colon).
CALL_ID = SHORT = re.compile(r"[^\x00-\x1f]{1,64}")
# OpenAI's; bare UUIDs (xAI, DeepSeek) and OpenRouter's: clients refer to earlier answers by them.
RESPONSE_ID = re.compile(r"resp_[\w-]{1,120}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|gen-[\w-]{1,120}")
DOTLESS = re.compile(r"[\w-]+")
NEVER = re.compile(r"(?!)")

# Marks reasoning items that we made of another provider's thinking: no provider knows these ids.
FOREIGN_REASONING = "rs_lli1"
TAG = "lli1."
# In a tag, after the origin: the signature is all there is of the thought; it is that of a tool call.
REDACTED = "!"
OF_CALL = "#"
EMPTY: Raw = {}


def own(extras: Extras) -> Members:
    """What this dialect kept."""
    return extras.get(NAME, EMPTY) if extras else EMPTY


def kept(members: Members) -> Extras:
    return {NAME: members} if members else NO_EXTRAS


def rest(raw: Members, known: Collection[str]) -> Raw:
    """The members that nobody else takes; null says the same as absence."""
    return {name: value for name, value in raw.items() if name not in known and value is not None}


def written(extras: Extras) -> Raw:
    """The kept members that go back on the wire as they are."""
    found = own(extras)
    return {name: value for name, value in found.items() if name[0] != "@"} if found else {}


def item_members(raw: Members, known: Collection[str]) -> Raw:
    """What an item says beside its content. That it is completed goes without saying."""
    members = rest(raw, known)
    if members.get("status") in ("completed", "in_progress"):
        del members["status"]
    return members


def item_of(extras: Extras) -> Raw:
    """The members of the item that a part stood in."""
    return mapping(own(extras).get("@item"))


def tagged(origin: str, signature: str) -> str:
    """A signature of another dialect, for the client to carry and to give back."""
    return f"{TAG}{origin}.{signature}"


def call_mark(call_id: str) -> str:
    """The id of a call inside a tag, where a dot would end it."""
    return fitted(call_id, DOTLESS, "")


def untagged(content: str) -> tuple[str, str]:
    """Origin and signature of an item's encrypted content."""
    if not content.startswith(TAG):
        return (NAME if content else "", content)
    origin, _, signature = content.removeprefix(TAG).partition(".")
    return origin, signature
