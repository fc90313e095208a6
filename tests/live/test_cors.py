"""Whose pages may read answers, where the provider itself lets every page do so."""

import http.client
from contextlib import closing
from pathlib import Path

import pytest

from tests.live.loopback import Answer, Request, upstream
from tests.live.proxied import Proxied, proxied

OPEN = "access-control-allow-origin"
ORIGINS = '[cors]\norigins = ["http://page.example"]\n'


async def every_page(request: Request, answer: Answer) -> None:
    await answer.head(200, [("content-type", "application/json"), ("content-length", "2"), (OPEN, "*")])
    await answer.send(b"{}")


def ask(proxy: Proxied, method: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)) as connection:
        connection.request(method, "/v1/models", headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer


@pytest.mark.parametrize(
    ("config", "origin", "said", "asked"),
    [("", "http://other.example", "*", 2), (ORIGINS, "http://other.example", None, 1),
     (ORIGINS, "http://page.example", "http://page.example", 1)],
)  # fmt: skip
def test_whose_word_counts(tmp_path: Path, config: str, origin: str, said: str | None, asked: int) -> None:
    """The provider's for as long as settings name no page, preflights included."""
    with upstream() as server, proxied(tmp_path, {"openai": server.url}, config=config) as proxy:
        server.script = every_page
        headers = {"origin": origin}
        token = {"authorization": f"Bearer {proxy.token}"}
        assert ask(proxy, "GET", headers | token).headers[OPEN] == said
        assert ask(proxy, "OPTIONS", headers | {"access-control-request-method": "GET"}).headers[OPEN] == said
        assert len(server.requests) == asked
