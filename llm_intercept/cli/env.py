"""`llm-intercept env`."""

import click

from llm_intercept import environment
from llm_intercept.cli.clients import key_variables
from llm_intercept.cli.session import Session, pass_session


@click.command
@click.option(
    "--shell",
    type=click.Choice(environment.SHELLS),
    default="sh",
    show_default=True,
    help="Which spelling to print.",
)
@click.option(
    "--token", metavar="TOKEN", help="Attribute calls to this project token, and use stored keys with it."
)
@click.option("--proxy", metavar="URL", help="A proxy elsewhere.  [default: the one of the settings]")
@pass_session
def command(session: Session, shell: str, token: str | None, proxy: str | None) -> None:
    """Print the variables that connect clients in a shell.

    \b
    sh, bash, zsh    eval "$(llm-intercept env)"
    fish             llm-intercept env --shell fish | source
    PowerShell       llm-intercept env --shell powershell | Out-String | Invoke-Expression
    """
    names = key_variables(session) if token else ()
    values = environment.variables(
        proxy or session.proxy_url, str(session.bundle()), session.environ, token=token, key_variables=names
    )
    click.echo(environment.render(values, shell))
