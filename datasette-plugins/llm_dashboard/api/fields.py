"""The kinds of fields that several objects have."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from llm_intercept.errors import ConfigError
from llm_intercept.policy.allow import Policy
from llm_intercept.policy.tokens import parse_duration

__all__ = ["Name", "Policy", "Pool", "Reference", "Span", "Text", "duration"]


def _checked_span(text: str) -> str:
    try:
        if text:
            parse_duration(text)
    except (ConfigError, OverflowError) as error:
        raise ValueError(str(error)) from None
    return text


# What is checked by code stands in the document as a pattern.
_SPAN = {"pattern": r"^( *[1-9][0-9]{0,5} *[smhdwSMHDW] *)?$"}
_POOL = {"pattern": r"^([A-Za-z][A-Za-z0-9._-]{0,63})?$"}

type Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
type Reference = Annotated[str, Field(min_length=1, max_length=320)]
type Text = Annotated[str, Field(max_length=300)]
type Span = Annotated[str, Field(max_length=20, json_schema_extra=_SPAN), AfterValidator(_checked_span)]
type Pool = Annotated[str, Field(max_length=64, json_schema_extra=_POOL)]


def duration(text: str) -> timedelta | None:
    """None for nothing."""
    return parse_duration(text) if text else None
