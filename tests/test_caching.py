"""Who shares answers with whom, what a fault leaves behind, and a file that cannot be used."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from llm_intercept import caching as module
from llm_intercept.caching import Caching, is_unchanged
from llm_intercept.dispatch import Dispatch
from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange, Principal, Target
from llm_intercept.ledger import identity
from llm_intercept.policy.cachecontrol import Wish
from llm_intercept.providers.presented import Presented
from llm_intercept.settings.cache import CacheSettings
from llm_intercept.store.redaction import Redaction
from llm_intercept.wire import encoding
from llm_intercept.wire.tap import Tap
from tests.live import wire
from tests.live.proxied import encoded
from tests.test_router import an_exchange

NOW = 1_795_000_000.0
TARGET = Target("https", "api.openai.com", 443, "", "main", SecretStr("sk-real-0123456789abcdef"))


class Plain(Dispatch):
    """Only what reads a body."""

    def __init__(self) -> None:
        return


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Caching]]:
    made: list[Caching] = []

    def build(path: Path = tmp_path / "cache.db", **settings: Any) -> Caching:
        given = CacheSettings.model_validate({"mode": "on", **settings})
        made.append(Caching(path, given, Plain(), Redaction(), now=lambda: NOW))
        return made[-1]

    yield build
    for caching in made:
        caching.close()


def asking(text: str = "Say it.", **members: Any) -> Exchange:
    found = an_exchange("gpt-4o-mini")
    body = encoded({**wire.CHAT, "messages": [{"role": "user", "content": text}]})
    assert body is not None
    found.request_body, found.target = body, TARGET
    for name, value in members.items():
        setattr(found, name, value)
    return found


def answered(caching: Caching, exchange: Exchange, body: bytes = b"", **members: Any) -> str:
    """What the row says of the cache once the provider has answered."""
    exchange.status, exchange.response_type = 200, "application/json"
    exchange.response_body = body or wire.chat_answer()
    for name, value in members.items():
        setattr(exchange, name, value)
    tap = Tap(exchange.dialect, exchange.operation, exchange.response_type, headers={})
    tap.feed(encoding.inflate(exchange.response_body, exchange.response_encoding) or b"", 0.0)
    exchange.reading = tap.close()
    row = identity(exchange)
    row.outcome = "ok"
    caching.keep(exchange, row)
    return row.cache


def stored(caching: Caching, **members: Any) -> Exchange:
    exchange = asking(**members)
    assert caching.look(exchange, "") is None
    assert answered(caching, exchange) == "stored"
    return exchange


def hit(caching: Caching, **members: Any) -> bool:
    return isinstance(caching.look(asking(**members), ""), module.Hit)


# --- who shares

ONE = Principal("red", "laptop", token_id="t1")
SAME_PROJECT = Principal("red", "desktop", token_id="t2")
OTHER = Principal("blue", "laptop", token_id="t3")
OWN = Principal("red", "own:1", own_key=True)
NOBODY = Principal("red", "")
KEY, KEY_2 = (Presented("authorization", f"sk-own-{n}-0123456789") for n in "ab")
SIGNED = Presented("sigv4", "AKIA0123456789012345")


@pytest.mark.parametrize(
    ("scope", "shares"),
    [("project", (True, True, False)), ("token", (True, False, False)), ("all", (True, True, True))],
)
def test_tokens(make: Callable[..., Caching], scope: str, shares: tuple[bool, ...]) -> None:
    caching = make(scope=scope)
    stored(caching, principal=ONE)
    assert tuple(hit(caching, principal=who) for who in (ONE, SAME_PROJECT, OTHER)) == shares
    for who in (OWN, NOBODY):
        assert not hit(caching, principal=who, foreign=(KEY,))


@pytest.mark.parametrize("scope", ["project", "token", "all"])
def test_own_keys(make: Callable[..., Caching], scope: str) -> None:
    caching = make(scope=scope)
    mine: dict[str, Any] = {"principal": OWN, "foreign": (KEY,)}
    stored(caching, **mine)
    assert hit(caching, **mine)
    assert not hit(caching, principal=OWN, foreign=(KEY_2,))
    assert not hit(caching, principal=OWN, foreign=(KEY, KEY_2))
    assert not hit(caching, principal=ONE)
    behind_a_token = replace(ONE, own_key=True)  # of the proxy's, on the way through
    assert not hit(caching, principal=behind_a_token, foreign=(KEY_2,))


@pytest.mark.parametrize(
    "unknown",
    [
        {"principal": None},
        {"principal": OWN},
        {"principal": replace(ONE, own_key=True)},
        {"principal": OWN, "foreign": (SIGNED,)},
        {"principal": replace(ONE, own_key=True), "foreign": (KEY, SIGNED)},
        {"principal": NOBODY, "request_headers": {"authorization": "Basic abc"}},
        {"principal": NOBODY, "request_headers": {"cookie": "a=b"}},
    ],
)
def test_those_who_are_not_known_pass_by(make: Callable[..., Caching], unknown: dict[str, Any]) -> None:
    caching = make()
    for _ in range(2):
        exchange = asking(**unknown)
        assert caching.look(exchange, "") is None
        assert (exchange.cache, exchange.fingerprint) == ("bypass", b"")
        assert caching.headers(exchange)[0] == ("x-cache", "BYPASS")
        assert answered(caching, exchange) == "bypass"


def test_servers_that_need_no_key(make: Callable[..., Caching]) -> None:
    caching = make()
    stored(caching, principal=NOBODY)
    assert hit(caching, principal=NOBODY)
    assert not hit(caching, principal=replace(NOBODY, project="blue"))


def test_what_has_nothing_to_do_with_it(make: Callable[..., Caching]) -> None:
    caching = make()
    others: list[dict[str, Any]] = [
        {"operation": "files"}, {"method": "GET"}, {"websocket": True}, {"upload": True},
        {"recorded": False}, {"counted_here": True}, {"principal": replace(ONE, cache="off")},
    ]  # fmt: skip
    for other in others:
        exchange = asking(**other)
        assert caching.look(exchange, "") is None
        assert (exchange.cache, caching.headers(exchange), caching.wants(exchange, 200)) == ("", (), 0)
    assert caching.look(asking(), "off") is None


# --- faults


@pytest.mark.parametrize("what", ["recall", "reading", "fingerprint"])
def test_a_fault_leaves_a_miss(
    make: Callable[..., Caching], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    caching = make()
    stored(caching)

    def fails(*given: object, **named: object) -> None:
        raise RuntimeError("a bug")

    exchange = asking()
    with monkeypatch.context() as patch:
        patch.setattr(module, what, fails)
        with pytest.raises(RuntimeError):
            caching.look(exchange, "")
    assert (exchange.cache, exchange.recalled, exchange.reading) == ("miss", None, None)
    assert bool(exchange.fingerprint) is (what != "fingerprint")
    assert answered(caching, exchange) == ("miss" if what == "fingerprint" else "stored")


def test_what_is_found_counts_when_it_is_given(make: Callable[..., Caching]) -> None:
    caching = make()
    stored(caching)
    exchange = asking()
    found = caching.look(exchange, "")
    assert isinstance(found, module.Hit)
    assert (exchange.cache, exchange.recalled, exchange.reading) == ("miss", None, None)
    caching.given(exchange, found)
    assert (exchange.cache, exchange.recalled, exchange.reading) == ("hit", found.stored, found.reading)
    said = dict(caching.headers(exchange))
    assert (said["x-cache"], said["age"]) == ("HIT", "0")
    again: dict[str, Any] = {"request_headers": {"if-none-match": f'"x", W/{said["etag"]}'}}
    assert is_unchanged(asking(**again), found)
    assert not is_unchanged(asking(), found)
    assert not is_unchanged(asking(request_headers={"if-none-match": '"x"'}), found)
    for other in ({"stream": True}, {"asks_usage": True}, {"dialect": "anthropic"}):
        assert not is_unchanged(asking(**other, **again), found)


def test_what_a_miss_says(make: Callable[..., Caching]) -> None:
    caching = make()
    for header, why in (("", "uri-miss"), ("no-cache", "request"), ("max-age=0", "request")):
        exchange = asking(request_headers={"cache-control": header})
        assert caching.look(exchange, "") is None
        said = dict(caching.headers(exchange))
        key = exchange.fingerprint.hex()[:16]
        assert said["cache-status"] == f'llm-intercept; fwd={why}; key="{key}"'


def test_a_file_that_is_no_database(make: Callable[..., Caching], tmp_path: Path) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(b"no database" * 1000)
    caching = make(path)
    assert "broken.db" in caching.problem
    exchange = asking()
    assert caching.look(exchange, "") is None
    assert (exchange.cache, caching.wants(exchange, 200)) == ("", 0)
    exchange = asking(request_headers={"cache-control": "only-if-cached"})
    found = caching.look(exchange, "")
    assert isinstance(found, Refusal)
    assert (found.code, found.status) == ("not_in_cache", 504)


@pytest.mark.parametrize("more", ["", ", no-store", ", max-age=60", ", no-cache"])
def test_only_if_cached_asks_nobody(make: Callable[..., Caching], more: str) -> None:
    caching = make()
    exchange = asking(request_headers={"cache-control": f"only-if-cached{more}"})
    assert isinstance(caching.look(exchange, ""), Refusal)
    large = asking("x" * 17_000_000, request_headers={"cache-control": "only-if-cached"})
    assert isinstance(caching.look(large, ""), Refusal)


# --- what is kept


@pytest.mark.parametrize(
    "fault",
    [
        {"stopped": "tokens"}, {"ended_by": "client"}, {"failure": "stream_cut"}, {"status": 201},
        {"failure": "response_delay,stream_garbled"},
        {"body": wire.chat_answer().replace(b"stop", b"length")},
        {"body": b'{"choices":['}, {"body": b"\x1f\x8bno", "response_encoding": "gzip"},
        {"body": wire.chat_answer("x" * 2_000_000)},
        {"cache_wish": Wish(read=True, store=False, ttl=0.0)},
    ],
)  # fmt: skip
def test_what_is_not_kept(make: Callable[..., Caching], fault: dict[str, Any]) -> None:
    caching, exchange = make(), asking()
    assert caching.look(exchange, "") is None
    assert answered(caching, exchange, **fault) == "miss"
    assert not hit(caching)


@pytest.mark.parametrize("failure", ["response_delay", "slow_tokens", "response_delay,slow_tokens"])
def test_delays_spoil_nothing(make: Callable[..., Caching], failure: str) -> None:
    caching, exchange = make(), asking()
    assert caching.look(exchange, "") is None
    assert answered(caching, exchange, failure=failure) == "stored"
    assert hit(caching)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a story", True), ("it is sk-real-0123456789abcdef", False), ("it is AKIAIOSFODNN7EXAMPLE", False),
        ("password: correct-horse-battery", False), ("a task-oriented plan; sk-learn", True),
        ("c2stcmVhbC0wMTIzNDU2Nzg5YWJjZGVm", False),
    ],
)  # fmt: skip
def test_keys_are_not_given(make: Callable[..., Caching], text: str, kept: bool) -> None:
    """Not even to the next who asks, before anybody has looked."""
    caching, exchange = make(), asking()
    assert caching.look(exchange, "") is None
    answered(caching, exchange, wire.chat_answer(text))
    assert hit(caching) is kept


def test_fields_of_an_answer(make: Callable[..., Caching], tmp_path: Path) -> None:
    caching, exchange = make(), asking()
    caching.look(exchange, "")
    given = {
        "x-request-id": "req_1",
        "set-cookie": "a=b",
        "x-amzn-bedrock-input-token-count": "3",
        "date": "x",
    }
    answered(caching, exchange, response_headers=given)
    found = caching.look(asking(), "")
    assert isinstance(found, module.Hit)
    assert dict(found.headers) == {"x-request-id": "req_1", "x-amzn-bedrock-input-token-count": "3"}
    with closing(make(tmp_path / "cache.db")) as again:
        exchange = asking("another")
        again.look(exchange, "")
        answered(again, exchange, response_headers={"x-request-id": "sk-real-0123456789abcdef"})
        assert not hit(again, text="another")
