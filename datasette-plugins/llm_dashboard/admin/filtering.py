"""Filters of lists that are short enough to be looked through here: words, and values that are chosen."""

from collections.abc import Iterable

from llm_dashboard.admin.visit import Visit


def chosen(visit: Visit, *names: str) -> dict[str, str]:
    """What the query string says of these, and of `q`, the words."""
    return {name: visit.arg(name) for name in ("q", *names)}


def has_words(words: str, *texts: str | None) -> bool:
    """Whether every word is somewhere in the texts."""
    whole = " ".join(filter(None, texts)).lower()
    return all(word in whole for word in words.lower().split())


def fits(wanted: str, value: str) -> bool:
    """Nothing wanted fits anything."""
    return wanted in ("", value)


def different(values: Iterable[str]) -> list[str]:
    """For a choice: each once, in order."""
    return sorted({value for value in values if value})
