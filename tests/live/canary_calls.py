"""Traffic with secrets in every place where a client or a provider can put one.

Each provider is a server of its own, so that it shows which of them was sent what.
"""

import base64
import contextlib
import gzip
import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from websockets.sync.client import connect

from tests.live import wire
from tests.live.canary_home import Keeper
from tests.live.loopback import Answer, Request, Upstream, upstream
from tests.live.proxied import PATIENCE, encoded
from tests.live.sockets import Socket
from tests.live.test_faults import AGAIN, BACK, CALLED, MOMENTS, UNSEEN

SERVED = (
    *("openai", "anthropic", "gemini", "bedrock", "mistral", "groq", "vertex", "azure", "oidc", "webhook"),
)
GEMINI = "/gemini/v1beta/models/gemini-2.5-flash:generateContent"
CONVERSE = "/bedrock/model/amazon.nova-micro-v1:0/converse"
VERTEX = "/vertex/v1/publishers/google/models/gemini-2.5-flash:generateContent"
_SHOWN = (
    *("authorization", "x-api-key", "api-key", "x-goog-api-key", "x-tenant-key", "x-tier-key"),
    "x-amz-security-token",
)


@contextlib.contextmanager
def providers(keeper: Keeper) -> Iterator[dict[str, Upstream]]:
    async def script(request: Request, answer: Answer) -> None:
        await _answered(keeper, request, answer)

    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(upstream(script)) for name in SERVED}


async def _answered(keeper: Keeper, request: Request, answer: Answer) -> None:
    """As the word `user` in the body says, which is any dialect's place for it here."""
    if request.header("upgrade"):
        await _socket(request, answer)
        return
    body = await request.read()
    said = " ".join(request.header(name) for name in _SHOWN if request.header(name))
    plain = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
    if b"openid-configuration" in request.head:
        await answer.whole(200, _discovery(request))
    elif b"client_secret" in body or b"/oidc/token" in request.head or b"/hooks/" in request.head:
        await answer.whole(400, json.dumps({"error": f"no: {said} {body.decode()}"}).encode())
    elif request.method == "GET" and keeper.aviary.canaries.get("key.mistral", "?") in said:
        await _refused(answer, said, packed=False)  # the list of models, which keys are tried with
    else:
        await _told(keeper, answer, plain, said)


async def _told(keeper: Keeper, answer: Answer, plain: bytes, said: str) -> None:
    if b"say 500" in plain:
        await answer.whole(500, json.dumps({"error": f"{said} {plain.decode()}"}).encode())
    elif b"say 401" in plain or (b"say fail" in plain and keeper.aviary.canaries["key.openai.main"] in said):
        await _refused(answer, said, packed=b"packed" in plain)
    elif b"say drip" in plain:
        whole = f"{said} {plain.decode()}"
        pieces = [wire.chat_chunk(whole[at : at + 3]) for at in range(0, len(whole), 3)]
        await answer.stream(*pieces, *wire.chat_stream())
    elif b"say stream" in plain:
        await _streamed(answer, said)
    elif b"say cut" in plain:
        await answer.head(200, [("content-type", "text/event-stream")])
        await answer.send(wire.chat_chunk(said), wire.chat_chunk(said)[:30])
        answer.cut()
    elif b"say back" in plain:
        await answer.whole(200, wire.chat_answer(f"{said} {plain.decode()}"))
    else:
        await answer.whole(200, wire.chat_answer())


def _discovery(request: Request) -> bytes:
    issuer = f"http://{request.header('host')}/oidc"
    paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
    return json.dumps(
        {"issuer": issuer} | {name: f"{issuer}/{path}" for name, path in paths.items()}
    ).encode()


async def _refused(answer: Answer, said: str, *, packed: bool) -> None:
    """A provider that repeats what it was sent: as it is, in base64 and in its headers."""
    message = f"Incorrect API key provided: {said} ({base64.b64encode(said.encode()).decode()})"
    error = {"message": message, "type": f"invalid {said}", "code": said, "param": said}
    body = json.dumps({"error": error}).encode()
    fields = [("content-type", "application/json"), ("www-authenticate", f'Bearer error="{said}"')]
    if packed:
        body, fields = gzip.compress(body), [*fields, ("content-encoding", "gzip")]
    await answer.head(401, [*fields, ("content-length", str(len(body)))])
    await answer.send(body)


async def _streamed(answer: Answer, said: str) -> None:
    """The keys cut in two chunks of bytes."""
    whole = b"".join([wire.chat_chunk(f"mind {said} well"), *wire.chat_stream()])
    at = whole.index(said.encode()[:20]) + len(said) // 2
    await answer.stream(whole[:at], whole[at:])


async def _socket(request: Request, answer: Answer) -> None:
    socket = await Socket.accept(request, answer)
    while (message := await socket.receive()) is not None:
        response = {"id": "resp_1", "object": "response", "status": "failed", "model": "gpt-5.2"}
        error = {"code": "invalid_api_key", "message": f"{request.header('authorization')} {message!r}"}
        await socket.send({"type": "response.failed", "response": {**response, "error": error}})


@dataclass
class Caller:
    """Calls a proxy, and keeps what it is answered. `name` says what the answer may hold.

    Every answer may be stored, and every call goes to its provider, unless it says otherwise itself.
    """

    keeper: Keeper
    port: int

    def __call__(self, name: str, path: str, body: object = None, **headers: str) -> int:
        sent = {key.replace("_", "-"): value for key, value in headers.items() if value}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            given = {"content-type": "application/json", "cache-control": "no-cache", **sent}
            connection.request("GET" if body is None else "POST", path, encoded(body), given)
            answer = connection.getresponse()
            try:
                data = answer.read()
            except http.client.IncompleteRead as error:
                data = error.partial
        if answer.headers.get("content-encoding") == "gzip":
            data = gzip.decompress(data)
        self.keeper.aviary.look_at(f"answer {name}", f"{answer.headers}\n".encode() + data)
        return answer.status


def chat(say: str = "", **more: object) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"say {say}" if say else "hello"}]
    return {"model": "gpt-4o-mini", "messages": messages, **more}


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def signed(key_id: str) -> dict[str, str]:
    scope = f"{key_id}/20260101/us-east-1/bedrock/aws4_request"
    value = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"
    return {"authorization": value, "x_amz_date": "20260101T000000Z"}


def by_tokens(call: Caller, tokens: Mapping[str, str]) -> None:
    """Every token in every place, those that do not work as well."""
    basic = base64.b64encode(f"user:{tokens['proxy']}".encode()).decode()
    call.keeper.aviary.keep("token.proxy, as Basic", basic)
    assert call("tokens", wire.COMPLETIONS, chat(), **bearer(tokens["authorization"])) == 200
    assert call("tokens", wire.ANTHROPIC, wire.MESSAGES, x_api_key=tokens["x-api-key"]) == 200
    assert call("tokens", wire.COMPLETIONS, chat(), api_key=tokens["api-key"]) == 200
    assert call("tokens", GEMINI, wire.GEMINI_BODY, x_goog_api_key=tokens["x-goog-api-key"]) == 200
    assert call("tokens", f"{GEMINI}?key={tokens['query']}", wire.GEMINI_BODY) == 200
    call("tokens", f"/v1/nothing/here?key={tokens['query']}", chat())
    for path in (wire.COMPLETIONS, "/mistral/v1/chat/completions"):
        call("tokens", f"{path}?key={tokens['query']}", chat(), **bearer(tokens["authorization"]))
    call("tokens", f"{wire.ANTHROPIC}?key={tokens['query']}", wire.MESSAGES, x_api_key=tokens["x-api-key"])
    own = {**bearer("not-a-key-of-anybody"), "proxy_authorization": f"Basic {basic}"}
    assert call("tokens", wire.COMPLETIONS, chat(), **own) == 200
    call("tokens", CONVERSE, wire.CONVERSE_BODY, **signed(call.keeper.environ["AWS_PAIR_ID"]))
    call("tokens", CONVERSE, wire.CONVERSE_BODY, **bearer(tokens["authorization"]))
    for name in ("cli", "page", "api", "imported", "refreshed", "again"):
        assert call("tokens", wire.COMPLETIONS, chat(), **bearer(tokens[name])) == 200
    for name in ("revoked", "suspended", "expired", "foreign", "mistyped"):
        assert call("tokens", wire.COMPLETIONS, chat(), **bearer(tokens[name])) == 401
        assert call("tokens", f"{GEMINI}?key={tokens[name]}", wire.GEMINI_BODY) == 401
        assert call("tokens", wire.ANTHROPIC, wire.MESSAGES, x_api_key=tokens[name]) == 401
    groq = "/groq/openai/v1/chat/completions"
    assert call("tokens", groq, chat(model="llama-4"), **bearer(tokens["authorization"])) == 200
    assert call("tokens", VERTEX, wire.GEMINI_BODY, **bearer(tokens["authorization"])) == 200
    assert call("tokens", "/mistral/v1/chat/completions", chat(), **bearer(tokens["authorization"])) == 200
    everything = {"x_api_key": tokens["x-api-key"], "api_key": tokens["api-key"]}
    call("tokens", wire.COMPLETIONS, chat(), **bearer(tokens["authorization"]), **everything)


def by_own_keys(call: Caller, tokens: Mapping[str, str]) -> None:
    """A client's own key goes to the provider that was called, and no further."""
    new = call.keeper.aviary.new
    assert call("own", wire.COMPLETIONS, chat(), **bearer(new("own.openai", "sk-"))) == 200
    assert call("own", wire.COMPLETIONS, chat("401"), **bearer(new("own.refused"))) == 401
    assert call("own", wire.COMPLETIONS, chat("back"), **bearer(new("own.back"))) == 200
    moved = {"x_api_key": new("own.moved"), "anthropic_version": "2023-06-01"}
    call("own", wire.COMPLETIONS, chat(model="haiku-like"), **bearer(new("own.aliased")))
    call("own", wire.ANTHROPIC, {**wire.MESSAGES, "model": "claude-3-5-haiku-latest"}, **moved)
    call("own", wire.COMPLETIONS, chat(), **bearer(new("own.beside a token")), x_api_key=tokens["x-api-key"])
    call("own", f"{GEMINI}?key={new('own.query', 'AIza')}", wire.GEMINI_BODY)
    call("own", f"/v1/nothing/here?key={new('own.nowhere')}", chat())
    call("own", wire.COMPLETIONS, chat(model=new("own.as model", "sk-")), **bearer(tokens["authorization"]))
    call("own", f"/openai/v1/files/{new('own.in path', 'sk-')}", **bearer(tokens["authorization"]))


def by_bodies(call: Caller, tokens: Mapping[str, str]) -> None:
    """What people paste, tools are given, and providers say."""
    new, auth = call.keeper.aviary.new, bearer(tokens["authorization"])
    pasted = f"back {tokens['pasted']} {new('body.key', 'sk-')} {call.keeper.bearers['admin']}"
    call("bodies", wire.COMPLETIONS, chat(pasted), **auth)
    arguments = json.dumps({"password": new("body.password"), "api_key": new("body.api key")})
    function = {"name": "log_in", "arguments": arguments}
    turns = [
        {"role": "user", "content": "say back"},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "c", "content": f"export API_KEY={new('body.variable')}"},
    ]
    call("bodies", wire.COMPLETIONS, chat(messages=turns), **auth)
    packed = gzip.compress(json.dumps(chat(f"back {new('body.packed', 'sk-')}")).encode())
    call("bodies", wire.COMPLETIONS, packed, content_encoding="gzip", **auth)
    streamed = chat(f"stream {new('body.streamed', 'sk-')}", stream=True)
    call("bodies stream", wire.COMPLETIONS, streamed, **auth)
    call("bodies stream", wire.COMPLETIONS, chat("cut", stream=True), **auth)
    form = f'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\n{new("body.form", "sk-")}\r\n--b--'
    call("bodies", "/openai/v1/files", form.encode(), content_type="multipart/form-data; boundary=b", **auth)


def by_errors(call: Caller, tokens: Mapping[str, str]) -> None:
    """Providers that repeat keys: packed, translated, to be tried again, or in the end."""
    auth = bearer(tokens["authorization"])
    for say in ("401", "401 packed", "fail", "401 once more", "back"):
        call(f"errors {say}", wire.COMPLETIONS, chat(say), **auth)
        call(f"errors {say}", wire.ANTHROPIC, {**wire.MESSAGES, **chat(say, model="claude-sonnet-5")}, **auth)
    call("errors 401", wire.COMPLETIONS, chat("401", model="haiku-like"), **auth)  # translated
    call("errors 401", wire.COMPLETIONS, chat("401", stream=True), **auth)
    contents = {"contents": [{"role": "user", "parts": [{"text": "say 401"}]}]}
    call("errors 401", GEMINI, contents, **auth)
    call("errors 401", VERTEX, contents, **auth)
    call("errors 401", CONVERSE, {"messages": [{"role": "user", "content": [{"text": "say 401"}]}]}, **auth)


def by_faults(call: Caller, tokens: Mapping[str, str]) -> None:
    """Bugs of our own in every hook."""
    for hook in (*CALLED, *BACK, *AGAIN, *UNSEEN):
        for moment in MOMENTS:
            fault = f"{hook}{moment}"
            call("faults", wire.COMPLETIONS, chat(), **bearer(tokens["authorization"]), x_fault=fault)
    for word in ("fault-tap", "fault-dialect", "fault-read", "fault-journal", "fault-bodies"):
        call("faults", wire.COMPLETIONS, chat(word), **bearer(tokens["authorization"]))


def by_the_cache(call: Caller, tokens: Mapping[str, str]) -> None:
    """What is stored is given again; what tells a key is asked for anew."""
    auth, again = bearer(tokens["authorization"]), {"cache_control": "max-age=600"}
    for say in ("", "back", "stream", "drip"):
        said = chat(say, stream=say in ("stream", "drip"))
        for name, fields in (("bodies", {}), ("bodies", again), ("bodies", again)):
            assert call(f"{name} {say}", wire.COMPLETIONS, said, **auth, **fields) == 200
    own = bearer(call.keeper.aviary.canaries["own.back"])
    for _ in range(2):
        assert call("own", wire.COMPLETIONS, chat("back"), **own, **again) == 200


def by_sockets(call: Caller, tokens: Mapping[str, str]) -> None:
    url = f"ws://127.0.0.1:{call.port}/v1/responses"
    said = call.keeper.aviary.new("body.socket", "sk-")
    with connect(
        url, proxy=None, compression=None, additional_headers=bearer(tokens["authorization"])
    ) as socket:
        socket.send(json.dumps({"type": "response.create", "model": "gpt-5.2", "input": f"mind {said}"}))
        call.keeper.aviary.look_at("answer socket", str(socket.recv()))


def by_tunnels(call: Caller, tokens: Mapping[str, str]) -> None:
    """The proxy password is the token; inside is a key of the client's."""
    basic = base64.b64encode(f"user:{tokens['proxy']}".encode()).decode()
    trust = ssl.create_default_context(cafile=str(call.keeper.home / "certs" / "mitmproxy-ca-cert.pem"))
    connection = http.client.HTTPSConnection("127.0.0.1", call.port, timeout=PATIENCE, context=trust)
    connection.set_tunnel("api.openai.com", 443, {"proxy-authorization": f"Basic {basic}"})
    with contextlib.closing(connection):
        own = call.keeper.aviary.new("own.tunnel")
        headers = {"content-type": "application/json", "authorization": f"Bearer {own}"}
        connection.request("POST", "/v1/chat/completions", encoded(chat()), headers)
        answer = connection.getresponse()
        call.keeper.aviary.look_at("answer own tunnel", f"{answer.headers}\n".encode() + answer.read())


ALL = (by_tokens, by_own_keys, by_bodies, by_errors, by_faults, by_the_cache, by_sockets, by_tunnels)
