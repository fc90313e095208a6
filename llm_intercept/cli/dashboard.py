"""`llm-intercept dashboard`: Datasette with our plugin over `usage.db`, and the links that let people in."""

import os
import sys
from contextlib import closing

import click

from llm_intercept import config, environment, presence, resources
from llm_intercept.auditfile import AuditFile
from llm_intercept.cli.ports import claim
from llm_intercept.cli.session import local_actor
from llm_intercept.errors import Conflict
from llm_intercept.home import Home
from llm_intercept.manage.accounts import Accounts
from llm_intercept.manage.desk import Desk
from llm_intercept.settings import Settings
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault

# Changing this text logs nobody out: sessions are rows, the secret only signs flash messages.
_SECRET_LABEL = "datasette secret v1"


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: 8001]")
@click.option("--login-link", "only_link", is_flag=True, help="Print a link for one login and exit.")
@click.option("--setup-link", is_flag=True, help="Print a link to make the first admin and exit.")
def dashboard(host: str | None, port: int | None, only_link: bool, setup_link: bool) -> None:
    """Run the dashboard alone, in the foreground, or print a login link.

    \b
    Example:
      llm-intercept dashboard --port 8001
      llm-intercept dashboard --login-link
      llm-intercept dashboard --setup-link

    A login link works once, for ten minutes, and lets whoever opens it in as the administrator;
    the login it gives lasts (setting dashboard.session_hours). A setup link makes the first user
    with a password, within an hour.
    """
    given = {"dashboard.host": host, "dashboard.port": port}
    overrides = {name: value for name, value in given.items() if value is not None}
    home = Home.find(os.environ)
    home.ensure()
    settings = config.load(home, os.environ, overrides).settings
    if only_link or setup_link:
        click.echo(new_setup_link(home, settings) if setup_link else login_link(home, settings))
        return
    claim(settings.dashboard.host, settings.dashboard.port, "--port")
    announce(home, settings)
    for line in ways_in(home, settings):
        click.echo(line, err=True)
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
    # Nor does the server believe X-Forwarded-For of whoever is on this machine: the plugin decides that.
    environ = {"DATASETTE_LOAD_PLUGINS": "", "FORWARDED_ALLOW_IPS": ""}
    return argv, {"DATASETTE_SECRET": _secret(home), **environ}


def login_link(home: Home, settings: Settings) -> str:
    """A URL that logs one browser in, once, within ten minutes."""
    with closing(_opened(home, settings)) as control:
        return f"{address(home, settings)}/-/llm/login?code={_accounts(control).link(local_actor())}"


def new_setup_link(home: Home, settings: Settings) -> str:
    """A URL that makes the first admin, once, within an hour."""
    with closing(_opened(home, settings)) as control:
        if not control.accounts.without_users():
            raise Conflict("there are users already; invite more with `llm-intercept user invite NAME`")
        code = _accounts(control).link(local_actor(), "setup")
        return f"{address(home, settings)}/-/llm/setup?code={code}"


def ways_in(home: Home, settings: Settings) -> list[str]:
    """What is printed at the start: links as long as nobody has a login of their own."""
    with closing(_opened(home, settings)) as control:
        nobody = control.accounts.without_users()
    if not nobody:
        return [f"dashboard  {address(home, settings)}/"]
    return [
        f"dashboard  {login_link(home, settings)}    (link for one login, valid 10 minutes)",
        f"first user {new_setup_link(home, settings)}    (optional: logins with passwords, valid 1 hour)",
    ]


def announce(home: Home, settings: Settings) -> None:
    """Says where this process serves the dashboard, for as long as it lives."""
    url = environment.proxy_url(settings.dashboard.host, settings.dashboard.port)
    presence.announce(home.path, url, presence.DASHBOARD)


def address(home: Home, settings: Settings) -> str:
    """Where people reach the dashboard: the one that is running, before the one that settings speak of."""
    running = presence.find(home.path, presence.DASHBOARD)
    listening = environment.proxy_url(settings.dashboard.host, settings.dashboard.port)
    return settings.dashboard.url.rstrip("/") or running or listening


def _accounts(control: Control) -> Accounts:
    return Accounts(Desk(control, control.audit))


def _opened(home: Home, settings: Settings) -> Control:
    control = Control(home.control_db, Vault.load(home.secret_key))
    control.audit.sink = AuditFile(home.logs, settings.log)
    return control


def _secret(home: Home) -> str:
    """The same at every start, and nowhere on disk."""
    return Vault.load(home.secret_key).digest(_SECRET_LABEL).hex()


command = dashboard
