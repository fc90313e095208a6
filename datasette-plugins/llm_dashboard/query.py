"""The filters in a query string: read once, the same for pages, JSON and exports."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from llm_intercept.store.report_terms import FILTER_NAMES, Filters, Scope
from llm_intercept.store.report_time import Window, window


def read(args: Any, scope: Scope, now: int, since: str = "") -> tuple[Window, Filters]:
    """Raises ConfigError, worded for people, when a time cannot be read."""
    span = window(args.get("since", since).strip(), args.get("until", "").strip(), now)
    given = {name: args.get(name, "").strip() for name in FILTER_NAMES}
    if not scope.everything:
        given["credential"] = ""  # which of a provider's keys was used is for admins
    return span, Filters(scope, **given)


def text(since: str, until: str, filters: Filters, **more: object) -> str:
    """A query string with what is set."""
    parts: Mapping[str, object] = {"since": since, "until": until, **filters.chosen(), **more}
    return urlencode({name: value for name, value in parts.items() if value})
