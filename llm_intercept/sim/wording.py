"""What providers say when a conversation is too long or a signature is wrong, and how they say a limit."""

from datetime import UTC, datetime, timedelta

from llm_intercept.sim.fate import Failure
from llm_intercept.sim.scenario import Rule

_OVERFLOW = {
    "anthropic": "prompt is too long: 204857 tokens > 200000 maximum",
    "bedrock_converse": "Input is too long for requested model.",
    "bedrock_invoke": "Input is too long for requested model.",
    "gemini": "The input token count (1054857) exceeds the maximum number of tokens allowed (1048576).",
    "openai_responses": "Your input exceeds the context window of this model. Please adjust your input and"
    " try again.",
    "cohere": "too many tokens: size limit exceeded by 4857 tokens. Try using shorter or fewer inputs.",
    "ollama": "the input length exceeds the context length",
}
_OPENAI_OVERFLOW = (
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 132857 tokens."
    " Please reduce the length of the messages."
)
_THINKING = "messages.1.content.0: Invalid `signature` in `thinking` block"
_SIGNATURE = {
    "anthropic": _THINKING,
    "bedrock_converse": f"The model returned the following errors: {_THINKING}",
    "bedrock_invoke": _THINKING,
    "gemini": "Thought signature is not valid.",
    "openai_responses": "The encrypted content gAAA...AAA= could not be verified. Reason: Encrypted content"
    " could not be decrypted or parsed.",
}
_KINDS = {
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "model",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_MESSAGES = {
    "authentication": "Incorrect API key provided (simulated).",
    "billing": "You exceeded your current quota (simulated).",
    "permission": "You are not allowed to do this (simulated).",
    "model": "The model does not exist or you do not have access to it (simulated).",
    "timeout": "The request timed out (simulated).",
    "rate_limit": "Rate limit reached (simulated).",
    "overloaded": "Overloaded (simulated)",
    "too_large": "Request exceeds the maximum size (simulated).",
}


def failure_of(rule: Rule, dialect: str) -> Failure:
    """The error that a rule asks for, in the words of the dialect unless the rule has its own."""
    if rule.then == "overflow":
        return Failure(400, "overflow", rule.message or _OVERFLOW.get(dialect, _OPENAI_OVERFLOW), exact=True)
    if rule.then == "signature":
        said = _SIGNATURE.get(dialect, "Invalid signature (simulated).")
        return Failure(400, "signature", rule.message or said, exact=True)
    status = rule.status or (529 if rule.then == "stream_error" else 500)
    kind = _KINDS.get(status, "server" if status >= 500 else "invalid")
    message = rule.message or _MESSAGES.get(kind, f"Simulated error {status}.")
    exact = rule.status is not None
    return Failure(status, kind, message, rule.retry_after, rule.retry_after_ms, exact)


def limit_headers(seconds: float, dialect: str, now: datetime) -> tuple[tuple[str, str], ...]:
    """The provider's own headers for requests that are used up until then; some providers have none."""
    if dialect == "anthropic":
        at = (now.astimezone(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        prefix, reset = "anthropic-ratelimit-requests-", at
        names = (f"{prefix}limit", f"{prefix}remaining", f"{prefix}reset")
    elif dialect.startswith("openai_"):
        names = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")
        reset = f"{seconds:g}s"
    else:
        return ()
    return tuple(zip(names, ("1000", "0", reset), strict=True))
