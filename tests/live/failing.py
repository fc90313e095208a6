"""What tests of failures on purpose share: the provider behind them, settings, official SDKs, rows."""

import contextlib
import json
import ssl
from typing import Any

import anthropic
import httpx2 as httpx
import openai
from google import genai

from llm_intercept.policy.failures import Failures
from tests import google_http
from tests.live import wire
from tests.live.loopback import Answer, Request
from tests.live.proxied import AWS, REAL, Proxied

NAMES = ("openai", "anthropic", "gemini", "bedrock")
KEYS = {name: REAL.format(name) for name in NAMES} | {"bedrock": AWS}
HEADER = "x-llm-intercept-simulated"


async def answer_all(request: Request, answer: Answer) -> None:
    body = json.loads(await request.read())
    if "messages" in request.target:
        stream, whole = wire.message_stream(), wire.message_answer()
    else:
        stream, whole = wire.chat_stream(), wire.chat_answer()
    if body.get("stream"):
        await answer.stream(*stream)
    else:
        await answer.whole(200, whole)


def simulate(proxy: Proxied, *, seed: int | None = None, **parts: dict[str, Any]) -> None:
    """Of the running proxy: these parts are on, all others off."""
    switched_on = {name: {"enabled": True, **fields} for name, fields in parts.items()}
    with proxy.control() as control:
        control.failures.set("project", "demo", Failures.model_validate({**switched_on, "seed": seed}))


class Clients:
    """Official SDKs, each with the way in that a test asks for. None tries anything again by itself."""

    def __init__(self, proxy: Proxied) -> None:
        self._proxy = proxy
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Clients":
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def http(self, entry: str, library: Any = httpx) -> Any:
        if entry == "base_url":
            return self._open.enter_context(library.Client(trust_env=False))
        root = self._proxy.home / "certs" / "mitmproxy-ca-cert.pem"
        trust = ssl.create_default_context(cafile=str(root))
        return self._open.enter_context(library.Client(proxy=self._proxy.url, verify=trust, trust_env=False))

    def openai(self, entry: str, **more: Any) -> openai.OpenAI:
        base = {"base_url": f"{self._proxy.url}/v1"} if entry == "base_url" else {}
        options: dict[str, Any] = {"api_key": self._proxy.token, "max_retries": 0, **base, **more}
        return openai.OpenAI(**options, http_client=self.http(entry))

    def anthropic(self, entry: str, **more: Any) -> anthropic.Anthropic:
        base = {"base_url": self._proxy.url} if entry == "base_url" else {}
        options: dict[str, Any] = {"api_key": self._proxy.token, "max_retries": 0, **base, **more}
        return anthropic.Anthropic(**options, http_client=self.http(entry))

    def gemini(self, entry: str) -> genai.Client:
        options: Any = {"httpx_client": self.http(entry, google_http.httpx)}
        if entry == "base_url":
            options["base_url"] = self._proxy.url
        return genai.Client(api_key=self._proxy.token, http_options=options)


def ask(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(**{**wire.CHAT, **more})  # type: ignore[call-overload]


def only_row(proxy: Proxied, since: int) -> dict[str, Any]:
    [row] = proxy.settled(since)
    return row


def told(row: dict[str, Any]) -> tuple[object, ...]:
    return row["status"], row["outcome"], row["failure"], row["simulated"]
