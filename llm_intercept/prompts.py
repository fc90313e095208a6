"""System prompts that settings name by file, read once at the start."""

from pathlib import Path

from llm_intercept.errors import ConfigError
from llm_intercept.settings import ModelControl, ModelRules, ModelsSettings

_LARGEST = 1_000_000


def with_prompts(models: ModelsSettings, home: Path) -> ModelsSettings:
    """The same settings, each `system_file` replaced by its text as `system`."""
    projects = {name: _rules(rules, home, f"projects.{name}.") for name, rules in models.projects.items()}
    return _rules(models, home, "").model_copy(update={"projects": projects})


def _rules[R: ModelRules](rules: R, home: Path, place: str) -> R:
    tiers = rules.tiers
    read = {
        name: _read(getattr(tiers, name), home, f"{place}tiers.{name}.")
        for name in ("big", "middle", "small")
    }
    whole = rules.model_copy(update={"tiers": tiers.model_copy(update=read)})
    return _read(whole, home, place)


def _read[C: ModelControl](table: C, home: Path, place: str) -> C:
    if not table.system_file:
        return table
    path = home / Path(table.system_file).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"models.{place}system_file: {path} cannot be read: {error}") from None
    if len(text) > _LARGEST:
        raise ConfigError(f"models.{place}system_file: {path} is longer than {_LARGEST:,} characters")
    return table.model_copy(update={"system": text, "system_file": ""})
