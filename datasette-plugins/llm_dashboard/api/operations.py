"""The routing table: every operation of the API."""

from itertools import groupby

from pydantic import ConfigDict

from llm_dashboard.api import (
    accounts,
    aliases,
    audit,
    backups,
    cache,
    credentials,
    document,
    explaining,
    failures,
    importing,
    limits,
    listeners,
    machine,
    project_file,
    routing,
    secrets,
    system,
    tokens,
    usage,
    users,
)
from llm_dashboard.api.operation import Call, Nothing, Operation, Table, View

# Modules that declare into the table of another one are imported for that.
_ALSO = (machine, secrets)

TABLES: tuple[Table, ...] = (
    system.table,
    users.table,
    accounts.table,
    project_file.table,
    tokens.table,
    limits.table,
    credentials.table,
    explaining.table,
    aliases.table,
    routing.breakers_table,
    listeners.table,
    failures.table,
    cache.table,
    usage.table,
    audit.table,
    importing.table,
    backups.table,
)


class OpenApi(View):
    """The document itself."""

    model_config = ConfigDict(extra="allow")


@system.table.get("/openapi.json", "The OpenAPI document", OpenApi, where="here", scope="usage")
async def openapi(call: Call[Nothing, Nothing]) -> object:
    """OpenAPI 3.1, made from what is routed and validated."""
    return document.of(TABLES)


def _fixed_first(operation: Operation) -> list[tuple[bool, str]]:
    return [(part.startswith("{"), part) for part in operation.path.split("/")]


ALL: tuple[Operation, ...] = tuple(
    sorted((operation for table in TABLES for operation in table.operations), key=_fixed_first)
)


# The operations of each path.
BY_PATH: tuple[tuple[Operation, ...], ...] = tuple(
    tuple(found) for _, found in groupby(ALL, key=lambda operation: operation.path)
)


def sibling(operation: Operation) -> Operation | None:
    """The operation that shows the object that this one changes."""
    shown = (found for found in ALL if found.method == "GET" and found.path == operation.path)
    return next((found for found in shown if found.where == "control" and found.parameters), None)
