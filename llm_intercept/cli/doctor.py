"""`llm-intercept doctor`."""

import asyncio
import socket
from collections.abc import Iterator

import click

from llm_intercept import environment, presence
from llm_intercept.cli.output import json_option, print_json, print_table, records
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.errors import InterceptError
from llm_intercept.store import reports
from llm_intercept.tools import doctor, probes
from llm_intercept.tools.doctor import Finding


@click.command
@click.option("--proxy", metavar="URL", help="Try a proxy elsewhere.  [default: the one of the settings]")
@json_option
@pass_session
def command(session: Session, proxy: str | None, as_json: bool) -> None:
    """Check everything, down to whether the clients here trust us.

    Home folder, settings, databases, keys, certificate, ports and clock; then a request of each of
    curl, Python and Node through the proxy. That request is refused by the proxy itself: nothing
    leaves this machine and nothing is recorded. Exit code 1 if something has failed.
    """
    findings = list(_findings(session, proxy))
    if as_json:
        print_json(findings)
    else:
        print_table({"status": "", "check": "check", "message": "", "fix": "what to do"}, records(findings))
    if doctor.failed(findings):
        click.get_current_context().exit(1)


def _findings(session: Session, proxy: str | None) -> Iterator[Finding]:
    yield doctor.check_home(session.home)
    try:
        session.registry.ca_names()
    except InterceptError as error:
        yield Finding("settings", "failed", str(error), f"edit {session.home.config_toml}")
        return
    yield Finding("settings", "ok", str(session.home.config_toml))
    databases = doctor.check_databases(session.home)
    yield databases
    yield doctor.check_cache(session.home)
    if databases.status == "ok":
        yield from _about_rows(session)
    yield from _about_certificate(session)
    yield from _about_servers(session, proxy or session.proxy_url)


def _about_rows(session: Session) -> Iterator[Finding]:
    try:
        yield from doctor.check_keys(session.control)
    except InterceptError as error:
        yield Finding("keys", "failed", str(error), "restore secret.key from a backup")
        return
    newest = reports.recent(session.usage, reports.Filters(reports.EVERYTHING), limit=1)
    yield doctor.check_clock(session.now, _id(newest), asyncio.run(_offset(session)))


def _id(rows: list[reports.Row]) -> int:
    number = rows[0]["id"] if rows else 0
    return number if isinstance(number, int) else 0


async def _offset(session: Session) -> float | None:
    """Against the first provider that we have a key for: nobody else is asked."""
    stored = (c.provider for c in session.control.credentials.list() if c.enabled)
    urls = (
        session.registry.providers[name].base_url for name in stored if name in session.registry.providers
    )
    url = next((url for url in urls if url and url.startswith("https:")), None)
    return await probes.clock_offset(url, session.now) if url else None


def _about_certificate(session: Session) -> Iterator[Finding]:
    try:
        authority = session.authority()
    except InterceptError as error:
        yield Finding("certificate", "failed", str(error), "llm-intercept ca rotate")
        return
    yield doctor.check_authority(authority, session.registry.ca_names(), session.now)
    yield doctor.check_private_key(session.home.certs)


def _about_servers(session: Session, url: str) -> Iterator[Finding]:
    host, port = url.partition("://")[2].rstrip("/").rpartition(":")[::2]
    state = doctor.check_proxy(url, probes.readiness(url), _listening(host, port))
    yield state
    dashboard = session.settings.dashboard
    there = presence.find(session.home.path, presence.DASHBOARD)
    there = there or environment.proxy_url(dashboard.host, dashboard.port)
    host, port = there.partition("://")[2].rstrip("/").rpartition(":")[::2]
    yield doctor.check_dashboard(there, _listening(host, port))
    if state.status != "ok":
        yield Finding("clients", "skipped", "they are tried when the proxy is ready")
        return
    values = environment.variables(url, str(session.bundle()), session.environ)
    for probe in probes.client_probes({**session.environ, **values}):
        yield doctor.check_client(probe)


def _listening(host: str, port: str) -> bool:
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2):
            return True
    except (OSError, ValueError):
        return False
