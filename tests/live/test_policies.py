"""Policies through a real proxy: what they refuse never arrives, SDKs raise their errors, at once."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from llm_intercept.policy.allow import Policy, parsed
from tests.live import wire
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import Proxied, encoded, proxied
from tests.live.sockets import Socket

CONFIG = """
[models.aliases]
fast = "openai/gpt-4o-mini"
sly = "anthropic/claude-sonnet-5"
"""
ASK: Any = {"model": "gpt-4o-mini", "messages": wire.CHAT["messages"]}


async def answer_all(request: Request, answer: Answer) -> None:
    if request.header("upgrade"):
        socket = await Socket.accept(request, answer)
        while (said := await socket.receive()) is not None:
            await socket.send(said)
        return
    body = await request.read()
    if "/messages" in request.target:
        await answer.whole(200, wire.message_answer())
    elif b'"stream": true' in body:
        await answer.stream(*wire.chat_stream())
    else:
        await answer.whole(200, wire.chat_answer())


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream(answer_all) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    bases = {"openai": server.url, "anthropic": server.url, "groq": server.url, "gemini": server.url}
    with proxied(tmp_path_factory.mktemp("policies"), bases, config=CONFIG) as running:
        yield running


@pytest.fixture(autouse=True)
def _reset(server: Upstream, proxy: Proxied) -> Iterator[None]:
    server.requests.clear()
    yield
    with proxy.control() as control:
        control.projects.change("demo", policy=Policy(), active=True)


COUNT = iter(range(10_000))


def token(proxy: Proxied, max_requests: int | None = None, **policy: object) -> str:
    with proxy.control() as control:
        made = control.tokens.create(
            "demo", f"t{next(COUNT)}", policy=parsed(policy), max_requests=max_requests
        )
    return made.text


def say(
    proxy: Proxied,
    text: str,
    body: object = ASK,
    path: str = wire.COMPLETIONS,
    **headers: str,
) -> tuple[int, str]:
    """(status, code of the refusal)."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    with proxy.call(path, body, {"authorization": f"Bearer {text}", **fields}) as call:
        document = json.loads(call.read())
        error = document.get("error") if isinstance(document, dict) else None
        return call.status, str(error.get("code") or error.get("type")) if error else ""


def test_openai_raises_permission_denied(server: Upstream, proxy: Proxied) -> None:
    text = token(proxy, models=["gpt-4o-*"])
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=text, max_retries=0) as client:
        assert client.chat.completions.create(**ASK).id
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.chat.completions.create(**{**ASK, "model": "gpt-5"})
    assert "may be used only for models gpt-4o-*; 'gpt-5' is not." in refused.value.message
    assert refused.value.code == "model_not_allowed"
    assert len(server.requests) == 1


def test_anthropic_raises_permission_denied(server: Upstream, proxy: Proxied) -> None:
    text = token(proxy, parameters={"max_tokens": {"max": 50}})
    with anthropic.Anthropic(base_url=proxy.url, api_key=text, max_retries=0) as client:
        messages: Any = client.messages
        assert messages.create(**{**wire.MESSAGES, "max_tokens": 50}).id
        with pytest.raises(anthropic.PermissionDeniedError) as refused:
            messages.create(**{**wire.MESSAGES, "max_tokens": 51})
    assert "only with max_tokens at most 50; max_tokens is 51" in str(refused.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("policy", "body", "expected"),
    [
        ({"models": ["gpt-4o-*"]}, {**ASK, "model": "fast"}, "model_not_allowed"),
        ({"models": ["fast", "gpt-4o-*"]}, {**ASK, "model": "fast"}, ""),
        ({"models": ["fast", "sly", "gpt-4o-*"]}, {**ASK, "model": "sly"}, "model_not_allowed"),
        ({"providers": ["openai"]}, ASK, ""),
        ({"providers": ["openai"]}, {**ASK, "model": "sly"}, "provider_not_allowed"),
        ({"providers": ["groq"]}, ASK, "provider_not_allowed"),
        ({"endpoints": ["POST /v1/chat/*"]}, ASK, ""),
        ({"endpoints": ["chat"]}, ASK, ""),
        ({"endpoints": ["responses"]}, ASK, "endpoint_not_allowed"),
        ({"ips": ["127.0.0.0/8"]}, ASK, ""),
        ({"ips": ["10.0.0.0/8"]}, ASK, "ip_not_allowed"),
        ({"origins": ["https://app.example"]}, ASK, "origin_required"),
        ({"parameters": {"stream": [False]}}, {**ASK, "stream": True}, "parameter_not_allowed"),
        (
            {"parameters": {"reasoning_effort": ["low"]}},
            {**ASK, "model": "sly:high"},
            "parameter_not_allowed",
        ),
    ],
)
def test_what_is_refused_never_arrives(
    server: Upstream, proxy: Proxied, policy: dict[str, Any], body: object, expected: str
) -> None:
    status, code = say(proxy, token(proxy, **policy), body)
    assert (status, code) == ((403, expected) if expected else (200, ""))
    assert len(server.requests) == (0 if expected else 1)


def test_a_stream_that_the_path_asks_for_is_one(server: Upstream, proxy: Proxied) -> None:
    text = token(proxy, parameters={"stream": [False]})
    whole = wire.GEMINI.replace("streamGenerate", "generate")
    assert say(proxy, text, wire.GEMINI_BODY, wire.GEMINI)[0] == 403
    assert say(proxy, text, wire.GEMINI_BODY, whole)[0] == 200
    assert len(server.requests) == 1


def test_policies_of_projects_hold_for_all_their_tokens(server: Upstream, proxy: Proxied) -> None:
    text = token(proxy, models=["gpt-*"])
    assert say(proxy, text)[0] == 200
    with proxy.control() as control:
        control.projects.change("demo", policy=Policy(models=("claude-*",)))
    assert say(proxy, text) == (403, "model_not_allowed")
    assert len(server.requests) == 1


def test_origins(proxy: Proxied) -> None:
    text = token(proxy, origins=["https://*.corp.example"])
    assert say(proxy, text, origin="https://a.corp.example")[0] == 200
    assert say(proxy, text, origin="https://corp.example.evil") == (403, "origin_not_allowed")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/openai/V1/chat/completions", {}),
        ("/openai//v1/chat/completions", {}),
        ("/openai/v1/%2e%2e/v1/chat/completions", {}),
        ("/openai/v1/x/..;/chat/completions", {}),
        ("/openai/v1/chat/completions/", {}),
        (wire.COMPLETIONS, {"x_http_method_override": "GET"}),
    ],
)
def test_tricks_with_paths(server: Upstream, proxy: Proxied, path: str, headers: dict[str, str]) -> None:
    text = token(proxy, endpoints=["POST /v1/chat/completions", "chat"])
    assert say(proxy, text, path=path, **headers) == (403, "endpoint_not_allowed")
    assert server.requests == []


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (ASK, {"content_type": "application/json; charset=utf-8"}, ""),
        (ASK, {"content_type": "text/plain"}, ""),
        ({**ASK, "model": "gpt-5"}, {"content_type": "text/plain"}, "model_not_allowed"),
        (ASK, {"content_encoding": "nonsense"}, "model_not_allowed"),
        (b'{"model": "gpt-4o-mini", "model": "gpt-5", "messages": []}', {}, "model_not_allowed"),
        (b'{"model": "gpt-5", "model": "gpt-4o-mini", "messages": []}', {}, "model_not_allowed"),
        (b'{"model": "gpt-4o-mini", "messages": [', {}, "model_not_allowed"),
    ],
)
def test_tricks_with_bodies(
    server: Upstream, proxy: Proxied, body: object, headers: dict[str, str], expected: str
) -> None:
    text = token(proxy, models=["gpt-4o-*"])
    assert say(proxy, text, body, **headers)[1] == expected
    assert len(server.requests) == (0 if expected else 1)


def test_uploads_that_stream_through_cannot_be_held_to_rules(server: Upstream, proxy: Proxied) -> None:
    form = {"content_type": "multipart/form-data; boundary=b"}
    path = "/openai/v1/audio/transcriptions"
    large = b"--b\r\n" + b"x" * 9_000_000
    assert say(proxy, token(proxy, models=["whisper-*"]), large, path, **form) == (403, "model_not_allowed")
    assert server.requests == []
    assert say(proxy, token(proxy, ips=["127.0.0.1"]), large, path, **form)[0] == 200


def test_a_route_goes_on_to_a_target_that_is_allowed(proxy: Proxied, server: Upstream) -> None:
    from llm_intercept.policy.routing import Route, RouteMatch, RouteTarget

    targets = [
        RouteTarget(provider="groq", model="gpt-4o-big"),
        RouteTarget(provider="openai", model="gpt-4o-x"),
    ]
    route = Route(name="r", match=RouteMatch(models=["gpt-4o-routed"]), targets=targets)
    body = {**ASK, "model": "gpt-4o-routed"}
    with proxy.control() as control:
        control.routes.set(route)
    try:
        assert say(proxy, token(proxy, providers=["openai"]), body)[0] == 200
        assert json.loads(server.requests[-1].body)["model"] == "gpt-4o-x"
        assert say(proxy, token(proxy, providers=["mistral"]), body) == (403, "provider_not_allowed")
        assert say(proxy, token(proxy, models=["gpt-4o-routed"]), body) == (403, "model_not_allowed")
        assert len(server.requests) == 1
    finally:
        with proxy.control() as control:
            control.routes.remove("r")


def test_lists_of_models_have_what_may_be_used(proxy: Proxied) -> None:
    text = token(proxy, models=["gpt-4o-mini*", "fast"])
    with openai.OpenAI(base_url=f"{proxy.url}/openai/v1", api_key=text, max_retries=0) as client:
        names = {model.id for model in client.models.list()}
        assert "gpt-4o-mini" in names
        assert "fast" in names
        assert all(name == "fast" or "gpt-4o-mini" in name for name in names)
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("gpt-5")


def test_ten_of_fifty(server: Upstream, proxy: Proxied) -> None:
    text = token(proxy, max_requests=10)
    with ThreadPoolExecutor(25) as threads:
        found = list(threads.map(lambda _: say(proxy, text), range(50)))
    assert sorted(found) == [(200, "")] * 10 + [(429, "token_exhausted")] * 40
    assert len(server.requests) == 10


def test_suspending_acts_on_the_next_request_of_an_open_tunnel(server: Upstream, proxy: Proxied) -> None:
    with proxy.control() as control:
        made = control.tokens.create("demo", f"t{next(COUNT)}")
    for connection in (proxy.connection(), proxy.tunnel("api.openai.com")):
        path = (
            wire.COMPLETIONS.removeprefix("/openai")
            if isinstance(connection, http.client.HTTPSConnection)
            else wire.COMPLETIONS
        )
        headers = {"content-type": "application/json", "authorization": f"Bearer {made.text}"}

        def ask() -> int:
            connection.request("POST", path, encoded(ASK), headers)  # noqa: B023 - called in this turn
            answer = connection.getresponse()  # noqa: B023
            answer.read()
            return answer.status

        assert ask() == 200
        with proxy.control() as control:
            control.tokens.suspend(made.token.id)
        assert ask() == 401
        with proxy.control() as control:
            control.tokens.resume(made.token.id)
        assert ask() == 200
        connection.close()


def test_an_open_websocket_is_closed_with_its_next_message(server: Upstream, proxy: Proxied) -> None:
    with proxy.control() as control:
        made = control.tokens.create("demo", f"t{next(COUNT)}")
    url = f"ws://127.0.0.1:{proxy.port}/v1/realtime?model=gpt-realtime"
    headers = {"authorization": f"Bearer {made.text}"}
    with connect(url, proxy=None, compression=None, additional_headers=headers) as socket:
        socket.send("one")
        assert socket.recv() == "one"
        with proxy.control() as control:
            control.tokens.revoke(made.token.id)
        socket.send("two")
        with pytest.raises(ConnectionClosed):
            socket.recv()


def test_websockets_and_rules_about_bodies(proxy: Proxied) -> None:
    def opens(text: str, path: str) -> bool:
        url = f"ws://127.0.0.1:{proxy.port}{path}"
        headers = {"authorization": f"Bearer {text}"}
        try:
            with connect(url, proxy=None, compression=None, additional_headers=headers):
                return True
        except InvalidStatus:
            return False

    named = token(proxy, models=["gpt-realtime"])
    assert opens(named, "/v1/realtime?model=gpt-realtime")
    assert not opens(named, "/v1/realtime?model=gpt-realtime-2")
    assert not opens(named, "/v1/responses")
    assert not opens(token(proxy, parameters={"temperature": {"max": 1}}), "/v1/realtime?model=gpt-realtime")


def test_refreshing_with_an_overlap(proxy: Proxied) -> None:
    with proxy.control() as control:
        old = control.tokens.create("demo", f"t{next(COUNT)}", max_requests=3)
        new = control.tokens.refresh(old.token.id, overlap=timedelta(minutes=10))
    assert [say(proxy, text)[0] for text in (old.text, new.text, old.text)] == [200] * 3
    assert say(proxy, new.text) == (429, "token_exhausted")
    with proxy.control() as control:
        newest = control.tokens.refresh(old.token.id)
    assert say(proxy, old.text)[0] == say(proxy, new.text)[0] == 401
    assert say(proxy, newest.text) == (429, "token_exhausted")


def test_a_user_who_is_off_takes_their_tokens_along(proxy: Proxied) -> None:
    with proxy.control() as control:
        name = f"u{next(COUNT)}"
        control.users.create(name)
        text = control.tokens.create("demo", f"t{next(COUNT)}", user=name).text
    assert say(proxy, text)[0] == 200
    with proxy.control() as control:
        control.users.change(name, active=False)
    assert say(proxy, text) == (403, "user_inactive")


def test_addresses_hold_for_tunnels_to_strangers(proxy: Proxied) -> None:
    text = token(proxy, ips=["10.0.0.0/8"])
    with (
        pytest.raises(httpx2.ProxyError, match="407"),
        httpx2.Client(proxy=f"http://x:{text}@127.0.0.1:{proxy.port}") as client,
    ):
        client.get("https://stranger.invalid/")


def test_two_proxies_of_one_home_see_a_change_at_once(server: Upstream, proxy: Proxied) -> None:
    other = Proxied(proxy.home, proxy.config, token=proxy.token)
    other.start_proxy()
    try:
        text = token(proxy)
        assert [say(each, text)[0] for each in (proxy, other)] == [200, 200]
        with proxy.control() as control:
            (found,) = control.tokens.list(prefix=text)
            control.tokens.change(found.id, policy=Policy(models=("claude-*",)))
        for each in (proxy, other):
            assert say(each, text) == (403, "model_not_allowed")
    finally:
        other.stop()
