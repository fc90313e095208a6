"""What the families of models on Bedrock take of Converse; the service itself is the same for all.

A family is told by the model's id. Ids that tell nothing (profiles, provisioned models) get the
most that Converse can say.
"""

import re
from dataclasses import dataclass

ALL = frozenset({"auto", "required", "named"})


@dataclass(frozen=True, slots=True)
class Family:
    """`caches`: cachePoint in system and messages; `choices`: values of toolChoice; `schemas`: outputConfig.

    `reasoning` is how `additionalModelRequestFields` ask for it: "claude" (thinking), "nova"
    (reasoningConfig), "effort" (reasoning_effort) or "" (not at all). `top_k` is the way to it there.
    """

    name: str = ""
    caches: bool = False
    caches_tools: bool = False
    choices: frozenset[str] = ALL
    schemas: bool = True
    reasoning: str = ""
    top_k: tuple[str, ...] = ("top_k",)
    unsigned: bool = True  # takes reasoning back that has no signature

    @property
    def prefills(self) -> bool:
        """Goes on with an answer that the client begins; the others want the user's word last."""
        return self.name in ("claude", "nova", "")


UNKNOWN = Family("", caches=True, caches_tools=True, reasoning="claude")
CLAUDE = Family("claude", caches=True, caches_tools=True, reasoning="claude", unsigned=False)
OLD_CLAUDE = Family("claude", True, True, schemas=False, reasoning="claude", unsigned=False)
NOVA = Family("nova", caches=True, schemas=False, top_k=("inferenceConfig", "topK"))
NOVA_2 = Family("nova", caches=True, schemas=False, reasoning="nova", top_k=("inferenceConfig", "topK"))
MISTRAL = Family("mistral", choices=frozenset({"auto", "required"}), schemas=False)
MISTRAL_3 = Family("mistral", choices=frozenset({"auto", "required"}))
GPT = Family("gpt-oss", reasoning="effort")
OPEN = Family("open")
BARE = Family("bare", choices=frozenset(), schemas=False, top_k=())
COHERE = Family("cohere", choices=frozenset(), schemas=False, top_k=("k",))
DEEPSEEK_R1 = Family("deepseek-r1", choices=frozenset(), schemas=False, top_k=(), unsigned=False)

FAMILIES: tuple[tuple[re.Pattern[str], Family], ...] = (
    (re.compile(r"claude-(?:v\d|instant|3|(?:sonnet|opus)-4-(?:\d{8}|1\b))"), OLD_CLAUDE),
    (re.compile(r"claude"), CLAUDE),
    (re.compile(r"amazon\.nova-2"), NOVA_2),
    (re.compile(r"amazon\.nova"), NOVA),
    (re.compile(r"mistral\.(?:mistral-large-3|ministral|magistral|voxtral|devstral)"), MISTRAL_3),
    (re.compile(r"mistral\."), MISTRAL),
    (re.compile(r"openai\.gpt"), GPT),
    (re.compile(r"cohere\."), COHERE),
    (re.compile(r"deepseek\.r1"), DEEPSEEK_R1),
    (re.compile(r"(?:meta|ai21|amazon|writer)\.[a-z]"), BARE),
    (re.compile(r"(?:qwen|zai|minimax|moonshot|moonshotai|google|nvidia|deepseek)\.[a-z]"), OPEN),
)
# Claude up to 4.5 thinks by a budget of tokens; later ones decide by themselves, steered by an effort.
BUDGETED = re.compile(r"claude-(?:3|(?:sonnet|opus|haiku)-4-(?:\d{8}|[0-5]\b))")


def family(model: str) -> Family:
    return next((found for pattern, found in FAMILIES if pattern.search(model)), UNKNOWN)


def by_effort(model: str) -> bool:
    """Whether this is a Claude that takes an effort rather than a budget."""
    return "claude" in model and not BUDGETED.search(model)
