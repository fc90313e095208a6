"""What a well-formed stream is, one module per dialect: machines that say in plain sentences what is wrong.

The rules are those of the vendors' documentation, quoted in each module, and no stricter: a stream that an
official SDK reads and the documentation allows has no violations. Grammars never import one another.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast


class Grammar(Protocol):
    """One stream. Total, and bounded in memory and in the number of sentences; each is said once."""

    def feed(self, event: str, data: bytes) -> list[str]:
        """One frame, as the framing cut it; the violations that it shows, mostly none."""

    def close(self) -> list[str]:
        """The stream ended by itself: what is missing. Not for streams that were cut off."""


@cache
def names() -> frozenset[str]:
    return frozenset(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def get(name: str, *, asks_usage: bool = False) -> Grammar | None:
    """A new grammar of this dialect; None where there is none. `asks_usage`: the request asked for usage."""
    return _maker(name)(asks_usage) if name in names() else None


class _Maker(Protocol):
    def __call__(self, asks_usage: bool) -> Grammar: ...


@cache
def _maker(name: str) -> _Maker:
    return cast(_Maker, import_module(f"{__name__}.{name}").Grammar)
