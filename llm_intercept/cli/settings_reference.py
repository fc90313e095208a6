"""`docs/settings.md`, made of the settings model (its own text says how)."""

import inspect
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from llm_intercept.settings import Settings

_HEAD = """# Settings

Written in `config.toml` of the home folder (`llm-intercept config path`) or as environment variables; the
environment wins. `llm-intercept config show` prints every value with where it came from. A name that does not
exist is an error that names the nearest one that does. This page is generated:
`python -m llm_intercept.cli.settings_reference > docs/settings.md`.

`LLM_INTERCEPT_HOME` (where the home folder is) and `LLM_INTERCEPT_SECRET_KEY` (the encryption key,
in place of `secret.key`) are variables only.

What commands change, such as projects, tokens and keys, is not a setting: it lies in `control.db`.
"""


type Shown = dict[type[BaseModel], str]
"""The title under which each section has its table; one that comes again is only referred to."""


def markdown() -> str:
    parts = [_HEAD, _table("General", "", Settings, {})]
    shown: Shown = {}
    for name, field in Settings.model_fields.items():
        parts += _sections(name, field, shown)
    return "\n".join(parts)


def _sections(name: str, field: FieldInfo, shown: Shown) -> Iterator[str]:
    """The table of a section, then of those in it."""
    section = _model(field.annotation)
    title = _title(name, field)
    if section is None or _where(section, title, shown) != title:
        return
    yield _table(title, _prefix(name, field), section, shown)
    for inner, below in section.model_fields.items():
        yield from _sections(f"{name}.{inner}", below, shown)


def _where(section: type[BaseModel], title: str, shown: Shown) -> str:
    like = next((known for known in shown if issubclass(known, section)), None)
    return shown[like] if like is not None else shown.setdefault(section, title)


def _model(annotation: Any) -> type[BaseModel] | None:
    candidates = (annotation, *get_args(annotation))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _title(name: str, field: FieldInfo) -> str:
    match get_origin(field.annotation):
        case kind if kind is dict:
            return f"`[{name}.NAME]`"
        case kind if kind is list:
            return f"`[[{name}]]`"
    return f"`[{name}]`"


def _prefix(name: str, field: FieldInfo) -> str:
    if get_origin(field.annotation) is list:
        return ""
    name = name.replace(".", "__")
    return f"{name}__NAME__" if get_origin(field.annotation) is dict else f"{name}__"


def _about(model: type[BaseModel]) -> str:
    """Its docstring without indentation, which Python 3.13 alone takes away itself."""
    return inspect.cleandoc(model.__doc__ or "")


def _table(title: str, prefix: str, model: type[BaseModel], shown: Shown) -> str:
    about = "" if model is Settings else f"\n{_about(model)}\n"
    rows = "\n".join(_rows(title, prefix, model, shown))
    return f"## {title}\n{about}\n| setting | default | meaning | variable |\n|---|---|---|---|\n{rows}\n"


def _rows(title: str, prefix: str, model: type[BaseModel], shown: Shown) -> Iterator[str]:
    for name, field in model.model_fields.items():
        section = _model(field.annotation)
        if section is not None:
            if model is not Settings:
                inner = _title(f"{title.strip('`[]')}.{name}", field)
                about = field.description or _about(section)
                yield f"| `{name}` | | {about} See {_where(section, inner, shown)}. | `{inner.strip('`')}` |"
            continue
        variable = (
            "as JSON in the list's own"
            if title.startswith("`[[")
            else f"`LLM_INTERCEPT_{(prefix + name).upper()}`"
        )
        yield f"| `{name}` | {_default(field)} | {field.description}{_choices(field)} | {variable} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined or value in ("", [], {}):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _choices(field: FieldInfo) -> str:
    options = [
        v for a in (field.annotation, *get_args(field.annotation)) for v in get_args(a) if isinstance(v, str)
    ]
    return f" ({', '.join(f'`{v}`' for v in dict.fromkeys(options))})" if options else ""


if __name__ == "__main__":
    print(markdown(), end="")
