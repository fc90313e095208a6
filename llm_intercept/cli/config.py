"""`llm-intercept config`: read only; settings are changed in the file or the environment."""

import json

import click

from llm_intercept.cli.import_env import command as import_env
from llm_intercept.cli.output import json_option, print_json, print_table
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.config import values
from llm_intercept.policy.models import ModelMap
from llm_intercept.prompts import with_prompts


@click.group
def command() -> None:
    """Show the settings and where each value comes from.

    \b
    Environment goes over config.toml goes over defaults:
      LLM_INTERCEPT_CAPTURE__BODIES=errors llm-intercept config show
    or in config.toml:
      [capture]
      bodies = "errors"
    """


command.add_command(import_env)


@command.command
@json_option
@pass_session
def show(session: Session, as_json: bool) -> None:
    """Every setting, its value and its source."""
    rows: list[dict[str, object]] = [
        {"name": name, "value": value, "source": source} for name, value, source in values(session.loaded)
    ]
    if as_json:
        print_json(rows)
        return
    shown = [{**row, "value": _shown(row["value"])} for row in rows]
    print_table({"name": "setting", "value": "value", "source": "source"}, shown)


@command.command
@pass_session
def path(session: Session) -> None:
    """The path of config.toml (which need not exist)."""
    click.echo(session.home.config_toml)


@command.command
@pass_session
def check(session: Session) -> None:
    """Say whether the settings are right; if not, what to change."""
    changed = sum(source != "default" for source in session.loaded.sources.values())
    session.registry.ca_names()
    models = with_prompts(session.settings.models, session.home.path)
    ModelMap(models, session.registry.providers, lambda model: True)
    click.echo(f"The settings are right; {changed} of them are not at their default.")


def _shown(value: object) -> str:
    """As one would write it in the environment."""
    return value if isinstance(value, str) else "-" if value is None else json.dumps(value)
