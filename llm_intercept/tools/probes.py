"""What only asking can tell: does a proxy answer, do the clients here trust it, is the clock right?

The client probe sends a token with a typing error to a path of a provider that is not inference:
the proxy refuses it itself, so nothing leaves this machine and no call is recorded.
"""

import email.utils
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

PROBE_URL = "https://api.anthropic.com/api/hello"
PROBE_TOKEN = "lli_doctor"
REQUEST_ID = "x-llm-intercept-request-id"
TIMEOUT_SECONDS = 20
NODE_WITH_PROXY = 24

_PYTHON = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": "Bearer " + sys.argv[2]})
try:
    answer = urllib.request.urlopen(request, timeout=10)
except urllib.error.HTTPError as error:
    answer = error
print(answer.headers)
"""

_NODE_FETCH = """
fetch(process.argv[1], {headers: {authorization: "Bearer " + process.argv[2]}})
  .then(answer => { for (const [k, v] of answer.headers) console.log(k + ": " + v); })
  .catch(error => { console.error(String(error.cause || error)); process.exitCode = 1; });
"""

# For Node that ignores HTTPS_PROXY: the tunnel by hand, the trust as ever.
_NODE_TUNNEL = """
const http = require("http"), https = require("https");
const proxy = new URL(process.env.HTTPS_PROXY), target = new URL(process.argv[1]);
const fail = error => { console.error(String(error)); process.exit(1); };
const connect = http.request({host: proxy.hostname, port: proxy.port, method: "CONNECT",
                              path: target.hostname + ":443"});
connect.on("error", fail).on("connect", (answer, socket) => {
  if (answer.statusCode !== 200) fail("the proxy answers CONNECT with " + answer.statusCode);
  const headers = {authorization: "Bearer " + process.argv[2]};
  https.get(target, {createConnection: () => require("tls").connect({socket, servername: target.hostname}),
                     headers}, answer => {
    for (const [k, v] of Object.entries(answer.headers)) console.log(k + ": " + v);
    process.exit(0);
  }).on("error", fail);
}).end();
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a client made of it. `by_us`: the answer is ours, so its certificate was ours as well."""

    client: str
    version: str
    trusts: bool
    by_us: bool
    uses_proxy: bool
    error: str


def readiness(url: str) -> list[str] | None:
    """What keeps the proxy from serving (nothing: it can), or None when none of ours answers there."""
    # Never by way of a proxy: the environment may already name this very one.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/ready", timeout=5) as answer:
            return _problems(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return _problems(error.read()) if error.code == 503 else None
    except (OSError, ValueError):
        return None


def _problems(body: bytes) -> list[str] | None:
    try:
        return [str(problem) for problem in json.loads(body)["problems"]]
    except (ValueError, KeyError, TypeError):
        return None


def client_probes(environ: Mapping[str, str]) -> list[Probe]:
    """One for each of curl, Python and Node that is on the path of `environ`."""
    found = []
    for client, names in {"curl": ("curl",), "Python": ("python3", "python"), "Node": ("node",)}.items():
        paths = (shutil.which(name, path=environ.get("PATH")) for name in names)
        program = next((path for path in paths if path), None)
        if program:
            found.append(probe(client, program, environ))
    return found


def probe(client: str, program: str, environ: Mapping[str, str]) -> Probe:
    version = _version(program, environ)
    uses_proxy = client != "Node" or int(version.partition(".")[0] or 0) >= NODE_WITH_PROXY
    command = _command(client, program, uses_proxy)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=dict(environ), timeout=TIMEOUT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Probe(client, version, False, False, uses_proxy, str(error))
    by_us = REQUEST_ID in done.stdout.lower()
    last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "")
    return Probe(client, version, done.returncode == 0, by_us, uses_proxy, last.strip())


def _command(client: str, program: str, uses_proxy: bool) -> list[str]:
    if client == "curl":
        arguments = ["-sS", "-o", "/dev/null", "-D", "-", "--max-time", "10"]
        return [program, *arguments, "-H", f"Authorization: Bearer {PROBE_TOKEN}", PROBE_URL]
    if client == "Python":
        return [program, "-c", _PYTHON, PROBE_URL, PROBE_TOKEN]
    return [program, "-e", _NODE_FETCH if uses_proxy else _NODE_TUNNEL, PROBE_URL, PROBE_TOKEN]


def _version(program: str, environ: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, env=dict(environ), timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\d+(?:\.\d+)+", done.stdout)
    return found.group() if found else ""


async def clock_offset(url: str, now: float) -> float | None:
    """Seconds by which our clock is ahead of a server's; None when it does not answer."""
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as client, client.head(url) as answer:
            stamp = answer.headers.get("date", "")
        return now - email.utils.parsedate_to_datetime(stamp).timestamp()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None
