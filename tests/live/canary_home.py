"""A home into which secrets come by every door that people have: commands, pages, the API, files, variables.

`Keeper` remembers what each door said, so that it is looked through as well.
"""

import asyncio
import contextlib
import html
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from llm_intercept.cli import main
from llm_intercept.home import Home
from llm_intercept.policy.tokens import new_token
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault
from tests.dashboard.conftest import Visitor, open_dashboard
from tests.live.canary import Aviary, shapeless

PLACES = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "query", "proxy", "pasted")
ACCESS_KEY = "AKIACANARYCANARY0001"
_TOKEN = re.compile(r"lli_[0-9A-Za-z]{49}")
_TYPED = re.compile(r' value="[^"]*"|<textarea[^>]*>[^<]*')
_SHOWN = re.compile(r'<code id="secret">([^<]+)</code>')


@dataclass
class Keeper:
    """The home, its canaries, and the ways in. `environ` is what the processes of the home get."""

    home: Path
    aviary: Aviary = field(default_factory=Aviary)
    environ: dict[str, str] = field(default_factory=dict)
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    visitors: dict[str, Visitor] = field(default_factory=dict)
    bearers: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def control(self, clock: Callable[[], float] = time.time) -> Iterator[Control]:
        home = Home(self.home)
        home.ensure()
        control = Control(home.control_db, Vault.load(home.secret_key, {}), clock=clock)
        with contextlib.closing(control):
            yield control

    def cli(
        self, *words: str, stdin: str = "", env: Mapping[str, str] | None = None, place: str = ""
    ) -> Result:
        """`place` is the name that the answer is kept by, where that is not to be the words themselves."""
        environ = {"LLM_INTERCEPT_HOME": str(self.home), **self.environ, **(env or {})}
        done = CliRunner().invoke(main, words, input=stdin, env=environ)
        said = done.output + done.stderr + repr(done.exception)
        self.aviary.look_at(f"cli {place or ' '.join(words)}", said)
        return done

    def visit(self, who: str, method: str, path: str, **more: Any) -> Any:
        visitor = self.visitors[who]
        answer = visitor.ask(method, path, **more)
        where = f"page {who} {method} {path.partition('?')[0]}"
        # A form that is wrong has what was typed in its fields, for the one who typed it.
        text = _TYPED.sub("", answer.text) if method == "post" else answer.text
        self.aviary.look_at(where, text)
        kept = [f"{name}: {value}" for name, value in answer.headers.multi_items()]
        self.aviary.look_at(f"{where} headers", "\n".join(kept))
        return answer

    def api(
        self,
        who: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: str | None = None,
        place: str = "",
        **headers: str,
    ) -> Any:
        """`content` is a body that is no JSON."""
        sent = {"authorization": f"Bearer {self.bearers[who]}", "content-type": "application/json"} | headers
        content = json.dumps(body) if content is None and body is not None else content
        client = self.visitors["admin"].datasette.client
        asked = client.request(method, f"/-/api{path}", headers=sent, content=content)
        answer = self.runner.run(asked)
        self.aviary.look_at(f"api {who} {method} {place or path}", f"{answer.headers}\n{answer.text}")
        return answer


def config(keeper: Keeper, upstreams: Mapping[str, str], webhook: str, issuer: str) -> str:
    """config.toml. Its secrets are meant to be there, and nowhere else."""
    new = keeper.aviary.new
    hook = f"{webhook}/hooks/{new('webhook.url')}"
    signer, header, tier = new("webhook.secret"), new("header.all"), new("header.tier")
    lines = [
        '[cache]\nmode = "on"',
        '[capture]\nbodies = "all"\n[log]\nlevel = "debug"\n[retries]\nbackoff = 0\ntries = 2',
        f'[[webhooks]]\nurl = "{hook}"\nsecret = "{signer}"',
        f'[models.headers]\nx-tenant-key = "{header}"',
        f'[models.tiers.small]\nmodel = "anthropic/claude-small"\nheaders = {{x-tier-key = "{tier}"}}',
        f'system = "mind {new("prompt.system", "sk-")}"',
        f'[dashboard.oidc]\nissuer = "{issuer}"\nclient_id = "us"\nclient_secret_env = "OIDC_SECRET"',
    ]
    lines += [f'[providers.{name}]\nbase_url = "{url}"' for name, url in upstreams.items() if name != "azure"]
    keeper.environ |= {
        "AZURE_URL": upstreams["azure"],
        "OIDC_SECRET": new("oidc.secret", odd="/+"),
        "GROQ_API_KEY": new("key.groq", "gsk_"),
        "LLM_INTERCEPT_DASHBOARD__API_RATE": "0",
        "LLM_INTERCEPT_DRAIN": "0.2",
    }
    return "\n".join(lines)


def people(keeper: Keeper) -> None:
    """An admin by the setup link, the others by invites; a session and an API token each."""
    new, keep = keeper.aviary.new, keeper.aviary.keep
    keeper.cli("init")
    datasette = open_dashboard(Home(keeper.home))
    keeper.runner.run(datasette.invoke_startup())
    for who in ("anonymous", "owner", "admin", "member", "viewer"):
        keeper.visitors[who] = Visitor(datasette, keeper.runner)
    setup = keep("link.setup", _code(keeper.cli("dashboard", "--setup-link").output))
    password = new("password.admin")
    form = {"code": setup, "name": "admin", "email": "admin@example.com"}
    keeper.visit("admin", "get", f"/-/llm/setup?code={setup}")
    keeper.visit("admin", "post", "/-/llm/setup", data={**form, "password": password, "again": "x" * 20})
    keeper.visit("admin", "post", "/-/llm/setup", data={**form, "password": password, "again": password})
    login = keep("link.login", _code(keeper.cli("dashboard", "--login-link").output))
    keeper.visit("owner", "get", f"/-/llm/login?code={login}")
    keeper.visit(
        "anonymous", "post", "/-/llm/login", data={"name": "admin", "password": new("password.wrong")}
    )
    keeper.visit(
        "anonymous", "post", "/-/llm/login", data={"name": new("password.as name"), "password": password}
    )
    for role in ("member", "viewer"):
        keeper.cli("user", "create", role, "--role", role)
        code = keep(f"link.{role}", _code(keeper.cli("user", "invite", role).output))
        chosen = new(f"password.{role}")
        keeper.visit(role, "get", f"/-/llm/invite?code={code}")
        fields = {"code": code, "password": chosen, "again": chosen}
        keeper.visit(role, "post", "/-/llm/invite", data=fields)
    for who in ("owner", "admin", "member", "viewer"):
        keep(f"cookie.{who}", keeper.visitors[who].cookies["llm_intercept_session"])
        made = keeper.visit(who, "post", "/-/llm/account/tokens", data=_API_TOKEN)
        shown = keeper.visit(who, "get", made.headers["location"])
        found = re.search(r"llm_api_[0-9A-Za-z]+", shown.text)
        assert found is not None, shown.text
        keeper.bearers[who] = keep(f"apitoken.{who}", found[0])


_API_TOKEN = {"name": "script", "scope": "write", "days": "30"}


def _code(text: str) -> str:
    found = re.search(r"https?://\S+", text)
    assert found is not None, text
    return parse_qs(urlsplit(found[0]).query)["code"][0]


def provider_keys(keeper: Keeper) -> None:
    """By every door."""
    new = keeper.aviary.new
    keeper.cli(
        "key", "add", "openai", "--key-stdin", "--name", "main", stdin=new("key.openai.main", "sk-proj-")
    )
    spare = {"provider": "openai", "name": "spare", "key": new("key.openai.spare"), "weight": 1}
    made = keeper.api("admin", "POST", "/credentials", spare, **{"idempotency-key": "k1"})
    assert made.status_code == 201
    assert keeper.api("admin", "POST", "/credentials", spare, **{"idempotency-key": "k1"}).status_code == 201
    keeper.api("admin", "POST", "/credentials", {**spare, "surprise": 1})
    keeper.api("admin", "POST", "/credentials", {**spare, "name": "a b"})
    form = {
        "provider": "anthropic",
        "name": "main",
        "secret": new("key.anthropic.first", "sk-ant-api03-"),
        "weight": "x",
    }
    keeper.visit("admin", "post", "/-/llm/manage/keys/new", data=form)
    keeper.visit("admin", "post", "/-/llm/manage/keys/new", data={**form, "weight": "1"})
    variable = {"THEIR_KEY": new("key.mistral")}
    keeper.cli("key", "add", "mistral", "--key-env", "THEIR_KEY", env=variable)
    keeper.cli("key", "add", "groq", "--key-env", "GROQ_API_KEY")
    keeper.cli("key", "add", "gemini", "--key-stdin", stdin=new("key.gemini", "AIza"))
    temporary = {
        "AccessKeyId": ACCESS_KEY,
        "SecretAccessKey": new("key.bedrock", odd="/+/"),
        "SessionToken": new("key.bedrock session", odd="/+="),
    }
    keeper.cli("key", "add", "bedrock", "--key-stdin", stdin=json.dumps({"Credentials": temporary}))
    url = ["--base-url", keeper.environ.pop("AZURE_URL")]
    keeper.cli("key", "add", "azure", "--key-stdin", *url, stdin=new("key.azure"))
    keeper.cli("key", "add", "vertex", "--key-stdin", stdin=service_account(keeper.aviary))
    keeper.cli("key", "add", "cohere", "--key-stdin", stdin=new("key.misplaced") + "\nand more\x07")
    keeper.api("admin", "POST", "/credentials/test", {"provider": "openai", "key": new("key.unsaved", "sk-")})
    _replaced(keeper, f"/credentials/{made.json()['id']}")


def _replaced(keeper: Keeper, spare: str) -> None:
    """Another key in the place of one, by every door."""
    new = keeper.aviary.new
    keeper.cli("key", "set", "mistral", "--key-stdin", stdin=new("key.mistral.second"))
    changed = {"key": new("key.openai.spare.second"), "weight": 1}
    assert keeper.api("admin", "PATCH", spare, changed).status_code == 200
    keeper.api("admin", "PATCH", spare, {**changed, "pool": "1"})
    form = {"secret": new("key.anthropic", "sk-ant-api03-"), "weight": "x"}
    keeper.visit("admin", "post", "/-/llm/manage/keys/anthropic/main/edit", data=form)
    keeper.visit("admin", "post", "/-/llm/manage/keys/anthropic/main/edit", data={**form, "weight": "1"})


def service_account(aviary: Aviary) -> str:
    """A JSON key as Google gives it. The canary is a line of the private key."""
    key = rsa.generate_private_key(65537, 2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = key.private_bytes(*form).decode()
    aviary.keep("key.vertex", pem.splitlines()[5])
    account = {"type": "service_account", "project_id": "canaries", "private_key_id": "1", "private_key": pem}
    uri = "https://oauth2.googleapis.com/token"
    return json.dumps({**account, "client_email": "us@canaries.iam.gserviceaccount.com", "token_uri": uri})


def project_tokens(keeper: Keeper) -> dict[str, str]:
    """By command, page, API, import, and directly; those that work, and those that do not."""
    found: dict[str, str] = {}
    keep = keeper.aviary.keep
    keeper.cli("project", "create", "demo", "--owner", "member")
    out = keeper.cli("token", "create", "--project", "demo", "--name", "cli", "--json").stdout
    found["cli"] = _TOKEN.findall(out)[0]
    made = keeper.visit(
        "member", "post", "/-/llm/manage/tokens/new", data={"project": "demo", "name": "page"}
    )
    shown = keeper.visit("member", "get", made.headers["location"])
    found["page"] = html.unescape(_SHOWN.findall(shown.text)[0])
    body = {"project": "demo", "name": "api"}
    for _ in range(2):  # the second one is given again, out of control.db
        answer = keeper.api("member", "POST", "/tokens", body, **{"idempotency-key": "t1"})
        assert answer.status_code == 201, answer.text
    found["api"] = _TOKEN.findall(answer.text)[0]
    rows = {"rows": [{"project": "demo", "name": "imported-by-api"}]}
    answer = keeper.api("admin", "POST", "/import/tokens", rows, **{"idempotency-key": "t2"})
    found["imported by API"] = _TOKEN.findall(answer.text)[0]
    table = keeper.home.parent / "tokens.csv"
    table.write_text("project,name\ndemo,imported\n")
    given = keeper.home.parent / "imported.csv"
    keeper.cli("import", "tokens", str(table), "--output", str(given))
    found["imported"] = _TOKEN.findall(given.read_text())[0]
    _directly(keeper, found)
    return {name: keep(f"token.{name}", text) for name, text in found.items()}


def _directly(keeper: Keeper, found: dict[str, str]) -> None:
    with keeper.control() as control:
        for name in (*PLACES, "revoked", "suspended", "refreshed"):
            found[name] = control.tokens.create("demo", name).text
        control.tokens.revoke("revoked", "demo")
        control.tokens.suspend("suspended", "demo")
        found["again"] = control.tokens.refresh("refreshed", "demo", overlap=timedelta(hours=1)).text
        pair = control.tokens.create("demo", "aws", aws=True)
        assert pair.secret is not None
        found["aws"] = pair.secret.get_secret_value()
        keeper.environ["AWS_PAIR_ID"] = pair.text
    with keeper.control(lambda: time.time() - 7200) as earlier:
        found["expired"] = earlier.tokens.create("demo", "expired", lifetime=timedelta(hours=1)).text
    found["foreign"] = new_token(shapeless(32).encode())
    found["mistyped"] = f"lli_{shapeless(48)}"
