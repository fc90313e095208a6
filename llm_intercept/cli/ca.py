"""`llm-intercept ca`."""

import shutil
import sys
from pathlib import Path
from typing import Any

import click

from llm_intercept import ca
from llm_intercept.cli.output import json_option, print_json
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import InterceptError


@click.group
def command() -> None:
    """Show, export and replace the root certificate.

    The root may sign for the registered provider hosts only (critical X.509 name constraints), so
    trusting it opens nothing else. `run` and `env` make programs trust it without any installation.
    """


@command.command
@json_option
@pass_session
def show(session: Session, as_json: bool) -> None:
    """What the root is, what it may sign for, and how long it lasts."""
    session.authority()
    facts = ca.describe(session.home.certs, session.registry.ca_names(), session.now)
    if as_json:
        print_json(facts)
        return
    click.echo(_paragraph(facts))
    if facts["not_covered"]:
        raise InterceptError("the root does not cover every provider host; run `llm-intercept ca rotate`")


def _paragraph(facts: dict[str, Any]) -> str:
    lines = [
        f"Certificate  {facts['certificate']}",
        f"Subject      {facts['subject']}",
        f"SHA-256      {facts['sha256']}",
        f"Expires      {facts['not_after']} (in {facts['days_left']} days)",
        f"Permitted    {len(facts['permitted'])} names: {', '.join(facts['permitted'])}",
    ]
    if facts["not_covered"]:
        lines.append(f"Not covered  {', '.join(facts['not_covered'])}")
    lines += [f"Previous     {old['sha256']} until {old['not_after']}" for old in facts["previous"]]
    return "\n".join(lines)


@command.command
@pass_session
def path(session: Session) -> None:
    """The path of the bundle: the machine's roots and ours, for SSL_CERT_FILE and its like."""
    click.echo(session.bundle())


@command.command
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Write to this file instead of the terminal."
)
@click.option("--format", "kind", type=click.Choice(["pem", "p12"]), default="pem", show_default=True)
@pass_session
def export(session: Session, output: str | None, kind: str) -> None:
    """Our root alone, without its key: for an operating system or a browser that shall trust it."""
    authority = session.authority()
    source = session.home.certs / {"pem": ca.CERTIFICATE_FILE, "p12": f"{ca.BASENAME}-ca-cert.p12"}[kind]
    if output:
        shutil.copyfile(source, output)
        click.echo(f"wrote {output}", err=True)
    elif kind == "pem":
        click.echo(authority.pem(), nl=False)
    else:
        raise click.UsageError("a .p12 file is not text; give it a name with --output")


@command.command
@json_option
@pass_session
def rotate(session: Session, as_json: bool) -> None:
    """Make a new root, for the provider hosts of today.

    The old one stays in the bundle until it expires, so programs that are running keep working.
    A running proxy takes the new root when it is started again.
    """
    authority = ca.rotate(session.home.certs, session.registry.ca_names(), session.now)
    session.bundle()
    if as_json:
        print_json(ca.describe(session.home.certs, session.registry.ca_names(), session.now))
        return
    click.echo(f"New root {authority.fingerprint}, until {authority.expires:%Y-%m-%d}.")
    click.echo(
        "Restart the proxy so that it signs with it; whoever installed the old root needs the new one."
    )


@command.command
@click.option(
    "--print", "printed", is_flag=True, required=True, help="Required: commands are shown, never run."
)
@pass_session
def trust(session: Session, printed: bool) -> None:
    """Print the commands that make this operating system trust our root.

    Seldom needed: `llm-intercept run` and `llm-intercept env` do without. It is for programs that
    read the system's roots only, such as browsers.
    """
    session.authority()
    click.echo(_trust_commands(session.home.certs / ca.CERTIFICATE_FILE, sys.platform))


def _trust_commands(certificate: Path, platform: str) -> str:
    if platform == "darwin":
        return (
            "sudo security add-trusted-cert -d -r trustRoot"
            f' -k /Library/Keychains/System.keychain "{certificate}"'
        )
    if platform == "win32":
        return f'certutil -user -addstore Root "{certificate}"'
    return "\n".join(
        (
            "# Debian, Ubuntu, Alpine",
            f'sudo cp "{certificate}" /usr/local/share/ca-certificates/llm-intercept.crt',
            "sudo update-ca-certificates",
            "# Fedora, RHEL, Arch",
            f'sudo trust anchor "{certificate}"',
        )
    )
