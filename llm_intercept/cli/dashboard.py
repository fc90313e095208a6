"""`llm-intercept dashboard`: Datasette with our plugin over `usage.db`, and the links that let people in."""

import os
import sys

import click

from llm_intercept import config, environment, resources
from llm_intercept.home import Home
from llm_intercept.settings import Settings
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault

# Changing this text logs nobody out: sessions are rows, the secret only signs flash messages.
_SECRET_LABEL = "datasette secret v1"


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: 8001]")
@click.option("--login-link", "only_link", is_flag=True, help="Print a link for one login and exit.")
def dashboard(host: str | None, port: int | None, only_link: bool) -> None:
    """Run the dashboard alone, in the foreground, or print a login link.

    \b
    Example:
      llm-intercept dashboard --port 8001
      llm-intercept dashboard --login-link

    A link works once, for ten minutes; the login it gives lasts (setting
    dashboard.session_hours).
    """
    given = {"dashboard.host": host, "dashboard.port": port}
    overrides = {name: value for name, value in given.items() if value is not None}
    home = Home.find(os.environ)
    home.ensure()
    settings = config.load(home, os.environ, overrides).settings
    link = login_link(home, settings)
    if only_link:
        click.echo(link)
        return
    click.echo(f"dashboard  {link}    (link for one login, valid 10 minutes)", err=True)
    argv, env = serve_arguments(home, settings, settings.dashboard.port)
    os.execve(argv[0], argv, {**os.environ, **env})


def serve_arguments(home: Home, settings: Settings, port: int) -> tuple[list[str], dict[str, str]]:
    """The command that serves the dashboard, and what to add to its environment. The databases must exist."""
    plugins = resources.plugins()
    chosen = {
        "plugins.llm_dashboard.home": str(home.path),
        "plugins.llm_dashboard.proxy": environment.proxy_url(settings.host, settings.port),
        "plugins.llm_dashboard.session_hours": str(settings.dashboard.session_hours),
    }
    argv = [sys.executable, "-m", "datasette", "serve", str(home.usage_db)]
    argv += ["--host", settings.dashboard.host, "--port", str(port), "--default-deny"]
    argv += ["--config", str(plugins / "datasette.yaml"), "--plugins-dir", str(plugins)]
    argv += [word for name, value in chosen.items() for word in ("--setting", name, value)]
    # Other people's plugins in the same environment stay out: they would run with everybody's data.
    return argv, {"DATASETTE_SECRET": _secret(home), "DATASETTE_LOAD_PLUGINS": ""}


def login_link(home: Home, settings: Settings) -> str:
    """A URL that logs one browser in, once, within ten minutes."""
    control = Control(home.control_db, Vault.load(home.secret_key))
    try:
        code = control.sessions.create_link()
    finally:
        control.close()
    return (
        f"{environment.proxy_url(settings.dashboard.host, settings.dashboard.port)}/-/llm/login?code={code}"
    )


def _secret(home: Home) -> str:
    """The same at every start, and nowhere on disk."""
    return Vault.load(home.secret_key).digest(_SECRET_LABEL).hex()


command = dashboard
