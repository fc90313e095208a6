"""Official SDKs in front of two simulators, of which the first one fails: they never notice."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from pydantic import SecretStr

from llm_intercept.policy.routing import Route
from tests.live import failover
from tests.live.failing import Clients
from tests.live.failover import Simulator, tries_of
from tests.live.proxied import AWS, REAL, Proxied, proxied

CONFIG = """
[retries]
backoff = 0.001
[breaker]
consecutive = 0
rate = 0
"""
SECOND_AWS = AWS.replace("0001:", "0002:")
CLAUDE = "anthropic.claude-3-5-sonnet-20240620-v1:0"
SECOND = "sk-second-{}-0123456789abcdef"
MODELS = {
    "openai": "gpt-4o",
    "anthropic": "claude-sonnet-5",
    "gemini": "gemini-2.5-flash",
    "bedrock": CLAUDE,
}
# The second target of another dialect.
OTHERS = {"openai": "twin/claude-sonnet-5"}
ASKED = "Say hello to the proxy, please."
CHAT: Any = [{"role": "user", "content": ASKED}]
TURN: Any = [{"role": "user", "content": [{"text": ASKED}]}]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(tmp_path_factory.mktemp("first")) as running:
        yield running


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(tmp_path_factory.mktemp("second")) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(first: Simulator, second: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Each provider has a key that leads to the first simulator, and one that leads to the second."""
    bases = {name: first.url for name in MODELS} | {"together": second.url}
    keys = {name: REAL.format(name) for name in ("together", "twin")}
    config = f'{CONFIG}[providers.twin]\ndialect = "anthropic"\nbase_url = "{second.url}"\n'
    with proxied(tmp_path_factory.mktemp("sdks"), bases, config=config, keys=keys) as running:
        with running.control() as control:
            for name, model in MODELS.items():
                secrets = (AWS, SECOND_AWS) if name == "bedrock" else (REAL.format(name), SECOND.format(name))
                for pool, secret, there in zip(("main", "later"), secrets, (None, second.url), strict=True):
                    added = SecretStr(secret)
                    control.credentials.add(name, added, name=pool, pool=pool, base_url=there)
                main, later = ({"provider": name, "model": model, "pool": pool} for pool in ("main", "later"))
                for prefix, last in (("same", later), ("other", OTHERS.get(name, "together/m"))):
                    route = {"name": f"{prefix}-{name}", "targets": [main, last]}
                    route["match"] = {"models": [route["name"]]}
                    control.routes.set(Route.model_validate(route))
        yield running


@pytest.fixture(scope="module")
def clients(proxy: Proxied) -> Iterator[Clients]:
    with Clients(proxy) as made:
        yield made


@pytest.fixture(scope="module")
def amazon(proxy: Proxied) -> dict[str, Any]:
    with proxy.control() as control:
        pair = control.tokens.create("demo", "aws", aws=True)
    assert pair.secret is not None
    secret = pair.secret.get_secret_value()
    common = {"aws_access_key_id": pair.text, "aws_secret_access_key": secret, "region_name": "us-east-1"}
    once = {"retries": {"max_attempts": 1, "mode": "standard"}}
    through = Config(proxies={"https": proxy.url}, **once)
    bundle = str(proxy.home / "certs" / "mitmproxy-ca-cert.pem")
    return {
        "base_url": boto3.client("bedrock-runtime", endpoint_url=proxy.url, config=Config(**once), **common),
        "connect": boto3.client("bedrock-runtime", verify=bundle, config=through, **common),
    }


@pytest.fixture(autouse=True)
def _reset(proxy: Proxied, first: Simulator, second: Simulator) -> None:
    second.play()
    failover.forgive(proxy)


def openai_says(client: Any, model: str, stream: bool) -> str:
    answer = client.chat.completions.create(model=model, messages=CHAT, stream=stream)
    if not stream:
        return str(answer.choices[0].message.content)
    return "".join(chunk.choices[0].delta.content or "" for chunk in answer)


def responses_say(client: Any, model: str, stream: bool) -> str:
    answer = client.responses.create(model=model, input=ASKED, stream=stream)
    if not stream:
        return str(answer.output_text)
    return "".join(event.delta for event in answer if event.type == "response.output_text.delta")


def anthropic_says(client: Any, model: str, stream: bool) -> str:
    if stream:
        with client.messages.stream(model=model, max_tokens=100, messages=CHAT) as answer:
            return "".join(answer.text_stream)
    return str(client.messages.create(model=model, max_tokens=100, messages=CHAT).content[0].text)


def gemini_says(client: Any, model: str, stream: bool) -> str:
    if stream:
        answer = client.models.generate_content_stream(model=model, contents=ASKED)
        return "".join(chunk.text or "" for chunk in answer)
    return str(client.models.generate_content(model=model, contents=ASKED).text)


def bedrock_says(client: Any, model: str, stream: bool) -> str:
    if not stream:
        return str(client.converse(modelId=model, messages=TURN)["output"]["message"]["content"][0]["text"])
    events = client.converse_stream(modelId=model, messages=TURN)["stream"]
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    return "".join(delta.get("text", "") for delta in deltas)


SDKS: dict[str, tuple[str, Callable[[Any, str, bool], str]]] = {
    "openai": ("openai", openai_says),
    "responses": ("openai", responses_say),
    "anthropic": ("anthropic", anthropic_says),
    "gemini": ("gemini", gemini_says),
    "bedrock": ("bedrock", bedrock_says),
}
FAILURES: dict[str, dict[str, Any]] = {
    "overloaded": {"then": "error", "status": 503},
    "used up": {"then": "error", "status": 429, "retry_after": 30},
    "lost": {"then": "reset"},
    "poisoned": {"then": "stream_error"},
}


WAYS = [
    pytest.param(False, "connect", id="whole by CONNECT"),
    pytest.param(True, "base_url", id="stream by base URL"),
    pytest.param(True, "connect", id="stream by CONNECT"),
]
CASES = [("same", "used up"), ("same", "poisoned"), ("other", "lost"), ("other", "overloaded")]


@pytest.mark.parametrize(("second_speaks", "how"), CASES)
@pytest.mark.parametrize(("stream", "entry"), WAYS)
@pytest.mark.parametrize("sdk", SDKS)
def test_the_second_answers_for_the_first(
    proxy: Proxied,
    first: Simulator,
    second: Simulator,
    clients: Clients,
    amazon: dict[str, Any],
    sdk: str,
    second_speaks: str,
    stream: bool,
    entry: str,
    how: str,
) -> None:
    provider, says = SDKS[sdk]
    first.play(FAILURES[how])
    client = amazon[entry] if sdk == "bedrock" else getattr(clients, provider)(entry)
    since = proxy.last_id()
    assert "hello" in says(client, f"{second_speaks}-{provider}", stream).lower()
    [row] = proxy.settled(since)
    assert (row["outcome"], row["attempts"], row["entry"], row["stream"]) == ("ok", 2, entry, int(stream))
    failed, done = tries_of(proxy, row)
    last = provider if second_speaks == "same" else OTHERS.get(provider, "together/").partition("/")[0]
    assert (failed[0], done) == (provider, (last, "ok", 200))
    assert (row["usage_source"], row["credential"]) == (
        "provider",
        "later" if second_speaks == "same" else "default",
    )
    _check_keys(first, second, provider, second_speaks == "same")


def _check_keys(first: Simulator, second: Simulator, provider: str, same: bool) -> None:
    """Each target has seen its own key, and neither of them the token."""
    [before], [after] = first.received(), second.received()
    assert (AWS.partition(":")[0] if provider == "bedrock" else REAL.format(provider)) in str(before)
    if same:
        assert (SECOND_AWS.partition(":")[0] if provider == "bedrock" else SECOND.format(provider)) in str(
            after
        )
        assert REAL.format(provider) not in str(after)
