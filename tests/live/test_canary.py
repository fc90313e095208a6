"""Secrets are put wherever one can come in, and looked for wherever anything comes out, in every writing.

The exceptions are in canary_meant.py: the few places where a secret is meant to be, each with the reason.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_intercept.policy.limits import Limit
from llm_intercept.policy.routing import Route
from tests.live import canary_calls, canary_files, canary_home, canary_mistakes, canary_odd, canary_sights
from tests.live.canary import Aviary, Meant, Seen, leaks
from tests.live.canary_calls import Caller
from tests.live.canary_home import Keeper
from tests.live.canary_meant import MEANT
from tests.live.loopback import Upstream
from tests.live.proxied import Proxied
from tests.live.stack import CLEAN

FAULTY = str(Path(__file__).with_name("faulty.py"))


def furnish(keeper: Keeper) -> dict[str, str]:
    canary_home.people(keeper)
    canary_home.provider_keys(keeper)
    tokens = canary_home.project_tokens(keeper)
    with keeper.control() as control:
        document = {"name": "canaries", "match": {"models": ["gpt-4o*"]}, "targets": ["openai/", "mistral/"]}
        control.routes.set(Route.model_validate(document))
        control.aliases.set("haiku-like", "anthropic/claude-sonnet-5")
        control.aliases.set("*-odd", "openai/gpt-4o-mini")
        soft = {"scope": "project", "name": "demo", "measure": "requests", "amount": 3, "soft": True}
        control.limits.set(Limit.model_validate(soft))
    return tokens


def misplace(keeper: Keeper) -> None:
    """By people, wherever something can be written down."""
    canary_mistakes.by_api(keeper)
    canary_mistakes.by_pages(keeper)
    canary_mistakes.by_commands(keeper)
    canary_mistakes.passwords(keeper)
    canary_files.settings(keeper)
    canary_files.predecessors(keeper)
    canary_files.tables(keeper)


def run(keeper: Keeper, config: str, tokens: dict[str, str]) -> None:
    """All the traffic, by a proxy that has bugs on demand."""
    proxy = Proxied(keeper.home, config, extra=keeper.environ, entry=(FAULTY,))
    try:
        proxy.start_proxy()
        call = Caller(keeper, proxy.port)
        for part in (*canary_calls.ALL, *canary_odd.ALL):
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
    canary_odd.cassettes(keeper, environ)
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
            misplace(keeper)
            run(keeper, config, tokens)
            look(keeper, tokens)
            folder = home.parent
            written = ("home", "taken/plain.tar", "taken/sealed.tar", "calls.cassette.gz", "imported.csv")
            keeper.aviary.open_files = canary_files.modes(*(folder / name for name in written))
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


def test_answers_were_stored_and_given(aviary: Aviary) -> None:
    """Else it would say nothing that no secret is among them."""
    stored = [data for name, data in aviary.places.items() if name.startswith("file cache.db answers")]
    assert stored
    assert all(b"Once upon a time" in data for data in stored)
    answers = [data.lower() for name, data in aviary.places.items() if name.startswith("answer bodies")]
    assert any(b"x-cache: hit" in data for data in answers)
    assert any(b"x-cache: miss" in data for data in answers)


def test_files_are_their_owners_alone(aviary: Aviary) -> None:
    """In a home that was there, and open to all, before."""
    assert aviary.open_files == []


def test_every_exception_is_needed(sightings: tuple[list[Seen], set[Meant]]) -> None:
    """A place that no longer shows anything is not looked at any more, or no exception."""
    assert not [meant for meant in MEANT if meant not in sightings[1]]
