"""The order of roles that Mistral insists on, which OpenAI's clients and Anthropic's do not keep.

After results of tools the assistant has to speak; the system speaks at the beginning or after the user;
the last word is the user's or a tool's, or an answer that is marked as begun.
"""

from typing import Any

from llm_intercept.wire.codec import Context

type Json = dict[str, Any]

HEARD = "Understood."  # what the assistant says between a tool and the user


def for_mistral(messages: list[Json], native: bool, context: Context) -> list[Json]:
    found: list[Json] = []
    for at, message in enumerate(messages):
        before = found[-1]["role"] if found else ""
        if message["role"] == "system" and (before in ("assistant", "tool") or at == len(messages) - 1):
            context.warn("messages: what the system says in mid-conversation is a text of the user")
            message = {**message, "role": "user"}
        if message["role"] == "user" and before == "tool":
            context.warn("messages: a word of the assistant's was put between a tool's result and the user")
            found.append({"role": "assistant", "content": HEARD})
        found.append(message)
    if found and not native:
        found[-1] = _begun(found[-1])
    return found


def _begun(last: Json) -> Json:
    """An answer that the client begins is continued only where it says so."""
    return {**last, "prefix": True} if last["role"] == "assistant" and "tool_calls" not in last else last
