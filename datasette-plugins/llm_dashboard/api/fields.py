"""The kinds of fields that several objects have."""

from datetime import timedelta, tzinfo
from typing import Annotated

from pydantic import AfterValidator, Field

from llm_dashboard.api.problem import Problem
from llm_intercept.errors import ConfigError
from llm_intercept.policy.allow import Policy
from llm_intercept.policy.tokens import parse_duration, parse_lifetime
from llm_intercept.store.report_days import checked_zone, local_window
from llm_intercept.store.report_time import Window

__all__ = [
    "Lifetime",
    "Name",
    "Policy",
    "Pool",
    "Reference",
    "Span",
    "Text",
    "duration",
    "lifetime",
    "span",
    "time_zone",
]


def _checked_span(text: str) -> str:
    try:
        if text:
            parse_duration(text)
    except (ConfigError, OverflowError) as error:
        raise ValueError(str(error)) from None
    return text


def _checked_lifetime(text: str) -> str:
    return text if text == "never" else _checked_span(text)


# What is checked by code stands in the document as a pattern.
_SPAN = {"pattern": r"^( *[1-9][0-9]{0,5} *[smhdwSMHDW] *)?$"}
_LIFETIME = {"pattern": r"^( *[1-9][0-9]{0,5} *[smhdwSMHDW] *|never)?$"}
_POOL = {"pattern": r"^([A-Za-z][A-Za-z0-9._-]{0,63})?$"}

type Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
type Reference = Annotated[str, Field(min_length=1, max_length=320)]
type Text = Annotated[str, Field(max_length=300)]
type Span = Annotated[str, Field(max_length=20, json_schema_extra=_SPAN), AfterValidator(_checked_span)]
type Lifetime = Annotated[
    str, Field(max_length=20, json_schema_extra=_LIFETIME), AfterValidator(_checked_lifetime)
]
type Pool = Annotated[str, Field(max_length=64, json_schema_extra=_POOL)]


def time_zone(name: str) -> tzinfo:
    try:
        return checked_zone(name)
    except ConfigError as error:
        raise Problem("invalid_value", f"{error}.", "timezone") from None


def span(since: tuple[str, str], until: tuple[str, str], where: tzinfo, now_us: int) -> Window:
    """What is asked for by two parameters: (name, value) of each. Which of them is wrong is told."""
    for name, begin, end in (
        (since[0], since[1], ""),
        (until[0], "", until[1]),
        (until[0], since[1], until[1]),
    ):
        try:
            found = local_window(begin, end, where, now_us)
        except ConfigError as error:
            text = str(error)
            raise Problem("invalid_value", f"{text[:1].upper()}{text[1:]}.", name) from None
    return found


def duration(text: str) -> timedelta | None:
    """None for nothing."""
    return parse_duration(text) if text else None


def lifetime(text: str) -> timedelta | None:
    return parse_lifetime(text) if text else None
