"""Traffic with secrets where few would look for them: signatures, session tokens, names, odd headers,
answers that repeat a key letter by letter; and a cassette of all that, recorded and played."""

import base64
import gzip
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.live import wire
from tests.live.canary_calls import GEMINI, Caller, bearer, chat
from tests.live.canary_home import Keeper
from tests.live.stack import Process

AZURE = "/azure/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"
SIGNED = "/model/amazon.nova-micro-v1%3A0/converse"
SOCKET = "https://api.openai.com/v1/responses"
CHAT = "https://api.openai.com/v1/chat/completions"
_SPLIT = {"messages": [{"role": "user", "content": [{"text": "say 401"}]}]}


def by_signatures(call: Caller, tokens: Mapping[str, str]) -> None:
    """A token as a key pair of AWS; a client's own temporary keys; an Azure key that is echoed."""
    pair = call.keeper.environ["AWS_PAIR_ID"]
    assert _signed(call, "signed", pair, tokens["aws"], wire.CONVERSE_BODY) == 200
    assert _signed(call, "signed errors 401", pair, tokens["aws"], json.dumps(_SPLIT).encode()) == 401
    _signed(call, "signed", pair, "w" * 40, wire.CONVERSE_BODY)
    new = call.keeper.aviary.new
    own, session = new("own.aws secret", odd="/+"), new("own.session", odd="/+=")
    for body in (wire.CONVERSE_BODY, json.dumps(_SPLIT).encode()):
        _signed(call, "own", "ASIACANARYCANARY0002", own, body, session)
    assert call("errors 401", AZURE, chat("401"), **bearer(tokens["authorization"])) == 401
    call("errors 401", AZURE, chat("401"), api_key=tokens["api-key"])


def _signed(call: Caller, name: str, key: str, secret: str, body: object, session: str | None = None) -> int:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    host = f"127.0.0.1:{call.port}"
    headers = {"Host": host, "Content-Type": "application/json"}
    request = AWSRequest("POST", f"http://{host}{SIGNED}", data=data, headers=headers)
    SigV4Auth(Credentials(key, secret, session), "bedrock", "us-east-1").add_auth(request)
    return call(name, SIGNED, data, **{name.lower(): text for name, text in request.headers.items()})


def by_drops(call: Caller, tokens: Mapping[str, str]) -> None:
    """Keys that come back in pieces of three letters, each in an event of its own."""
    auth, pasted = bearer(tokens["authorization"]), call.keeper.aviary.new("body.drops", "sk-")
    for body in (chat("drip", stream=True), chat(f"drip {pasted}", stream=True)):
        call("bodies drops", wire.COMPLETIONS, body, **auth)
    call("bodies drops", wire.COMPLETIONS, chat("drip", model="haiku-like", stream=True), **auth)
    translated = {**wire.MESSAGES, **chat("drip", model="gpt-4o"), "stream": True}
    call("bodies drops", wire.ANTHROPIC, translated, **auth)


def by_names(call: Caller, tokens: Mapping[str, str]) -> None:
    """A key in place of a model, a path, a client; a header that nobody knows."""
    auth, key = bearer(tokens["authorization"]), call.keeper.aviary.new("own.as a name", "sk-proj-")
    plain = call.keeper.aviary.new("own.as a plain name")
    for name in (key, plain, tokens["query"]):
        call("own names", wire.ANTHROPIC, {**wire.MESSAGES, "model": name}, **auth)
        call("own names", f"/gemini/v1beta/models/{name}:generateContent", wire.GEMINI_BODY, **auth)
        call("own names", f"/v1/models/{name}", **auth)
        call("own names", f"/{name}/v1/chat/completions", chat(), **auth)
        call("own names", wire.COMPLETIONS, chat(model=f"sim/{name}"), **auth)
        call("own names", wire.COMPLETIONS, chat(model=f"{name}/gpt-4o"), **auth)
        call("own names", wire.COMPLETIONS, chat(model=f"{name}-odd"), **auth)
        if name == tokens["query"]:  # it must not even come to the provider
            assert call("own names", wire.COMPLETIONS, chat(model=name), **auth) == 400
            assert call("own names", f"/v1/models/{name}", **auth) == 400
            continue
        for _ in range(6):  # so often that it is known for it
            call("own names", wire.ANTHROPIC, {**wire.MESSAGES, **chat("500", model=name)}, **auth)
    for name in (
        "user_agent",
        "session_id",
        "x_claude_code_session_id",
        "x_llm_intercept_project",
        "referer",
    ):
        call("own names", wire.COMPLETIONS, chat(), **auth, **{name: key})
    call("own names", wire.COMPLETIONS, chat(user=key, metadata={"user_id": key}), **auth)
    call("own names", wire.COMPLETIONS, chat(), authorization=f"Basic {_basic(plain)}")
    call("own names", wire.COMPLETIONS, chat(), authorization=f"Token {plain}", cookie=f"session={plain}")
    call("own names", GEMINI, wire.GEMINI_BODY, **auth, x_goog_api_key=plain)


def _basic(text: str) -> str:
    return base64.b64encode(f"user:{text}".encode()).decode()


ALL = (by_signatures, by_drops, by_names)


# --- cassettes


def cassettes(keeper: Keeper, environ: Mapping[str, str]) -> None:
    """`record` with a client that has a key of its own, then `replay` with calls that are not there."""
    new = keeper.aviary.new
    key, other = new("own.recorded"), new("own.replayed")
    names = ("cookie", "x-auth-token", "x-portkey-config", "x-tenant")
    odd = {name: new(f"cassette.{name}") for name in names}
    named = ("api_key", "access_token", "sig", "client_secret")
    query = "&".join(f"{name}={new(f'cassette.query {name}')}" for name in named)
    pasted = new("cassette.body", "sk-")
    said = {"input": f"mind {pasted}", "password": new("cassette.password"), "model": "gpt-5"}
    steps: list[dict[str, Any]] = [
        *({"url": CHAT, "body": chat(say)} for say in ("", "401", "back")),
        {"url": CHAT, "body": chat("drip", stream=True)},
        {"url": CHAT, "body": chat(f"back {pasted}"), "headers": odd},
        {"url": f"{CHAT}?{query}", "body": chat("back")},
        {"url": CHAT, "body": chat("back", user=key)},
        {"url": SOCKET, "body": said},
        {"url": SOCKET, "socket": True},
    ]
    file = keeper.home.parent / "calls.cassette.gz"
    assert _agent(keeper, environ, "record", [str(file)], steps, key) == 0
    keeper.aviary.look_at("cassette", gzip.decompress(file.read_bytes()))
    changed = [{**step, "body": {**step["body"], "n": 2}} for step in steps[:-1]]
    elsewhere = {**steps[0], "url": f"{CHAT}/{other}"}
    for wrong in ([*changed[5:], *changed], [elsewhere, *steps]):
        _agent(keeper, environ, "replay", [str(file)], wrong, other)


def _agent(
    keeper: Keeper, environ: Mapping[str, str], name: str, words: list[str], steps: list[Any], key: str
) -> int:
    """What it prints: the answers of `record` are the agent's own, those of `replay` are looked at."""
    root = Path(__file__).resolve().parents[2]
    log = keeper.home.parent / f"{name}-{len(keeper.aviary.places)}.log"
    agent = [sys.executable, str(Path(__file__).with_name("cassette_agent.py")), json.dumps(steps)]
    command = [sys.executable, "-m", "llm_intercept.cli", name, *words, "--", *agent]
    process = Process(command, {**environ, "TOKEN": key, "PYTHONPATH": str(root)}, log)
    process.start()
    assert process.popen is not None
    code = process.popen.wait(90)
    keeper.aviary.look_at(f"terminal {name}", log.read_bytes())
    return code
