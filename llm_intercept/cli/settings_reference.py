"""`docs/settings.md`, made of the settings model (its own text says how)."""

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


def markdown() -> str:
    parts = [_HEAD, _table("General", "", Settings)]
    for name, field in Settings.model_fields.items():
        section = _model(field.annotation)
        if section is not None:
            parts.append(_table(_title(name, field), _prefix(name, field), section))
    return "\n".join(parts)


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
    return f"{name}__NAME__" if get_origin(field.annotation) is dict else f"{name}__"


def _table(title: str, prefix: str, model: type[BaseModel]) -> str:
    about = "" if model is Settings else f"\n{(model.__doc__ or '').strip()}\n"
    rows = "\n".join(_rows(prefix, model, with_variable=not title.startswith("`[[")))
    return f"## {title}\n{about}\n| setting | default | meaning | variable |\n|---|---|---|---|\n{rows}\n"


def _rows(prefix: str, model: type[BaseModel], with_variable: bool) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if model is Settings and _model(field.annotation) is not None:
            continue
        variable = (
            f"`LLM_INTERCEPT_{(prefix + name).upper()}`" if with_variable else "as JSON in the list's own"
        )
        yield f"| `{name}` | {_default(field)} | {field.description}{_choices(field)} | {variable} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined or value in ("", []):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _choices(field: FieldInfo) -> str:
    options = [
        v for a in (field.annotation, *get_args(field.annotation)) for v in get_args(a) if isinstance(v, str)
    ]
    return f" ({', '.join(f'`{v}`' for v in dict.fromkeys(options))})" if options else ""


if __name__ == "__main__":
    print(markdown(), end="")
