"""What a request's body tells the routes: length, images, web search, thinking, background calls.

Only looked at when a route asks for it. Anything may be in a body: what has another type counts as absent.
"""

from collections.abc import Collection, Iterator, Mapping

from llm_intercept.policy import suffix
from llm_intercept.policy.modelrules import tier_name
from llm_intercept.policy.routing import FLAGS, CallFacts
from llm_intercept.wire import dialects
from llm_intercept.wire.fields import items, mapping, objects, parse_object

CHARACTERS_PER_TOKEN = 3.6
ALL = frozenset(("tokens", *FLAGS))

type Body = Mapping[str, object]

_PROMPT = ("messages", "input", "contents", "prompt", "system", "systemInstruction", "system_instruction")
_IMAGE_TYPES = frozenset(("image", "image_url", "input_image", "computer_screenshot"))
_GEMINI_MEDIA = ("inlineData", "inline_data", "fileData", "file_data")
# Arguments of tools are the model's or the program's own JSON: an `image` in there is a word.
_ARGUMENTS = frozenset(
    ("input", "args", "arguments", "functionCall", "function_call", "toolUse", "tool_calls", "text")
)
_SEARCH_NAMES = ("googleSearch", "google_search", "googleSearchRetrieval", "google_search_retrieval")
_NOT_THINKING = (False, "", "none", "disabled")


def facts_of(
    dialect: str,
    body: bytes,
    model: str,
    *,
    operation: str = "",
    alias: str = "",
    tier: str = "",
    project: str = "",
    token: str = "",
    wanted: Collection[str] = ALL,
) -> CallFacts:
    """`body` is without content-encoding; `wanted` is what `routing.features` of the routes says."""
    asked = parse_object(body) if wanted else {}
    return CallFacts(
        model=model,
        alias=alias,
        tier=tier,
        project=project,
        token=token,
        dialect=dialect,
        operation=operation,
        tokens=estimated_tokens(dialect, body) if "tokens" in wanted else 0,
        image="image" in wanted and has_image(asked),
        web_search="web_search" in wanted and searches_web(asked),
        background="background" in wanted and is_background(asked, model),
        thinking="thinking" in wanted and thinks(asked, model),
    )


def estimated_tokens(dialect: str, body: bytes) -> int:
    """Of the prompt, without its images."""
    return round(len(dialects.get(dialect).prompt_text(body)) / CHARACTERS_PER_TOKEN)


def has_image(asked: Body) -> bool:
    """In the prompt itself or in what a tool gave back."""
    if items(asked.get("images")):
        return True
    return any(_is_image(part) for part in _objects([asked.get(name) for name in _PROMPT]))


def _objects(values: list[object]) -> Iterator[dict[str, object]]:
    """All JSON objects in these values, without recursion: a hostile body may nest deeply."""
    stack = values
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield value
            stack.extend(inner for name, inner in value.items() if name not in _ARGUMENTS)
        elif isinstance(value, list):
            stack.extend(value)


def _is_image(part: Body) -> bool:
    kind = part.get("type")
    if isinstance(kind, str) and kind in _IMAGE_TYPES:
        return True
    if items(part.get("images")) or "format" in mapping(part.get("image")):
        return True
    return any(_is_image_type(part.get(name)) for name in _GEMINI_MEDIA)


def _is_image_type(media: object) -> bool:
    found = mapping(media)
    said = found.get("mimeType") or found.get("mime_type")
    return isinstance(said, str) and said.startswith("image/")


def searches_web(asked: Body) -> bool:
    """Whether it brings a provider's own web search, in any dialect."""
    if isinstance(asked.get("web_search_options"), dict):
        return True
    if any(plugin.get("id") == "web" for plugin in objects(asked.get("plugins"))):
        return True
    return any(_is_search(tool) for tool in objects(asked.get("tools")))


def _is_search(tool: Body) -> bool:
    kind = tool.get("type")
    return (isinstance(kind, str) and kind.startswith("web_search")) or any(
        name in tool for name in _SEARCH_NAMES
    )


def is_background(asked: Body, model: str) -> bool:
    """What agents do beside the conversation: calls of a small Claude, and probes for a single token."""
    if tier_name(model, "") == "small":
        return True
    limits = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    gemini, bedrock = mapping(asked.get("generationConfig")), mapping(asked.get("inferenceConfig"))
    return 1 in (*map(asked.get, limits), gemini.get("maxOutputTokens"), bedrock.get("maxTokens"))


def thinks(asked: Body, model: str) -> bool:
    """Whether reasoning is asked for; what a model does unasked is not known here."""
    named = suffix.split(model) if ":" in model else None
    if named is not None:
        return named[1].enabled is True
    more = mapping(asked.get("additionalModelRequestFields"))
    given = (
        _is_thinking(asked.get("thinking")),
        _is_thinking(more.get("thinking")),
        _is_thinking(more.get("reasoning_config")),
        _is_reasoning(asked.get("reasoning")),
        _is_level(asked.get("reasoning_effort")),
        _is_level(asked.get("think")),
        _is_gemini_thinking(mapping(asked.get("generationConfig")).get("thinkingConfig")),
    )
    return any(given)


def _is_level(value: object) -> bool:
    """A word or a switch."""
    return isinstance(value, str | bool) and value not in _NOT_THINKING


def _is_thinking(value: object) -> bool:
    """Anthropic's, which others have taken over."""
    return _is_level(mapping(value).get("type"))


def _is_reasoning(value: object) -> bool:
    """OpenAI's of Responses, and OpenRouter's with a number of tokens."""
    found = mapping(value)
    if not found or found.get("enabled") is False:
        return False
    return found.get("effort") != "none" and found.get("max_tokens") != 0


def _is_gemini_thinking(value: object) -> bool:
    found = mapping(value)
    return bool(found) and found.get("thinkingBudget") != 0
