"""The path examples that each provider gives: in its module's docstring, or in its row of the table."""

import importlib
import pkgutil
from typing import NamedTuple

import llm_intercept.providers
from llm_intercept.providers.base import Provider
from llm_intercept.providers.compatible import ROWS

METHODS = ("GET ", "POST ", "PUT ", "DELETE ")
VERTEX = "/v1/projects/p/locations/us-east5"


class Example(NamedTuple):
    provider: str
    method: str
    path: str
    operation: str
    dialect: str


def _parsed(provider: str, line: str) -> Example:
    method, path, operation, dialect = line.split()
    return Example(provider, method, VERTEX + path[1:] if path.startswith("@") else path, operation, dialect)


def all_examples() -> list[Example]:
    found = [_parsed(row.name, line) for row in ROWS for line in row.examples]
    package = llm_intercept.providers
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        loaded = importlib.import_module(module.name)
        provider = getattr(loaded, "PROVIDER", None)
        if isinstance(provider, Provider):
            lines = (line.strip() for line in (loaded.__doc__ or "").splitlines())
            found += [_parsed(provider.name, line) for line in lines if line.startswith(METHODS)]
    return found
