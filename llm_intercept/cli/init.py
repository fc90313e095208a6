"""`llm-intercept init`."""

import click

from llm_intercept.cli.output import json_option, print_json
from llm_intercept.cli.session import Session, pass_session


@click.command
@json_option
@pass_session
def command(session: Session, as_json: bool) -> None:
    """Create the home folder: databases, encryption key, root certificate.

    Safe to repeat: what exists is kept, and databases of an older version are brought up to date.
    `up` and `proxy` do the same by themselves.
    """
    session.home.ensure()
    authority = session.authority()
    facts = {
        "home": str(session.home.path),
        "certificates": str(session.home.certs),
        "settings": str(session.home.config_toml),
        "bundle": str(session.bundle()),
        "root_sha256": authority.fingerprint,
        "root_expires": authority.expires.isoformat(),
    }
    if as_json:
        print_json(facts)
        return
    click.echo(f"Home: {facts['home']}")
    click.echo(
        f"Root certificate: {session.home.certs}, for {len(authority.names)} host names and nothing else"
    )
    click.echo("Next: `llm-intercept up` starts the proxy and the dashboard.")
