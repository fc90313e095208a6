"""What is known of models by their family and in no catalogue: how they take reasoning, what they refuse.

The first pattern found at the beginning of a normal name counts; `facts.normal` makes names normal
(`claude-opus-4-8`, whatever vendor, region, date or version a provider writes around it).
"""

import re
from dataclasses import dataclass

_SAMPLING = frozenset(
    ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs")
)
_OPENAI = _SAMPLING | {"stop", "top_k"}
_NEWER_CLAUDE = frozenset(("temperature", "top_p", "top_k", "prefill"))
_EITHER = frozenset(("temperature+top_p",))
_NO_TOP_K = frozenset(("top_k",))
_LOW_TO_HIGH = ("low", "medium", "high")
_UP_TO_XHIGH = ("none", *_LOW_TO_HIGH, "xhigh")
_GROK = frozenset(("presence_penalty", "frequency_penalty", "stop"))


@dataclass(frozen=True, slots=True)
class Family:
    """`reasoning`, `budget`, `rejects`, `efforts` as in `codec.Target`; a budget's end 0: the model's limit.

    `retired`: no catalogue lists it any more, so that the pattern alone makes it a known model.
    """

    pattern: re.Pattern[str]
    reasoning: str = ""
    budget: tuple[int, int] | None = None
    rejects: frozenset[str] = frozenset()
    efforts: tuple[str, ...] = ()
    max_output: int | None = None
    retired: bool = False
    short_tool_ids: bool = False


def _family(
    pattern: str,
    reasoning: str = "",
    budget: tuple[int, int] | None = None,
    rejects: frozenset[str] = frozenset(),
    efforts: tuple[str, ...] = (),
    max_output: int | None = None,
    retired: bool = False,
) -> Family:
    return Family(re.compile(pattern), reasoning, budget, rejects, efforts, max_output, retired)


_CLAUDE_BUDGET = (1024, 0)
FAMILIES = (
    # Claude
    _family(r"claude-(?:instant|2|3-(?:opus|sonnet|haiku))", "none", max_output=4_096, retired=True),
    _family(r"claude-3-5-", "none", max_output=8_192, retired=True),
    _family(r"claude-3-7-", "budget", _CLAUDE_BUDGET, frozenset(("effort",)), (), 64_000, True),
    _family(r"claude-opus-4-1", "budget", _CLAUDE_BUDGET, _EITHER | {"effort"}, (), 32_000, True),
    _family(r"claude-opus-4-5", "budget", _CLAUDE_BUDGET, _EITHER, _LOW_TO_HIGH),
    _family(r"claude-(?:sonnet|haiku)-4-5", "budget", _CLAUDE_BUDGET, _EITHER | {"effort"}),
    _family(r"claude-(?:opus|sonnet)-4-6", "adaptive", None, _EITHER | {"prefill"}, (*_LOW_TO_HIGH, "max")),
    _family(r"claude-opus-4(?:-0)?$", "budget", _CLAUDE_BUDGET, frozenset(("effort",)), (), 32_000, True),
    _family(r"claude-sonnet-4(?:-0)?$", "budget", _CLAUDE_BUDGET, frozenset(("effort",)), (), 64_000, True),
    _family(r"claude-", "adaptive", None, _NEWER_CLAUDE, (*_LOW_TO_HIGH, "xhigh", "max")),
    # OpenAI
    _family(r"gpt-5-pro", "effort", None, _OPENAI, ("high",)),
    _family(r"gpt-5-\d-pro", "effort", None, _OPENAI, ("medium", "high", "xhigh")),
    _family(r"gpt-5(?:-[13])?-chat|gpt-chat", "none", None, _NO_TOP_K),
    _family(r"gpt-5-\d-chat", "effort", None, _OPENAI, ("medium",)),
    _family(r"gpt-5-1-codex-max", "effort", None, _OPENAI, (*_LOW_TO_HIGH, "xhigh")),
    _family(r"gpt-5(?:-1)?-codex|codex-mini", "effort", None, _OPENAI, _LOW_TO_HIGH),
    _family(r"gpt-5-1", "effort", None, _OPENAI, ("none", *_LOW_TO_HIGH)),
    _family(r"gpt-5(?:-mini|-nano)?$", "effort", None, _OPENAI, ("minimal", *_LOW_TO_HIGH)),
    _family(r"gpt-5-\d+-codex", "effort", None, _OPENAI, (*_LOW_TO_HIGH, "xhigh")),
    _family(r"gpt-5", "effort", None, _OPENAI, _UP_TO_XHIGH),
    _family(r"o1-(?:mini|preview)", "none", None, _OPENAI, (), 65_536, True),
    _family(r"o\d", "effort", None, _OPENAI, _LOW_TO_HIGH),
    _family(r"gpt-oss", "effort", None, frozenset(), _LOW_TO_HIGH),
    _family(r"gpt-4o|gpt-4-[15]", "none", None, _NO_TOP_K),
    _family(r"gpt-4|gpt-3-5|chatgpt", "none", None, _NO_TOP_K, retired=True),
    # Gemini
    _family(r"gemini-2-5-pro", "budget", (128, 32_768)),
    _family(r"gemini-2-5-flash-lite", "budget", (512, 24_576)),
    _family(r"gemini-2-5-(?:flash-image|.*-tts|.*live)", "none"),
    _family(r"gemini-(?:2-5-|flash|pro)", "budget", (0, 24_576)),
    _family(r"gemini-(?:1|2-0)", "none", max_output=8_192, retired=True),
    _family(r"gemini-embedding", "none"),
    _family(r"gemini-", "level"),
    # others
    _family(r"grok-(?:4(?:-0709|-fast|-1.*)?$|4-fast|code)", "fixed", None, _GROK),
    _family(r"grok-3-mini", "", None, _GROK, ("low", "high")),
    _family(r"deepseek-(?:reasoner|r1)", "content", None, frozenset(("logprobs", "top_logprobs"))),
    _family(r"sonar-reasoning", "fixed"),
    Family(re.compile(r"magistral"), "fixed", short_tool_ids=True),
    Family(re.compile(r"(?:open-)?mi[sx]tral|(?:mini|code|dev|pix|vox)stral|ministral"), short_tool_ids=True),
)


def family_of(name: str) -> Family | None:
    """By a normal name."""
    return next((family for family in FAMILIES if family.pattern.match(name)), None)
