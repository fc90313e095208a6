"""Secrets are put wherever one can come in, and looked for wherever anything comes out, in every writing.

The exceptions are in `MEANT`: the few places where a secret is meant to be, each with the reason.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.policy.limits import Limit
from llm_intercept.policy.routing import Route
from tests.live import canary_calls, canary_home, canary_sights
from tests.live.canary import Aviary, Meant, Seen, leaks
from tests.live.canary_calls import SERVED, Caller
from tests.live.canary_home import Keeper
from tests.live.canary_sights import ROLES
from tests.live.loopback import Upstream
from tests.live.proxied import Proxied
from tests.live.stack import CLEAN

FAULTY = str(Path(__file__).with_name("faulty.py"))
CHAT = "https://api.openai.com/v1/chat/completions"

ITS_OWN = "the provider that it belongs to, in a header"
CALLED = "a client's own key goes to the provider that the client called"
BODY = "bodies pass as they are, to the provider and back to the one who sent them"
BYTES = "what a provider says when all is well passes byte by byte, should it repeat its own key"
ONCE = "shown once, to the one who made it"
HOLDER = "who has the link has it in the form as well"
MEANT: tuple[Meant, ...] = (
    *(Meant(f"key.{name}*", f"upstream {name} head*", ITS_OWN) for name in SERVED[:-2] if name != "bedrock"),
    Meant("key.unsaved", "upstream openai head*", "it is tried at its provider before it is stored"),
    Meant("oidc.secret", "upstream oidc head*", "the provider that it belongs to"),
    Meant("webhook.url", "upstream webhook head*", "the address of the web hook itself"),
    *(Meant("header.all", f"upstream {name} head*", "set for every model") for name in SERVED[:-2]),
    Meant("header.tier", "upstream anthropic head*", "set for a tier that anthropic serves"),
    *(
        Meant(f"own.{name}", f"upstream {provider} head*", CALLED)
        for provider, names in {
            "openai": ("openai", "refused", "back", "tunnel", "recorded", "in path"),
            "anthropic": ("moved",),
            "gemini": ("query",),
        }.items()
        for name in names
    ),
    *(Meant(name, "upstream openai body*", BODY) for name in ("body.*", "own.as model")),
    *(Meant(name, "upstream openai body*", BODY) for name in ("token.pasted", "apitoken.admin")),
    *(Meant(name, "answer bodies*", BODY) for name in ("body.*", "token.pasted", "apitoken.admin")),
    Meant("own.*", "answer own*", BODY),
    Meant("body.socket", "answer socket", BODY),
    Meant("own.recorded", "terminal record", "it is printed by the program that has it"),
    *(Meant(name, "answer bodies*", BYTES) for name in ("key.openai.*", "header.all")),
    *(Meant(name, "answer errors back*", BYTES) for name in ("key.openai.*", "key.anthropic", "header.all")),
    Meant("header.all", "answer own*", BYTES),
    Meant("header.all", "terminal record", BYTES),
    Meant("token.cli", "cli token create *", ONCE),
    Meant("token.api", "api member POST /tokens*", ONCE + ", and again for its idempotency key"),
    Meant("token.page", "page member get /-/llm/manage/tokens/secret", ONCE),
    *(Meant(f"apitoken.{who}", f"page {who} post /-/llm/account/tokens", ONCE) for who in ROLES[1:]),
    Meant("link.login", "cli dashboard --login-link", ONCE),
    Meant("link.setup", "cli dashboard --setup-link", ONCE),
    Meant("link.setup", "page admin * /-/llm/setup*", HOLDER),
    *(Meant(f"link.{who}", f"cli user invite {who}", ONCE) for who in ROLES[3:]),
    *(Meant(f"link.{who}", f"page {who} get /-/llm/invite", HOLDER) for who in ROLES[3:]),
    Meant(
        "password.as name", "page anonymous post /-/llm/login*", "what was typed as a name is in its field"
    ),
    *(Meant(name, "environ *", "given as a variable") for name in ("key.groq", "oidc.secret")),
    Meant("datasette.secret", "environ up*", "how Datasette is given it"),
    *(Meant(name, "file config.toml*", "the operator wrote it there") for name in ("header.*", "webhook.*")),
    Meant("secret.key", "file secret.key*", "its own file"),
)


def furnish(keeper: Keeper) -> dict[str, str]:
    canary_home.people(keeper)
    canary_home.provider_keys(keeper)
    tokens = canary_home.project_tokens(keeper)
    with keeper.control() as control:
        document = {"name": "canaries", "match": {"models": ["gpt-4o*"]}, "targets": ["openai/", "mistral/"]}
        control.routes.set(Route.model_validate(document))
        control.aliases.set("haiku-like", "anthropic/claude-sonnet-5")
        soft = {"scope": "project", "name": "demo", "measure": "requests", "amount": 3, "soft": True}
        control.limits.set(Limit.model_validate(soft))
    return tokens


def run(keeper: Keeper, config: str, tokens: dict[str, str]) -> None:
    """All the traffic, by a proxy that has bugs on demand."""
    proxy = Proxied(keeper.home, config, extra=keeper.environ, entry=(FAULTY,))
    try:
        proxy.start_proxy()
        call = Caller(keeper, proxy.port)
        for part in canary_calls.ALL:
            part(call, tokens)
        for path in ("/metrics", "/health", "/ready", "/", "/nowhere", f"/nowhere?key={tokens['query']}"):
            call("portal", path)
        proxy.settled()
        process = proxy.processes["proxy"].popen
        assert process is not None
        canary_sights.processes(keeper, "proxy", process.pid)
        keeper.aviary.look_at("metrics of the traffic", proxy.metrics())
        canary_sights.home(keeper, "running")  # with journal and -wal
    finally:
        proxy.stop()


def look(keeper: Keeper, tokens: dict[str, str]) -> None:
    environ = {**CLEAN, "LLM_INTERCEPT_HOME": str(keeper.home), **keeper.environ}
    canary_sights.everything_up(keeper, environ)
    steps: list[dict[str, Any]] = [
        {"url": CHAT, "body": canary_calls.chat(say)} for say in ("", "401", "back")
    ]
    canary_sights.cassette(keeper, environ, steps, keeper.aviary.new("own.recorded"))
    known = canary_sights.ids(keeper)
    canary_sights.signing_on(keeper)
    canary_sights.pages(keeper, known)
    canary_sights.api(keeper, known)
    canary_sights.commands(keeper)
    canary_sights.archives(keeper)
    canary_sights.home(keeper, "stopped")


def later(keeper: Keeper, served: dict[str, Upstream]) -> None:
    """Secrets that were made on the way."""
    keeper.aviary.keep("secret.key", (keeper.home / "secret.key").read_text().split()[0])
    minted = next(request.header("authorization") for request in served["vertex"].requests)
    keeper.aviary.keep("key.vertex.minted", minted.removeprefix("Bearer "))
    everything = b"\0".join(data for name, data in keeper.aviary.places.items() if name.startswith("environ"))
    found = re.search(rb"DATASETTE_SECRET=(\w+)", everything)
    assert found is not None
    keeper.aviary.keep("datasette.secret", found[1].decode())


@pytest.fixture(scope="module")
def aviary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aviary]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LLM_INTERCEPT_")]:
            patch.delenv(name)
        home = tmp_path_factory.mktemp("canary") / "home"
        home.mkdir()
        keeper = Keeper(home)
        with keeper.runner, canary_calls.providers(keeper) as served:
            bases = {name: server.url for name, server in served.items() if name not in ("oidc", "webhook")}
            issuer = f"{served['oidc'].url}/oidc"
            config = canary_home.config(keeper, bases, served["webhook"].url, issuer)
            (home / "config.toml").write_text(config)
            for name, value in keeper.environ.items():
                patch.setenv(name, value)
            tokens = furnish(keeper)
            run(keeper, config, tokens)
            look(keeper, tokens)
            canary_sights.upstreams(keeper, served)
            later(keeper, served)
            keeper.runner.run(keeper.visitors["admin"].datasette.invoke_shutdown())
        yield keeper.aviary


@pytest.fixture(scope="module")
def sightings(aviary: Aviary) -> tuple[list[Seen], set[Meant]]:
    return leaks(aviary, MEANT)


def test_no_secret_is_where_it_must_not_be(sightings: tuple[list[Seen], set[Meant]]) -> None:
    found = [f"{s.secret} in {s.place} ({s.form}): {s.around!r}" for s in sightings[0]]
    assert not found, "\n".join([f"{len(found)} leaks", *sorted(set(found))])


def test_every_exception_is_needed(sightings: tuple[list[Seen], set[Meant]]) -> None:
    """A place that no longer shows anything is not looked at any more, or no exception."""
    assert not [meant for meant in MEANT if meant not in sightings[1]]
