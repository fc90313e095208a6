import asyncio
import shutil
import sys
import time
from pathlib import Path

import pytest

from llm_intercept import bundle, ca, environment
from llm_intercept.tools import probes
from tests.fake_proxy import fake_proxy

NAMES = ("api.anthropic.com",)
PROGRAMS = {"curl": shutil.which("curl"), "Python": sys.executable, "Node": shutil.which("node")}
CLIENTS = [
    pytest.param(name, path, id=name, marks=pytest.mark.skipif(path is None, reason="not on this machine"))
    for name, path in PROGRAMS.items()
]


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    ca.ensure(folder, NAMES, time.time())
    bundle.ensure(folder, {}, time.time())
    return folder


def environ(url: str, roots: Path) -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", **environment.variables(url, str(roots), {})}


@pytest.mark.parametrize(("client", "program"), CLIENTS)
def test_a_client_that_trusts_us_says_so(certs: Path, client: str, program: str) -> None:
    with fake_proxy(certs) as proxy:
        found = probes.probe(client, program, environ(proxy.url, bundle.path(certs)))
    assert (found.trusts, found.by_us, found.error) == (True, True, "")
    assert found.version
    request = proxy.heads[-1].lower()
    assert request.startswith("get /api/hello")
    assert "authorization: bearer lli_doctor" in request


@pytest.mark.parametrize(("client", "program"), CLIENTS)
def test_a_client_with_other_roots_does_not(certs: Path, client: str, program: str, tmp_path: Path) -> None:
    ca.ensure(tmp_path, NAMES, time.time())
    others = bundle.ensure(tmp_path, {}, time.time())
    with fake_proxy(certs) as proxy:
        found = probes.probe(client, program, environ(proxy.url, others))
    assert (found.trusts, found.by_us) == (False, False)
    assert found.error


@pytest.mark.parametrize(("client", "program"), CLIENTS[:2])
def test_an_answer_that_is_not_ours_is_told_apart(certs: Path, client: str, program: str) -> None:
    with fake_proxy(certs, marked=False) as proxy:
        found = probes.probe(client, program, environ(proxy.url, bundle.path(certs)))
    assert (found.trusts, found.by_us) == (True, False)


@pytest.mark.parametrize(("client", "program"), CLIENTS)
def test_without_a_proxy_there_is_an_error(certs: Path, client: str, program: str) -> None:
    found = probes.probe(client, program, environ("http://127.0.0.1:9", bundle.path(certs)))
    assert not found.trusts
    assert found.error


def test_clients_are_looked_for_on_the_path(certs: Path, tmp_path: Path) -> None:
    assert probes.client_probes({"PATH": str(tmp_path)}) == []


@pytest.mark.parametrize(
    ("ready", "problems"),
    [
        ({"status": "ready", "problems": []}, []),
        ({"status": "unavailable", "problems": ["the writer has stopped"]}, ["the writer has stopped"]),
        ({"hello": "I am another server"}, None),
        ([], None),
    ],
)
def test_readiness(certs: Path, ready: object, problems: list[str] | None) -> None:
    with fake_proxy(certs, ready=ready) as proxy:
        assert probes.readiness(proxy.url) == problems


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense"])
def test_nobody_there(url: str) -> None:
    assert probes.readiness(url) is None


def test_a_server_that_does_not_answer_has_no_clock() -> None:
    assert asyncio.run(probes.clock_offset("http://127.0.0.1:9", 0.0)) is None
