"""Tokens for the management API: how they look, and what each scope lets them do."""

from typing import Literal, get_args

from llm_intercept.errors import ConfigError

PREFIX = "llm_api_"

type ApiScope = Literal["usage", "read", "write"]
# In order: each includes those before it.
SCOPES: tuple[ApiScope, ...] = get_args(ApiScope.__value__)


def hint(text: str) -> str:
    """`llm_api_AbCd...wxyz`: enough to recognise it by."""
    return f"{text[: len(PREFIX) + 4]}...{text[-4:]}"


def checked_scope(scope: str) -> ApiScope:
    for known in SCOPES:
        if known == scope:
            return known
    raise ConfigError(f"{scope!r} is not a scope of API tokens; use usage, read or write")


def allows(granted: str, wanted: ApiScope) -> bool:
    return granted in SCOPES and SCOPES.index(granted) >= SCOPES.index(wanted)
