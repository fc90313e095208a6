"""`llm-intercept addons`."""

import click

from llm_intercept.resources import gateway_script


@click.command
def command() -> None:
    """Print the script to give to `mitmdump -s`.

    \b
    The same addons on stock mitmproxy:
      mitmdump -s "$(llm-intercept addons)"
    """
    click.echo(gateway_script())
