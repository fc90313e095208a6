"""Secrets in what people write into files and variables: settings that are wrong, a predecessor's variables,
tables to import; each in a home of its own, so that one mistake does not hide the next."""

import stat
from collections.abc import Mapping
from pathlib import Path

from tests.live.canary import files
from tests.live.canary_home import Keeper
from tests.live.canary_mistakes import filled, words

SETTINGS = (
    'port = "{key}"',
    'host = "{key}"',
    "port = 8080 {key}",
    'port = "8080\n{key}"',
    "{key} = 1",
    '"{key}" = 1',
    'auth = "{key}"',
    'drain = ["{key}"]',
    'upstream_ca = "{key}"',
    'webhooks = "https://hooks.example/{key}"',
    '[[webhooks]]\nurl = "ftp://hooks.example/{key}"',
    '[[webhooks]]\nurl = "https://hooks.example/{key} x"',
    '[[webhooks]]\nurl = "https://hooks.example/x"\nsecret = ["{key}"]',
    '[[webhooks]]\nsecret = "{key}"',
    '[[webhooks]]\nurl = "https://hooks.example/x"\nkey = "{key}"',
    '[models]\nheaders = "x-tenant-key: {key}"',
    '[models.headers]\nx-tenant-key = ["{key}"]',
    '[models.headers]\nx-tenant-key = "é{key}"',
    '[models.headers]\n"x tenant {key}" = "x"',
    '[models.tiers.small]\nmodel = "{key}"',
    '[models.tiers.small]\nsystem = "say {key}"\nsystem_file = "x"',
    '[models]\nsystem_file = "{key}"',
    '[models.aliases]\nfast = "{key}"',
    '[models.aliases]\n"{key}" = 7',
    '[dashboard]\nurl = "me:{pass}@llm.example"',
    '[dashboard]\ntrusted_proxies = ["{key}"]',
    '[dashboard.oidc]\nissuer = "https://me:{pass} @idp.example"\nclient_id = "us"',
    '[dashboard.oidc]\nissuer = "https://idp.example"\nclient_id = "us"\nclient_secret = "{key}"',
    '[dashboard.oidc]\nissuer = "https://idp.example"\nclient_id = ["{key}"]',
    '[dashboard.oidc]\nissuer = "https://idp.example"\nclient_id = "us"\nclient_secret_env = "{key}"',
    '[dashboard.trusted_header]\nheader = "x user {key}"\nproxies = ["10.0.0.1"]',
    '[providers.openai]\nbase_url = "https://me:{pass}@relay.example/v1"',
    '[providers.openai]\nbase_url = "https://relay.example/v1?key={key}"',
    '[providers.openai]\nbase_url = "{key}"',
    '[providers.openai]\nkey_env = "{key}"',
    '[providers.openai]\nhosts = ["{key}"]',
    '[providers.openai]\nkey = "{key}"',
    '[providers."{key}"]\nhosts = ["x"]',
    '[providers.mine]\ndialect = "{key}"\nbase_url = "https://x.example"',
    '[capture]\nredact = ["({key}"]',
    '[tokens]\ndefault_lifetime = "{key}"',
    '[[prices]]\nmodel = "x"\ninput = "{key}"',
    '[log]\nlevel = "{key}"',
)
VARIABLES = (
    {"PORT": "{key}"},
    {"WEBHOOKS": '[{"url": "https://hooks.example/{key}"'},
    {"WEBHOOKS": '[{"url": "{key}"}]'},
    {"MODELS__HEADERS": '{"x-tenant-key": "{key}"'},
    {"MODELS__HEADERS": '{"x-tenant-key": ["{key}"]}'},
    {"DASHBOARD__OIDC": "{key}"},
    {"DASHBOARD__URL": "me:{pass}@llm.example"},
    {"PROVIDERS__OPENAI__BASE_URL": "https://me:{pass}@relay.example/v1"},
    {"SECRET_KEY": "{key}"},
    {"{key}": "1"},
)
PREDECESSORS: tuple[Mapping[str, str], ...] = (
    {"PROVIDER_API_KEY": "{key}", "PROXY_AUTH_KEY": "{key}", "PORT": "{key}", "LOG_LEVEL": "{key}"},
    {"PROVIDER_API_KEY": "{key}", "PROVIDER_BASE_URL": "https://me:{pass}@relay.example/v1"},
    {"PROVIDER_API_KEY": "{key}", "PROVIDER_BASE_URL": "{key}", "REASONING_EFFORT": "{key}"},
    {"PROVIDER_API_KEY": "{key}", "PROVIDER_BASE_URL": "https://relay.example/v1?key={key}"},
    {"OPENAI_API_KEY": "{key}", "ANTHROPIC_API_KEY": "{key}", "BIG_MODEL": "{key}", "HOST": "{key}"},
    {
        "PROVIDER_API_KEY": "{key}",
        "CUSTOM_HEADER_AUTHORIZATION": "Bearer {key}",
        "CUSTOM_HEADER_X_API_KEY": "{key}",
        "CUSTOM_HEADER_COOKIE": "{key}",
        "CUSTOM_HEADER_X_TENANT": "é{key}",
    },
    {
        "ENABLE_BIG_ENDPOINT": "true",
        "BIG_ENDPOINT": "http://127.0.0.1:9/{key}",
        "BIG_API_KEY": "{key}",
        "BIG_MODEL": "gpt-4o",
        "BIG_AZURE_API_VERSION": "{key}",
        "AZURE_API_VERSION": "{key}",
    },
    {"ENABLE_SMALL_ENDPOINT": "{key}", "SMALL_API_KEY": "{key}", "SMALL_MODEL": "x", "VERBOSITY": "{key}"},
)
TABLES: tuple[tuple[str, str, str], ...] = (
    ("tokens", "csv", "project,name,token\ndemo,old,{key}\n"),
    ("tokens", "csv", "project,name,{key}\ndemo,old,x\n"),
    ("tokens", "csv", "project,name\ndemo,{key}\n"),
    ("tokens", "csv", "project,name\n{key},old\n"),
    ("tokens", "csv", "project,name,expires\ndemo,old,{key}\n"),
    ("tokens", "csv", "project,name,max_requests,aws\ndemo,old,{key},{key}\n"),
    ("tokens", "csv", 'project,name\ndemo,"{key}" x\n'),
    ("tokens", "csv", "project,name\ndemo,old,{key}\n"),
    ("tokens", "json", '[{"project": "demo", "name": "old", "parameters": {"{key}": 1}}]'),
    ("tokens", "json", '[{"project": "demo", "name": "{key}" "x"'),
    ("tokens", "json", '["{key}"]'),
    ("projects", "csv", "name,owner,ips\n{key},{key},{key}\n"),
    ("projects", "csv", "name,origins\nold,https://me:{pass}@app.example\n"),
    ("users", "csv", "name,password\nold,{key}\n"),
    ("users", "csv", "name,email,role\nold,{key},{key}\n"),
    ("users", "csv", "name,email\nold,{key}@example.com\n"),
)


def settings(keeper: Keeper) -> None:
    for given in words(keeper):
        for text in SETTINGS:
            _with(keeper, filled(text, given), {}, text)
        for variables in VARIABLES:
            environ = {f"LLM_INTERCEPT_{filled(n, given)}": filled(v, given) for n, v in variables.items()}
            _with(keeper, "", environ, str(variables))


def _with(keeper: Keeper, text: str, environ: Mapping[str, str], place: str) -> None:
    folder = keeper.home.parent / "wrong"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(text)
    for words_ in ("config check", "config show --json"):
        env = {"LLM_INTERCEPT_HOME": str(folder), **environ}
        keeper.cli(*words_.split(), env=env, place=f"{words_} with {place}")


def predecessors(keeper: Keeper) -> None:
    """As variables and out of a file, tried and for good."""
    for given in words(keeper):
        for variables in PREDECESSORS:
            folder = keeper.home.parent / "taken over"
            (folder / "home").mkdir(parents=True, exist_ok=True)
            (folder / "home" / "config.toml").unlink(missing_ok=True)
            found = {name: filled(text, given) for name, text in variables.items()}
            (folder / ".env").write_text("".join(f'{name}="{text}"\n' for name, text in found.items()))
            home = {"LLM_INTERCEPT_HOME": str(folder / "home")}
            place = f"import-env {sorted(variables)}"
            keeper.cli("config", "import-env", "--dry-run", env={**home, **found}, place=place)
            keeper.cli("config", "import-env", "--file", str(folder / ".env"), env=home, place=place)
            keeper.cli("config", "import-env", "--json", env={**home, **found}, place=place)
            if (path := folder / "home" / "config.toml").exists():
                keeper.aviary.look_at("imported config.toml", path.read_bytes())
    # What is in config.toml already has secrets of its own.
    keeper.cli("config", "import-env", "--dry-run", env={"PROVIDER_API_KEY": "x", "BIG_MODEL": "gpt-4o"})
    for file, data in files(folder / "home"):
        keeper.aviary.look_at(f"imported {file}", data)


def tables(keeper: Keeper) -> None:
    folder = keeper.home.parent / "tables"
    folder.mkdir(exist_ok=True)
    for given in words(keeper):
        for kind, suffix, text in TABLES:
            path = folder / f"table.{suffix}"
            path.write_text(filled(text, given))
            more = ["--output", str(folder / "new.csv")] if kind == "tokens" else []
            keeper.cli("import", kind, str(path), *more, place=f"import {kind} {text!r}")


# Written by the test itself, without anything secret in it, or public as certificates are.
_FOR_ALL = ("proxy.log", "config.toml", "dashboard.json", "bundle.pem", "mitmproxy-dhparam.pem")


def modes(*paths: Path) -> list[str]:
    """Files that others on this machine could read, were it not for a folder above them."""
    found = (file for path in paths for file in (path.rglob("*") if path.is_dir() else (path,)))
    return [str(file) for file in found if file.is_file() and _is_open(file)]


def _is_open(file: Path) -> bool:
    public = file.name in _FOR_ALL or file.name.startswith("mitmproxy-ca-cert.")
    return not public and bool(file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
