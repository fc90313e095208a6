"""The providers that need no code: an API compatible with OpenAI's, described in `data/compatible.toml`.

A provider that needs a function of its own gets a file of its own.
"""

import re
import tomllib
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from llm_intercept.providers import endpoints, servings
from llm_intercept.providers.base import Endpoint, Provider, Serving
from llm_intercept.providers.credentials import bearer


class _Extra(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: str
    operation: str
    dialect: str
    stream: str = "never"


class Row(BaseModel):
    """One table of the file; its comment explains the fields."""

    model_config = ConfigDict(extra="forbid")

    name: str
    title: str
    hosts: tuple[str, ...]
    base_url: str
    prefix: str
    bare: str = ""
    anthropic: str | None = None
    inject: bool = False
    env: str
    price: str | None = None
    key_optional: bool = False
    not_inference: tuple[str, ...] = ()
    extra: tuple[_Extra, ...] = ()
    serves: tuple[str, ...] = ("openai_chat",)
    messages: str = ""
    vendor_models: bool = False
    reasoning: str = ""
    rejects: tuple[str, ...] = ()
    examples: tuple[str, ...]

    def provider(self) -> Provider:
        return Provider(
            name=self.name,
            title=self.title,
            dialect="openai_chat",
            hosts=self.hosts,
            base_url=self.base_url,
            endpoints=self._endpoints(),
            credential=bearer,
            not_inference=tuple(re.compile(path) for path in self.not_inference),
            price_provider=self.price,
            env=self.env,
            key_optional=self.key_optional,
            bare=self.bare,
            serves=tuple(self._serving(dialect) for dialect in self.serves),
            vendor_models=self.vendor_models,
            reasoning=self.reasoning,
            rejects=frozenset(self.rejects),
        )

    def _serving(self, dialect: str) -> Serving:
        return servings.BY_DIALECT[dialect](self.messages if dialect == "anthropic" else self.bare)

    def _endpoints(self) -> tuple[Endpoint, ...]:
        return (
            *endpoints.openai(self.prefix, inject=self.inject),
            *(endpoints.anthropic(self.anthropic) if self.anthropic is not None else ()),
            *(Endpoint(re.compile(e.path), e.operation, e.dialect, e.stream) for e in self.extra),
        )


def _rows() -> tuple[Row, ...]:
    text = files("llm_intercept").joinpath("data", "compatible.toml").read_text("utf-8")
    return tuple(Row.model_validate(table) for table in tomllib.loads(text)["provider"])


ROWS = _rows()
PROVIDERS = tuple(row.provider() for row in ROWS)
