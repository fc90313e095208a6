"""The command line: one group, one module for each command.

A command's module is imported when the command is used and not before, so that `--help` and small
commands start at once; in each it is called `command`. `COMMANDS` is therefore the table of contents:
a line for each command, in the order of the help.
"""

import os
from importlib import import_module
from typing import Any

import click

from llm_intercept import __version__
from llm_intercept.errors import InterceptError, NotFound
from llm_intercept.secrecy import said

EXIT_FAILED = 1
EXIT_NOT_FOUND = 3

COMMANDS: dict[str, dict[str, str]] = {
    "Start": {
        "init": "Create the home folder: databases, encryption key, root certificate.",
        "up": "Run the proxy and the dashboard.",
        "proxy": "Run the proxy alone.",
        "dashboard": "Run the dashboard alone, or print a login link.",
        "sim": "Run the provider simulator: answers without any provider's key.",
    },
    "Connect clients": {
        "run": "Run a program whose LLM calls go through the proxy; prints the bill.",
        "record": "Run a program and record its LLM calls into a cassette.",
        "replay": "Answer a program's LLM calls from a cassette, offline.",
        "env": "Print the variables that connect clients in a shell.",
        "ca": "Show, export and replace the root certificate.",
        "doctor": "Check everything, down to whether the clients here trust us.",
        "addons": "Print the script to give to `mitmdump -s`.",
        "translate": "Translate a request, an answer or a stream into another dialect.",
    },
    "Manage": {
        "key": "Store the keys of providers, encrypted.",
        "user": "Create and change the people who own projects and tokens.",
        "project": "Create and show projects, to which calls and tokens belong.",
        "token": "Create and revoke the tokens that clients use instead of keys.",
        "apitoken": "Create and revoke the tokens of the management API.",
        "provider": "List the providers, and try their keys.",
        "listener": "Listen on more ports, each with defaults of its own.",
        "route": "Say where calls may go, and what happens when a target fails.",
        "alias": "Let a model's name lead to another model, or provider.",
        "failure": "Simulate failures on purpose: errors, timeouts, cut streams.",
        "limit": "Say who may take how much: requests, tokens, money.",
        "cache": "Show and delete stored answers: what was asked once is not paid for again.",
        "config": "Show the settings and where each value comes from.",
    },
    "Look": {
        "usage": "Calls, tokens, money and time, by whatever you ask for.",
        "export": "Write every call as CSV, JSON or NDJSON.",
        "logs": "Follow and search the structured logs.",
        "audit": "Who changed what, and proof that the log of it is whole.",
    },
    "Keep house": {
        "import": "Make many projects, tokens or users from a file.",
        "cleanup": "Remove what is past its time, in the home and its databases.",
        "backup": "Copy the whole home into one file, while everything runs.",
        "restore": "Make a home out of a backup.",
        "migrate": "Show the schema versions of the databases, and bring them up to date.",
        "secret": "Change the key that encrypts what is stored, and see how old it is.",
    },
}


class LazyGroup(click.Group):
    """Imports a command when it is used, and turns our exceptions into a sentence and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = import_module(f"llm_intercept.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, commands in COMMANDS.items():
            with formatter.section(section):
                formatter.write_dl(list(commands.items()), col_max=12)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InterceptError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(EXIT_NOT_FOUND if isinstance(error, NotFound) else EXIT_FAILED)
        except click.UsageError as error:
            # It repeats what was typed, and terminals are recorded and looked at.
            raise click.UsageError(said(error.format_message()), error.ctx) from None


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found. Each command has --help.",
)
@click.option(
    "--home",
    metavar="FOLDER",
    envvar="LLM_INTERCEPT_HOME",
    help="Where databases, settings and certificates lie.  [default: ~/.llm-intercept]",
)
@click.version_option(__version__, "--version", prog_name="llm-intercept")
@click.pass_context
def main(ctx: click.Context, home: str | None) -> None:
    """Meter, attribute and govern LLM traffic, without changing the clients.

    \b
    First steps:
      llm-intercept up                                        # proxy :8080, dashboard :8001
      llm-intercept key add openai --key-env OPENAI_API_KEY   # once
      llm-intercept run -- claude -p 'hi'                     # any program, unchanged
      llm-intercept usage summary
    """
    from llm_intercept.cli.session import Session

    if home:
        # Also for the processes that a command starts.
        os.environ["LLM_INTERCEPT_HOME"] = home
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    ctx.obj = Session(dict(os.environ))
    ctx.call_on_close(ctx.obj.close)
