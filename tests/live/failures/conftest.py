"""A provider and a proxy for each file; nothing that one test simulates is left for the next."""

from collections.abc import Iterator

import pytest

from tests.live.failing import KEYS, NAMES, Clients, answer_all
from tests.live.loopback import Upstream, upstream
from tests.live.proxied import Proxied, proxied


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream(answer_all) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    home = tmp_path_factory.mktemp("failures")
    with proxied(home, dict.fromkeys(NAMES, server.url), keys=KEYS) as running:
        yield running


@pytest.fixture(autouse=True)
def _reset(server: Upstream, proxy: Proxied) -> Iterator[None]:
    server.script = answer_all
    server.requests.clear()
    yield
    with proxy.control() as control:
        control.failures.reset("project", "demo")


@pytest.fixture
def clients(proxy: Proxied) -> Iterator[Clients]:
    with Clients(proxy) as made:
        yield made
