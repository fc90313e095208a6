"""The environment variables that make an unchanged client go through the proxy and trust it.

Which variable which client reads was tried client by client; no variable serves them all. Values
and their spelling for a shell only: starting programs is `cli/run.py`, the bundle is `bundle.py`.
"""

import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote, urlsplit, urlunsplit

from llm_intercept.errors import ConfigError

PROXY = ("HTTPS_PROXY", "https_proxy")
NO_PROXY = ("NO_PROXY", "no_proxy")
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

BUNDLE: Mapping[str, str] = {
    "SSL_CERT_FILE": "OpenSSL: Python (ssl, httpx), Ruby, Go on Linux, Rust (rustls-native-certs)",
    "REQUESTS_CA_BUNDLE": "Python requests, botocore",
    "CURL_CA_BUNDLE": "curl",
    "AWS_CA_BUNDLE": "AWS CLI and SDKs",
    "NODE_EXTRA_CA_CERTS": "Node, Bun (Claude Code, gemini-cli)",
    "GIT_SSL_CAINFO": "git",
    "CARGO_HTTP_CAINFO": "cargo",
    "CODEX_CA_CERTIFICATE": "Codex",
    "DENO_CERT": "Deno",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": "gRPC",
    "HTTPLIB2_CA_CERTS": "Python httplib2",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": "gcloud",
    "PIP_CERT": "pip",
    "NIX_SSL_CERT_FILE": "programs from Nix",
}
"""Variables that name the bundle, and who reads each. Most replace a client's roots, hence a bundle."""

NODE_PROXY = "NODE_USE_ENV_PROXY"  # Node 24 and later; earlier ones ignore HTTPS_PROXY altogether

OTHER_CREDENTIALS: Mapping[str, tuple[str, ...]] = {
    "ANTHROPIC_API_KEY": ("ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    "GEMINI_API_KEY": ("GOOGLE_API_KEY",),
    "AWS_BEARER_TOKEN_BEDROCK": ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"),
}
"""Variables by which a client may have a credential of its own already; a project token must not hide it."""


def variables(
    proxy_url: str,
    bundle: str,
    environ: Mapping[str, str],
    *,
    token: str | None = None,
    key_variables: Iterable[str] = (),
) -> dict[str, str]:
    """What to set on top of `environ`.

    A token goes into the proxy's URL, so that every call is attributed while a client keeps its own
    key; and into those of `key_variables` for which the client has no key, so that the stored key of
    that provider is used.
    """
    proxy = with_token(proxy_url, token) if token else proxy_url
    found = dict.fromkeys(PROXY, proxy)
    found |= dict.fromkeys(NO_PROXY, _no_proxy(environ))
    found |= dict.fromkeys(BUNDLE, bundle)
    found[NODE_PROXY] = "1"
    if token:
        found |= {name: token for name in key_variables if not _has_credential(name, environ)}
    return found


def with_token(proxy_url: str, token: str) -> str:
    """The proxy's URL with the token as password: clients send it as `Proxy-Authorization: Basic`."""
    parts = urlsplit(proxy_url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"token:{quote(token, safe='')}@{host}"))


def proxy_url(host: str, port: int) -> str:
    """Where a client on this machine reaches a proxy that is bound to this address."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _has_credential(name: str, environ: Mapping[str, str]) -> bool:
    return any(environ.get(known) for known in (name, *OTHER_CREDENTIALS.get(name, ())))


def _no_proxy(environ: Mapping[str, str]) -> str:
    """What the user excludes stays excluded, save `*`, which would exclude everything."""
    given = ",".join(environ.get(name, "") for name in NO_PROXY)
    hosts = [host.strip() for host in given.split(",")]
    return ",".join(dict.fromkeys([*LOCAL_HOSTS, *(host for host in hosts if host not in ("", "*"))]))


def _sh(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{escaped}'"


def _powershell(name: str, value: str) -> str:
    escaped = value.replace("'", "''")
    return f"$Env:{name} = '{escaped}'"


_LINE: Mapping[str, Callable[[str, str], str]] = {"sh": _sh, "fish": _fish, "powershell": _powershell}
SHELLS = (*_LINE, "json")


def render(values: Mapping[str, str], shell: str) -> str:
    """The variables as a shell evaluates them, or as a JSON object."""
    if shell == "json":
        return json.dumps(dict(values), indent=2)
    line = _LINE.get(shell)
    if line is None:
        raise ConfigError(f"{shell} is not a known shell; known are {', '.join(SHELLS)}")
    return "\n".join(line(name, value) for name, value in values.items())
