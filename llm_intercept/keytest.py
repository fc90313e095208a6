"""Whether a stored key works: one cheap authenticated request, straight to the provider."""

import json
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import certifi
from pydantic import SecretStr
from yarl import URL

from llm_intercept import __version__, bundle
from llm_intercept.home import Home
from llm_intercept.policy.tokens import CONTROL
from llm_intercept.providers import Registry
from llm_intercept.providers.base import Outgoing, Provider
from llm_intercept.settings import Settings
from llm_intercept.store.credentials import StoredCredential

TIMEOUT_SECONDS = 20
_MODEL_LISTS = ("/foundation-models", "/v1/models", "/v1beta/models", "/openai/v1/models", "/api/tags")
_NAMES = ("id", "modelId", "model", "name")
_SERVERS_OWN_FAULT = 500


@dataclass(frozen=True, slots=True)
class KeyTest:
    """What came of it. `status` is None when the provider was not reached; `models` are those it lists."""

    provider: str
    ok: bool
    status: int | None
    url: str
    sentence: str
    models: tuple[str, ...] = ()


async def run_test(
    registry: Registry,
    provider: Provider,
    credential: StoredCredential | None,
    settings: Settings,
    home: Home,
    now: float,
) -> KeyTest:
    request = request_for(registry, provider, credential, now)
    if request is None:
        return KeyTest(provider.name, True, None, "", _no_address(provider))
    if any(CONTROL.search(value) for _, value in request.headers):
        return KeyTest(provider.name, False, None, "", "The key has a line break in it; copy it as one line.")
    url = str(URL.build(scheme=request.scheme, host=request.host, port=request.port)) + request.path
    try:
        status, body = await _send(request, url, _trust(settings, home))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        cause = getattr(error, "os_error", error)
        sentence = f"{provider.title} cannot be reached at {url}: {cause or type(error).__name__}."
        return KeyTest(provider.name, False, None, url, sentence)
    return _judged(provider, status, body, url, credential is not None)


def request_for(
    registry: Registry, provider: Provider, credential: StoredCredential | None, now: float
) -> Outgoing | None:
    """The request for the list of models, with the key on it; None where there is no address for it."""
    path = _models_path(registry, provider)
    if path is None:
        return None
    target = registry.upstream(provider, None, path, {}, credential.base_url if credential else None)
    if target is None:
        return None
    scheme, host, port, prefix = target
    headers = [("host", host), ("accept", "application/json"), ("user-agent", f"llm-intercept/{__version__}")]
    request = Outgoing("GET", scheme, host, port, prefix + path, headers, b"")
    secret = credential.secret if credential else SecretStr("")
    if secret.get_secret_value():
        provider.credential(request, secret, now)
    return request


def _models_path(registry: Registry, provider: Provider) -> str | None:
    for path in (f"{provider.bare}/models", *_MODEL_LISTS):
        if registry.endpoint(provider, "GET", path).operation == "models":
            return path
    return None


def _no_address(provider: Provider) -> str:
    if provider.key_optional:
        return f"{provider.title} runs inside the proxy; there is no key to test."
    return (
        f"{provider.title} has no list of models at a fixed address to try the key with; "
        "make a call through the proxy, and look at `llm-intercept usage recent`."
    )


def _trust(settings: Settings, home: Home) -> ssl.SSLContext:
    extra = settings.upstream_ca
    roots = bundle.upstream(home.path, Path(extra)) if extra else certifi.where()
    context = ssl.create_default_context(cafile=str(roots))
    context.load_default_certs()
    return context


async def _send(request: Outgoing, url: str, trust: ssl.SSLContext) -> tuple[int, bytes]:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    headers = [(name, value) for name, value in request.headers if name.lower() != "host"]
    async with (
        aiohttp.ClientSession(timeout=timeout, auto_decompress=True) as client,
        # encoded: a signature covers the path as it is written
        client.get(URL(url, encoded=True), headers=headers, ssl=trust, allow_redirects=False) as answer,
    ):
        return answer.status, await answer.read()


def _judged(provider: Provider, status: int, body: bytes, url: str, keyed: bool) -> KeyTest:
    ok, models = status < 300, None
    if ok:
        models = _models(body)
        listed = f" It lists {len(models)} models." if models is not None else ""
        sentence = f"{provider.title} answers{' and takes the key' if keyed else ''}.{listed}"
    elif status in (401, 403):
        sentence = f"{provider.title} refuses the key ({status}): {_message(body)}"
    elif status >= _SERVERS_OWN_FAULT:
        sentence = f"{provider.title} has a problem of its own ({status}): {_message(body)}"
    else:
        sentence = f"{provider.title} answers {status} at {url}: {_message(body)}"
    return KeyTest(provider.name, ok, status, url, sentence, tuple(models or ()))


def _models(body: bytes) -> list[str] | None:
    """The names in a list of models, in whichever of the usual shapes; None for what is no list."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    lists = found.values() if isinstance(found, dict) else [found]
    entries = next((value for value in lists if isinstance(value, list)), None)
    return None if entries is None else [_name(entry) for entry in entries]


def _name(entry: object) -> str:
    if isinstance(entry, dict):
        entry = next((entry[key] for key in _NAMES if isinstance(entry.get(key), str)), "")
    return str(entry).removeprefix("models/")


def _message(body: bytes) -> str:
    """The provider's own words, whichever of the usual places they stand in."""
    text = body.decode("utf-8", "replace").strip()
    try:
        found = json.loads(text)
    except ValueError:
        return text[:300] or "no explanation"
    for key in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(key):
            found = found[key]
    return str(found.get("message", found) if isinstance(found, dict) else found)[:300]
