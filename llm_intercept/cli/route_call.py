"""How a call is made for people who only name a model: which provider, dialect and path, and a small body."""

from collections.abc import Mapping
from dataclasses import dataclass

from llm_intercept import resources
from llm_intercept.cli.session import Session
from llm_intercept.errors import ConfigError
from llm_intercept.policy.facts import Facts

PROMPT = "Answer with the one word: ready"
_PATHS = {
    "openai_chat": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "openai_responses": "/v1/responses",
    "gemini": "/v1beta/models/{model}:generateContent",
}
DIALECTS = tuple(_PATHS)


@dataclass(frozen=True, slots=True)
class Way:
    """`provider` is the one that is called; where routes lead from there is another matter."""

    provider: str
    dialect: str
    path: str


def way(session: Session, model: str, provider: str = "", dialect: str = "") -> Way:
    """`provider` and `dialect` as asked for; otherwise those of whoever lists the model."""
    if provider:
        known = session.provider(provider)
        return _way(dialect or known.dialect, known.name, model)
    ways = {name: _way(name, _owner(session, name, model), model) for name in DIALECTS}
    if dialect:
        return ways[_checked(dialect)]
    facts = Facts(session.registry.providers, resources.model_catalogue)
    return next((w for w in ways.values() if model in facts.models(w.provider)), ways[DIALECTS[0]])


def _way(dialect: str, provider: str, model: str) -> Way:
    return Way(provider, dialect, _PATHS[_checked(dialect)].format(model=model))


def _checked(dialect: str) -> str:
    if dialect not in _PATHS:
        raise ConfigError(f"no call is made here in the dialect {dialect!r}; there are {', '.join(DIALECTS)}")
    return dialect


def _owner(session: Session, dialect: str, model: str) -> str:
    """Whose path that is when nothing else is said."""
    found = session.registry.by_path(_PATHS[dialect].format(model=model), {})
    return found[0].name if found else ""


def body(dialect: str, model: str) -> Mapping[str, object]:
    """A request for one word. Limits would have another name for each model, and thinking counts as well."""
    said = {"role": "user", "content": PROMPT}
    match dialect:
        case "anthropic":
            return {"model": model, "max_tokens": 512, "messages": [said]}
        case "openai_responses":
            return {"model": model, "input": PROMPT}
        case "gemini":
            return {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
        case _:
            return {"model": model, "messages": [said]}
