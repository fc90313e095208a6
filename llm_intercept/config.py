"""Loading the `Settings` model: environment over `config.toml` over defaults, with the source of each value.

What is wrong is said in one sentence that names the variable, or the file and the key, and the
nearest name that would have been right. The model itself is `settings.py`.
"""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from llm_intercept.errors import ConfigError
from llm_intercept.secrecy import cleaned, said
from llm_intercept.settings import Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from llm_intercept.home import Home

PREFIX = "LLM_INTERCEPT_"
NOT_SETTINGS = frozenset(("LLM_INTERCEPT_HOME", "LLM_INTERCEPT_SECRET_KEY"))
"""Variables of ours that say where things are and what opens them: never settings."""

_KINDS = {dict: "table", list: "list"}
DEFAULT = "default"
FILE = "config.toml"
COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force. `sources` has the dotted name of every leaf value and where it came from."""

    settings: Settings
    sources: dict[str, str]


class _Environment(EnvSettingsSource):
    """pydantic-settings' reading of variables, over a mapping that is given instead of `os.environ`."""

    class Model(Settings, BaseSettings):
        model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid")

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = {name.lower(): value for name, value in variables.items()}
        super().__init__(self.Model)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._variables


def load(home: "Home", environ: Mapping[str, str], overrides: Mapping[str, object] | None = None) -> Loaded:
    """The settings of this home. `overrides` are command-line options by dotted name (`dashboard.port`)."""
    layers = [
        *_file_layer(home.config_toml),
        *_environment_layers(environ),
        *_override_layers(overrides or {}),
    ]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in layers:
        _merge(values, layer)
        sources |= {name: source for name, _ in _leaves(layer)}
    settings = _validate(values, sources, home.config_toml)
    return Loaded(_force_auth(settings, sources), _every_source(settings, sources))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to this address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_text(text: str, path: Path) -> Settings:
    """The settings that a file with this text would give by itself."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_error(path, str(error))) from None
    return _validate(values, {name: FILE for name, _ in _leaves(values)}, path)


def values(loaded: Loaded) -> Iterator[tuple[str, object, str]]:
    """(dotted name, value, source) of every setting, for people: secrets are stars, and keys are left out."""
    dumped = loaded.settings.model_dump(mode="json")
    for name, source in loaded.sources.items():
        yield said(name), cleaned(_value(dumped, name)), said(source)


def _value(values: Any, dotted: str) -> object:
    """What a source's name stands for; an alias like `gpt-4.1` has dots of its own."""
    if dotted in values:
        return values[dotted]
    heads = (dotted[:i] for i, letter in enumerate(dotted) if letter == ".")
    head = next(head for head in heads if head in values)
    return _value(values[head], dotted[len(head) + 1 :])


def variables() -> list[str]:
    """Every variable that is understood, with NAME standing for a provider."""
    return [variable(name) for name in _names(Settings)]


def _force_auth(settings: Settings, sources: dict[str, str]) -> Settings:
    """Off loopback, no credential means no service, whatever was configured."""
    if settings.auth == "required" or is_loopback(settings.host):
        return settings
    sources["auth"] = f"forced, because {settings.host} is not a loopback address"
    return settings.model_copy(update={"auth": "required"})


def _every_source(settings: Settings, sources: Mapping[str, str]) -> dict[str, str]:
    return {name: sources.get(name, DEFAULT) for name, _ in _leaves(settings.model_dump())}


def _file_layer(path: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        return [(FILE, tomllib.loads(path.read_text(encoding="utf-8")))]
    except FileNotFoundError:
        return []
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_error(path, str(error))) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


def _syntax_error(path: Path, message: str) -> str:
    """tomllib ends its message with "(at line 3, column 5)" or "(at end of document)"."""
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message, re.DOTALL)
    if found is None:
        return f"{path} is not valid TOML: {message}"
    return f"{path}, line {found[2]}, column {found[3]}, is not valid TOML: {found[1]}"


def _environment_layers(environ: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """One layer for each variable, so that an error and a source can name it."""
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            _check_variable(name)
            yield f"environment {name}", _read_variable(name, environ[name])


def _read_variable(name: str, value: str) -> dict[str, Any]:
    try:
        return _Environment({name: value})()
    except SettingsError:
        raise ConfigError(f"{name} is a list or a table and must be written as JSON") from None


def _check_variable(name: str) -> None:
    path = name.removeprefix(PREFIX).lower().split("__")
    if not _known(Settings, path):
        raise ConfigError(f"{name} is not a setting{_nearest(name, variables())}")


def _override_layers(overrides: Mapping[str, object]) -> Iterator[tuple[str, dict[str, Any]]]:
    for dotted, value in overrides.items():
        layer: Any = value
        for part in reversed(dotted.split(".")):
            layer = {part: layer}
        yield COMMAND_LINE, layer


def _merge(values: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for name, value in layer.items():
        below = values.get(name)
        if isinstance(value, dict) and isinstance(below, dict):
            _merge(below, value)
        else:
            values[name] = value


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) for everything that is not a table; an empty table counts as a value."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _validate(values: dict[str, Any], sources: Mapping[str, str], path: Path) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_sentence(e, sources, path) for e in error.errors())) from None


def _sentence(error: "ErrorDetails", sources: Mapping[str, str], path: Path) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{path}: `{name}` is not a setting{_nearest(name, _siblings(error['loc']))}"
    where = _where(name, sources, path)
    message = error["msg"].removeprefix("Input ").removeprefix("Value error, ")
    given = "" if error["type"] == "missing" else f"; it is {_shown(error['input'])}"
    return f"{where}: `{name}` {message}{given}" if given else f"{where}: `{name}` is missing"


def _where(name: str, sources: Mapping[str, str], path: Path) -> str:
    """The source of a value, or of the list or table around it."""
    while name:
        if name in sources:
            return str(path) if sources[name] == FILE else sources[name]
        name = name.rpartition(".")[0]
    return str(path)


def _shown(value: object) -> str:
    """Only what is one word: a list or a table may have anything in it."""
    if isinstance(value, dict | list):
        return f"a {_KINDS[type(value)]}"
    text = repr(said(value) if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else "; `llm-intercept config show` lists all settings"


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    """The dotted names that would have been right beside an unknown one, then all others."""
    model: object = Settings
    for part in location[:-1]:
        model = _below(model, str(part))
    prefix = "".join(f"{part}." for part in location[:-1])
    beside = list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
    return [prefix + name for name in beside] or list(_names(Settings))


def _below(model: object, part: str) -> object:
    """The type of the value called `part` in a model, a dict or a list; None when there is no such value."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        found = model.model_fields.get(part)
        return found.annotation if found else None
    return get_args(model)[-1] if get_origin(model) in (dict, list) else None


def _known(model: object, path: list[str]) -> bool:
    for part in path:
        model = _below(model, part) if part else None
        if model is None or get_origin(model) is list:
            break
    return model is not None and (get_origin(model) is not list or part == path[-1])


def _names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        inner = info.annotation
        if get_origin(inner) is dict:
            name, inner = f"{name}.NAME", get_args(inner)[1]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _names(inner, f"{prefix}{name}.")
        else:
            yield prefix + name


def variable(dotted: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + dotted.replace(".", "__").upper()
