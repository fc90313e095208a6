"""Modules that hardly any proxy needs, loaded when one does: HTTP/3, mitmproxy's grammar of commands, YAML.

mitmproxy imports them all at its start: 9 MB. Here a module without content stands for each, and a class
without instances for each name that is taken from it. The first of these that is called, asked for an
attribute or inherited from loads them all, and what was meant takes the place of what stood for it.
"""

import sys
from contextlib import suppress
from importlib import import_module
from threading import RLock
from types import ModuleType
from typing import Any

MODULES = (
    *("mitmproxy.proxy.layers.quic", "mitmproxy.proxy.layers.http._http3"),
    *("aioquic.h3.connection", "aioquic.tls"),
    *("mitmproxy.command_lexer", "pyparsing", "ruamel.yaml"),
)
_loading = RLock()


def place() -> None:
    """Call it before anything of mitmproxy is imported; what is loaded already stays."""
    for name in MODULES:
        if name not in sys.modules:
            module = sys.modules[name] = _Later(name)
            package, _, last = name.rpartition(".")
            if package and "." not in package:
                setattr(import_module(package), last, module)


class _Later(ModuleType):
    """Stands for a module."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = _Name(name, (), {"module_name": self.__name__})
        setattr(self, name, found)
        return found


class _Name(type):
    """The class of what stands for a name of such a module."""

    module_name: str

    def __new__(cls, name: str, bases: tuple[type, ...], content: dict[str, Any], **more: Any) -> Any:
        if not bases:
            return super().__new__(cls, name, bases, content)
        real = tuple(_meant(base) if type(base) is _Name else base for base in bases)
        return type(real[0])(name, real, content, **more)

    def __call__(cls, *args: Any, **more: Any) -> Any:
        return _meant(cls)(*args, **more)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_meant(cls), name)

    def __instancecheck__(cls, value: object) -> bool:
        """There is none before they are loaded."""
        return type(sys.modules[cls.module_name]) is not _Later and isinstance(value, _meant(cls))


def _meant(name: _Name) -> Any:
    _load()
    return getattr(sys.modules[name.module_name], name.__name__)


def _load() -> None:
    with _loading:
        placed = [name for name in MODULES if type(sys.modules.get(name)) is _Later]
        for name in placed:
            del sys.modules[name]
        for name in placed:
            with suppress(ModuleNotFoundError):  # of another version of mitmproxy
                import_module(name)
        if placed:
            _replace()


def _replace() -> None:
    for module in list(sys.modules.values()):
        for key, value in list(getattr(module, "__dict__", {}).items()):
            if type(value) is _Name:
                setattr(module, key, _meant(value))
            elif type(value) is _Later:
                setattr(module, key, sys.modules[value.__name__])
