"""Messages that wait to be shown wait on while something is downloaded.

Datasette gives back the cookie with the messages on every answer, and a streamed one (`.csv`) cannot carry a
cookie: without this, such a download fails as long as a message waits. A download shows none anyhow.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from llm_dashboard.headers import App, Scope

_STREAMED = (".csv", ".ndjson")
_COOKIE = b"ds_messages="


def wrap(app: App) -> App:
    async def without(scope: Scope, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] == "http" and scope["path"].endswith(_STREAMED):
            scope = {**scope, "headers": list(_kept(scope["headers"]))}
        await app(scope, receive, send)

    return without


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers:
        if name != b"cookie":
            yield name, value
            continue
        cookies = [each for each in value.split(b";") if not each.strip().startswith(_COOKIE)]
        if cookies:
            yield name, b";".join(cookies)
