"""The checks of `llm-intercept doctor`: each gives a finding that says what is wrong and what to run.

Checks take facts and judge them; asking the network and other programs is `probes.py`.
"""

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llm_intercept.ca import KEY_FILE, Authority
from llm_intercept.errors import Damaged, InterceptError
from llm_intercept.home import Home
from llm_intercept.store import reports
from llm_intercept.store.cache import examine
from llm_intercept.store.control import Control
from llm_intercept.tools.probes import Probe

type Status = Literal["ok", "warning", "failed", "skipped"]

CLOCK_WARNING, CLOCK_FAILURE = 30.0, 240.0  # AWS refuses signatures that are five minutes off


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix` is a command or a sentence, empty where nothing is to be done."""

    check: str
    status: Status
    message: str
    fix: str = ""


def failed(findings: Iterable[Finding]) -> bool:
    return any(finding.status == "failed" for finding in findings)


def check_home(home: Home) -> Finding:
    if not home.path.is_dir():
        return Finding("home", "failed", f"{home.path} does not exist", "llm-intercept init")
    mode = stat.S_IMODE(home.path.stat().st_mode)
    if not os.access(home.path, os.W_OK | os.X_OK):
        return Finding("home", "failed", f"{home.path} cannot be written", f"chmod u+rwx {home.path}")
    if mode & 0o077:
        return Finding(
            "home", "warning", f"{home.path} is open to others ({mode:o})", f"chmod 700 {home.path}"
        )
    return Finding("home", "ok", str(home.path))


def check_databases(home: Home) -> Finding:
    """Opens each, which also brings it up to date, and reads from the one with the rows."""
    try:
        home.ensure()
        connection = reports.connect(home.usage_db)
        try:
            empty = reports.is_empty(connection, reports.EVERYTHING)
        finally:
            connection.close()
    except InterceptError as error:
        damaged = isinstance(error, Damaged)
        fix = "restore the file from a backup, or move it away" if damaged else ""
        return Finding("databases", "failed", str(error), fix)
    return Finding("databases", "ok", "no calls recorded yet" if empty else "readable, and there are calls")


def check_cache(home: Home) -> Finding:
    """Reads all of it. Without it no answers are stored, and everything else works."""
    try:
        examine(home.cache_db)
    except InterceptError as error:
        fix = f"stop the proxy and delete {home.cache_db}*: only stored answers are lost"
        return Finding("cache", "failed", str(error), fix)
    return Finding("cache", "ok", "readable" if home.cache_db.exists() else "no answers stored yet")


def check_keys(control: Control) -> list[Finding]:
    """That each stored key that is in use can be decrypted."""
    providers = dict.fromkeys(c.provider for c in control.credentials.list() if c.enabled)
    if not providers:
        fix = "llm-intercept key add openai --key-env OPENAI_API_KEY"
        return [Finding("keys", "warning", "no provider key is stored; only the simulator answers", fix)]
    return [_check_key(control, provider) for provider in providers]


def _check_key(control: Control, provider: str) -> Finding:
    try:
        control.credential(provider)
    except InterceptError as error:
        return Finding(f"key {provider}", "failed", str(error), f"llm-intercept key add {provider}")
    return Finding(f"key {provider}", "ok", f"decrypts; `llm-intercept provider test {provider}` tries it")


def check_authority(authority: Authority, names: Iterable[str], now: float) -> Finding:
    rotate = "llm-intercept ca rotate"
    if not authority.constrained:
        return Finding("certificate", "failed", f"{authority.path} may sign for any host", rotate)
    if not authority.valid(now):
        return Finding(
            "certificate", "failed", f"it is valid until {authority.expires:%Y-%m-%d} only", rotate
        )
    missing = authority.not_covered(names)
    if missing:
        return Finding("certificate", "failed", f"it does not cover {', '.join(missing)}", rotate)
    if authority.expires_soon(now):
        return Finding("certificate", "warning", f"it expires on {authority.expires:%Y-%m-%d}", rotate)
    covered = f"{len(authority.names)} host names and nothing else"
    return Finding("certificate", "ok", f"until {authority.expires:%Y-%m-%d}, for {covered}")


def check_private_key(certs_dir: Path) -> Finding:
    path = certs_dir / KEY_FILE
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return Finding("private key", "failed", f"others can read {path} ({mode:o})", f"chmod 600 {path}")
    return Finding("private key", "ok", "readable by its owner only")


def check_proxy(url: str, problems: list[str] | None, listening: bool) -> Finding:
    if problems == []:
        return Finding("proxy", "ok", f"ready at {url}")
    if problems:
        return Finding(
            "proxy", "failed", f"{url} cannot serve: {'; '.join(problems)}", "llm-intercept logs tail"
        )
    if listening:
        fix = "llm-intercept up --port PORT, or stop the other program"
        return Finding("proxy", "failed", f"another program answers at {url}", fix)
    return Finding("proxy", "failed", f"nothing answers at {url}", "llm-intercept up")


def check_dashboard(url: str, listening: bool) -> Finding:
    if listening:
        return Finding("dashboard", "ok", f"answers at {url}")
    return Finding("dashboard", "warning", f"nothing answers at {url}", "llm-intercept up")


def check_clock(now: float, newest_us: int, offset: float | None) -> Finding:
    """Against what we wrote ourselves, and against a server's clock where one answered."""
    fix = "set the clock of this machine, for example by NTP"
    if now * 1e6 < newest_us:
        return Finding("clock", "failed", "it shows a time before what is already recorded", fix)
    if offset is None:
        return Finding("clock", "ok", "not before anything recorded; no provider was there to compare with")
    if abs(offset) < CLOCK_WARNING:
        return Finding("clock", "ok", f"within {max(abs(offset), 1):.0f} s of a provider's")
    status: Status = "failed" if abs(offset) > CLOCK_FAILURE else "warning"
    return Finding("clock", status, f"{abs(offset):.0f} s {'ahead' if offset > 0 else 'behind'}", fix)


def check_client(probe: Probe) -> Finding:
    name = f"client {probe.client}"
    if not probe.trusts:
        return Finding(name, "failed", f"{probe.version}: {probe.error or 'no answer'}", _hint(probe.error))
    if not probe.by_us:
        message = f"{probe.version} reaches the provider, but not by way of the proxy"
        return Finding(name, "failed", message, "llm-intercept run -- CMD")
    if not probe.uses_proxy:
        message = f"{probe.version} trusts us, but ignores HTTPS_PROXY by itself"
        return Finding(
            name, "warning", message, "use Node 24, or a base URL such as http://HOST:PORT/openai/v1"
        )
    return Finding(name, "ok", f"{probe.version} goes through the proxy and trusts it")


_HINTS: Mapping[str, str] = {
    "certif": "llm-intercept ca show; restart the proxy if the root was rotated",
    "self-signed": "llm-intercept ca show; restart the proxy if the root was rotated",
    "self signed": "llm-intercept ca show; restart the proxy if the root was rotated",
    "407": "the proxy asks for a project token: llm-intercept run --project NAME -- CMD",
    "refused": "llm-intercept up",
}


def _hint(error: str) -> str:
    text = error.lower()
    return next((hint for part, hint in _HINTS.items() if part in text), "llm-intercept logs tail")
