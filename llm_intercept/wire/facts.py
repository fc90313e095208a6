"""What a request says about itself, read before it is sent on; and the text that an estimate counts."""

from dataclasses import dataclass
from typing import Any

from llm_intercept.wire.fields import count, mapping, text


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """Facts of one request; "" or None where the request does not say."""

    model: str = ""
    stream: bool = False  # the body asks for a stream (paths may ask as well: Gemini, Bedrock)
    include_usage: bool = False  # OpenAI: the client asked for a usage chunk itself
    max_output: int | None = None
    choices: int = 1  # how many answers were asked for
    messages: int | None = None
    session_id: str = ""
    service_tier: str = ""


def common(body: dict[str, Any], max_output: object, messages: object, session: str = "") -> RequestFacts:
    """The facts that nearly every JSON API spells alike."""
    options = mapping(body.get("stream_options"))
    return RequestFacts(
        model=text(body.get("model"), 200),
        stream=body.get("stream") is True,
        include_usage=options.get("include_usage") is True,
        max_output=count(max_output),
        choices=count(body.get("n")) or 1,
        messages=len(messages) if isinstance(messages, list) else None,
        session_id=session,
        service_tier=text(body.get("service_tier"), 40),
    )


# Members that hold media or references rather than words of the prompt.
MEDIA = "data image_url url file_data file_id fileData inlineData inline_data bytes source images input_audio"
MARKS = "type role id call_id tool_call_id mimeType media_type cache_control cachePoint"
SEALED = "signature thoughtSignature encrypted_content"
NOT_WORDS = frozenset(f"{MEDIA} {MARKS} {SEALED}".split())


def words(*values: object, limit: int = 4_000_000) -> str:
    """All text in these values, images and other media excluded, one string per line; bounded.

    Depth first and in order, without recursion: a hostile body may nest deeply.
    """
    found: list[str] = []
    stack: list[object] = [*reversed(values)]
    while stack and limit > 0:
        current = stack.pop()
        if isinstance(current, str):
            if current:
                found.append(current)
                limit -= len(current)
        elif isinstance(current, list):
            stack.extend(reversed(current))
        elif isinstance(current, dict):
            stack.extend(reversed(_members(current)))
    return "\n".join(found)


def _members(value: dict[str, Any]) -> list[object]:
    """Names of schema properties are words too: a tool definition is paid for with its names."""
    schema = isinstance(value.get("properties"), dict)
    kept = [member for name, member in value.items() if name not in NOT_WORDS]
    return [*value["properties"], *kept] if schema else kept
