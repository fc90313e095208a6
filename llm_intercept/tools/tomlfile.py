"""Adding settings to a `config.toml` that belongs to a person: comments, order and values stay."""

from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable

from llm_intercept.errors import ConfigError


def added(text: str, settings: Mapping[tuple[str, ...], object]) -> tuple[str, list[tuple[str, ...]]]:
    """(the new text, what was not written because the file says something else)."""
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise ConfigError(f"config.toml is not valid TOML: {error}") from None
    kept = [path for path, value in settings.items() if not _put(document, path, value)]
    return tomlkit.dumps(document), kept


def _put(document: Any, path: tuple[str, ...], value: object) -> bool:
    """False where something else stands."""
    table = document
    for number, name in enumerate(path[:-1]):
        if name not in table:
            # A table that only holds tables needs no header of its own.
            table.add(name, tomlkit.table(is_super_table=number < len(path) - 2))
        table = table[name]
        if not isinstance(table, AbstractTable | dict):
            return False
    if path[-1] in table:
        return bool(table[path[-1]] == value)
    table[path[-1]] = value
    return True
