"""Every recorded answer of a real provider, given again by a loopback upstream, through one running proxy.

What the client receives must be what the provider sent, what the provider receives must be what the
client sent, and the row must say what the provider's own SDK said.
"""

import contextlib
import gzip
import http.client
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN
from pathlib import Path
from typing import Any

import brotli
import genai_prices
import pytest
import zstandard
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from llm_intercept.providers import Registry
from llm_intercept.wire.reading import Reading
from llm_intercept.wire.tap import Tap
from llm_intercept.wire.usage import Usage
from tests.live.loopback import Answer, Request, upstream
from tests.live.proxied import AWS, REAL, Proxied, proxied
from tests.live.replayed import HOP_BY_HOP, answer_fields, parts, provider, sent, unasked
from tests.wire import cuts
from tests.wire.recordings import Recording, recordings, sdk_usage
from tests.wire.test_tap import as_sdk

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not recordings(), reason="recordings are not beside this checkout"),
]

INJECTED = "body: stream_options.include_usage"
WORKERS = 4
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": lambda body: brotli.compress(body, quality=3),
    "zstd": zstandard.compress,
    "deflate": zlib.compress,
}
REGISTRY = Registry({})
KEY_HEADERS = {"anthropic": "x-api-key", "azure": "api-key", "gemini": "x-goog-api-key"}


@dataclass
class Case:
    """One call: a recording, how its answer is cut, and by which way the client comes."""

    recording: Recording
    kind: str
    pieces: list[bytes]
    coding: str = ""
    tunnel: bool = False
    asked: bytes | None = None  # the client's body, where it is not the recorded one
    seen: list[Request] = field(default_factory=list)
    status: int = 0
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    row: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.recording.name} ({self.kind})"

    @property
    def request(self) -> bytes:
        if self.asked is not None:
            return self.asked
        return sent(self.recording).body or b""

    @property
    def injected(self) -> bool:
        return INJECTED in self.row["changes"]

    @property
    def sent_back(self) -> bytes:
        return b"".join(self.pieces)


def cases() -> list[Case]:
    found: list[Case] = []
    for number, recording in enumerate(recordings()):
        found += _plain(recording, number)
        if number % 9 == 0 and recording.body:
            name = list(CODINGS)[number // 9 % len(CODINGS)]
            pieces = cuts.at_random(CODINGS[name](recording.body), number)
            found.append(Case(recording, name, pieces, coding=name))
        if number % 8 == 0 and REGISTRY.covered(sent(recording).host):
            found.append(Case(recording, "tunnel", cuts.by_event(recording.body), tunnel=True))
        asked = _not_asking(recording)
        if asked is not None:
            found.append(Case(recording, "unasked", cuts.at_random(recording.body, number), asked=asked))
    return found


def _plain(recording: Recording, number: int) -> Iterator[Case]:
    yield Case(recording, "whole", [recording.body])
    if recording.stream:
        yield Case(recording, "events", cuts.by_event(recording.body))
        yield Case(recording, f"random {number}", cuts.at_random(recording.body, number))


def _not_asking(recording: Recording) -> bytes | None:
    """The request of a stream with usage, as a client would have sent it that does not care for usage."""
    if not (recording.stream and recording.dialect in ("openai_chat", "openai_completions")):
        return None
    body = json.loads(sent(recording).body or b"null")
    if not isinstance(body, dict) or not body.get("stream_options", {}).get("include_usage"):
        return None
    body.pop("stream_options")
    return json.dumps(body).encode()


@dataclass
class World:
    proxy: Proxied
    cases: list[Case]

    def play(self) -> None:
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(self._play, range(WORKERS)))

    def _play(self, worker: int) -> None:
        """One client's share: most calls on one connection, tunnels on one each."""
        with contextlib.closing(self.proxy.connection()) as connection:
            for number in range(worker, len(self.cases), WORKERS):
                case = self.cases[number]
                if case.tunnel:
                    with contextlib.closing(self.proxy.tunnel(sent(case.recording).host)) as own:
                        self._call(own, number, case)
                else:
                    self._call(connection, number, case)

    def _call(self, connection: http.client.HTTPConnection, number: int, case: Case) -> None:
        self._send(connection, number, case)
        answer = connection.getresponse()
        case.status, case.body = answer.status, answer.read()
        case.headers = {name.lower(): value for name, value in answer.getheaders()}

    def _send(self, connection: http.client.HTTPConnection, number: int, case: Case) -> None:
        recorded, name = sent(case.recording), provider(case.recording)
        key_header = KEY_HEADERS.get(name, "authorization")
        own = {
            k: v for k, v in recorded.headers.items() if k.lower() not in (*HOP_BY_HOP, "host", key_header)
        }
        own |= {"x-case": str(number)}
        own |= {
            key_header: f"Bearer {self.proxy.token}" if key_header == "authorization" else self.proxy.token
        }
        path = recorded.path if case.tunnel else f"/{name}{recorded.path}"
        body = None if recorded.body is None else case.request
        connection.request(recorded.method, path, body, own)

    def book(self) -> list[dict[str, Any]]:
        """Ties each row to its call."""
        rows = self.proxy.settled()
        by_id = {row["request_id"]: row for row in rows}
        for case in self.cases:
            case.row = by_id.get(case.headers.get("x-llm-intercept-request-id", ""), {})
        return rows


def service_account() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "robot@example.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token",
            "private_key": pem.decode(),
            "private_key_id": "k1",
            "project_id": "example",
        }
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    every = cases()

    async def script(request: Request, answer: Answer) -> None:
        case = every[int(request.header("x-case"))]
        await request.read()
        case.seen.append(request)
        await give(case, answer)

    names = {provider(recording) for recording in recordings()}
    keys = {name: REAL.format(name) for name in names} | {"bedrock": AWS, "vertex": service_account()}
    home = tmp_path_factory.mktemp("replay")
    # Recorded errors are answers here: each once.
    config = "[retries]\ntries = 1\n[breaker]\nconsecutive = 0\nrate = 0\n"
    with (
        upstream(script) as server,
        proxied(home, dict.fromkeys(names, server.url), config=config, keys=keys) as proxy,
    ):
        world = World(proxy, every)
        world.play()
        world.book()
        yield world


async def give(case: Case, answer: Answer) -> None:
    """The recorded answer; with a length where the provider sent one, in chunks otherwise."""
    fields = answer_fields(case.recording)
    if case.coding:
        fields.append(("content-encoding", case.coding))
    if "transfer-encoding" not in case.recording.headers and not case.recording.stream:
        fields.append(("content-length", str(len(case.sent_back))))
    await answer.head(case.recording.status, fields)
    await answer.send(*case.pieces)
    await answer.end()


def none_of(world: World, check: Callable[[Case], object]) -> None:
    """Asserts that a check has no complaint about any call."""
    found = [(case, check(case)) for case in world.cases]
    complaints = [f"{case}: {complaint}" for case, complaint in found if complaint]
    assert not complaints, f"{len(complaints)} calls:\n" + "\n".join(complaints[:40])


def test_there_is_something_to_play(world: World) -> None:
    kinds = Counter(case.kind.split(" ")[0] for case in world.cases)
    assert kinds["whole"] > 800
    assert kinds["events"] == kinds["random"] > 300
    assert min(kinds[name] for name in (*CODINGS, "tunnel", "unasked")) > 15


def test_the_client_receives_what_the_provider_sent(world: World) -> None:
    def check(case: Case) -> object:
        expected = unasked(case.sent_back) if case.injected else case.sent_back
        return (case.status, case.body) != (case.recording.status, expected) and case.body[:300]

    none_of(world, check)


def test_headers_of_the_answer_pass(world: World) -> None:
    def check(case: Case) -> object:
        return [n for n, v in answer_fields(case.recording) if case.headers.get(n) != v]

    none_of(world, check)


def test_the_provider_receives_what_the_client_sent(world: World) -> None:
    def check(case: Case) -> object:
        [request] = case.seen
        if case.injected:
            return json.loads(request.body) != with_usage_asked(case.request)
        return request.body != case.request and request.body[:300]

    none_of(world, check)


def with_usage_asked(body: bytes) -> dict[str, Any]:
    document = json.loads(body)
    options = document.get("stream_options") or {}
    return {**document, "stream_options": {**options, "include_usage": True}}


def test_no_token_travels_and_every_call_carries_a_key(world: World) -> None:
    def check(case: Case) -> object:
        [request] = case.seen
        keys = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
        return world.proxy.token.encode() in request.head + request.body or not any(map(request.header, keys))

    none_of(world, check)


def test_headers_of_the_request_keep_order_and_case(world: World) -> None:
    def check(case: Case) -> object:
        [request] = case.seen
        own = [name for name in sent(case.recording).headers if name.lower() not in (*HOP_BY_HOP, "host")]
        arrived = [name for name, _ in request.fields if name.lower() in {n.lower() for n in own}]
        expected = [name for name in own if name in arrived]
        return arrived != expected and (arrived, own)

    none_of(world, check)


def test_exactly_one_row_for_each_call(world: World) -> None:
    none_of(world, lambda case: not case.row)
    rows = world.proxy.query("SELECT count(*) AS n, count(DISTINCT request_id) AS ids FROM requests")
    assert rows == [{"n": len(world.cases), "ids": len(world.cases)}]


def test_rows_say_what_passed(world: World) -> None:
    def check(case: Case) -> object:
        [request] = case.seen
        row = case.row
        facts = {
            "provider": provider(case.recording),
            "status": case.recording.status,
            "dialect": case.recording.dialect,
            "entry": "connect" if case.tunnel else "base_url",
            "project": "demo",
            "token": "laptop",
            "request_bytes": len(case.request),
            "response_bytes": len(case.body),
            "upstream_sha256": request.sha256,
        }
        different = {name: (row[name], value) for name, value in facts.items() if row[name] != value}
        return different or (row["request_sha256"] == row["upstream_sha256"]) == case.injected

    none_of(world, check)


def test_outcomes(world: World) -> None:
    def check(case: Case) -> object:
        status = case.recording.status
        allowed = {"ok", "provider_error"} if status == 200 else {"client_error"}
        row = case.row
        return (row["outcome"] not in allowed or (row["outcome"] == "ok") == bool(row["error_type"])) and (
            row["outcome"],
            row["error_type"],
            row["error_message"],
        )

    none_of(world, check)
    failed = [c for c in world.cases if c.row.get("outcome") == "provider_error"]
    assert all(b"error" in c.sent_back or c.coding for c in failed)


TOKENS = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")


def usage_of(row: dict[str, Any]) -> Usage:
    return Usage(**{name: row[f"{name}_tokens"] for name in TOKENS})


def test_usage_is_what_the_sdk_reports(world: World) -> None:
    compared = 0

    def check(case: Case) -> object:
        nonlocal compared
        expected = sdk_usage().get(case.recording.name)
        if expected is None or "chunks" in expected or case.recording.status != 200:
            return False
        compared += 1
        reported = as_sdk(case.recording, usage_of(case.row))
        return reported != [number or 0 for number in expected] and (reported, expected)

    none_of(world, check)
    assert compared > 1200


def test_cache_and_reasoning_parts_are_those_of_the_body(world: World) -> None:
    def check(case: Case) -> object:
        if case.recording.status != 200 or case.row["usage_source"] != "provider":
            return False
        expected = parts(case.recording)
        got = {part: case.row[part] or 0 for part in expected}
        return got != expected and (got, expected)

    none_of(world, check)
    assert sum(any(parts(case.recording).values()) for case in world.cases) > 400


def whole(recording: Recording) -> Reading:
    """What the tap alone reads of the whole body: counters that are no column, too (audio, searches)."""
    tap = Tap(recording.dialect, recording.surface, recording.content_type, headers=recording.headers)
    tap.feed(recording.body, 1.0)
    return tap.close()


def test_every_counter_of_the_answer_is_on_the_row(world: World) -> None:
    def check(case: Case) -> object:
        if case.recording.status != 200:
            return False
        usage = whole(case.recording).usage
        expected = {name: getattr(usage, name) for name in TOKENS}
        got = {name: case.row[f"{name}_tokens"] for name in TOKENS}
        return case.row["usage_source"] != "estimated" and got != expected and (got, expected)

    none_of(world, check)


COUNTERS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "reasoning": "output_reasoning_tokens",
    "audio_input": "input_audio_tokens",
    "audio_output": "output_audio_tokens",
    "audio_cache_read": "cache_audio_read_tokens",
    "image_input": "input_image_tokens",
    "image_output": "output_image_tokens",
    "image_cache_read": "cache_image_read_tokens",
    "web_searches": "web_searches",
}
PRICE_IDS = {name: found.price_provider for name, found in REGISTRY.providers.items()}


def library_price(case: Case, usage: Usage) -> int | None:
    """nano-USD as genai-prices computes them for this usage, model and moment; None: it has no price."""
    known = {theirs: getattr(usage, ours) for ours, theirs in COUNTERS.items()}
    tier = usage.service_tier
    context = {"service_tier": tier, **({"processing": "batch"} if tier == "batch" else {})} if tier else None
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(**{name: value for name, value in known.items() if value is not None}),
            case.row["model"] or case.row["model_requested"],
            provider_id=PRICE_IDS[case.row["provider"]],
            genai_request_timestamp=datetime.fromtimestamp(case.row["id"] / 1e6, UTC),
            price_context=context,
        )
    except (LookupError, ValueError):
        return None
    if not any(
        name.endswith("_mtok") for name, price in vars(found.model_price).items() if price is not None
    ):
        return None  # charged by the hour, page or character
    return int((found.total_price * 10**9).to_integral_value(ROUND_HALF_EVEN))


def test_cost_is_that_of_genai_prices(world: World) -> None:
    priced: Counter[str] = Counter()

    def check(case: Case) -> object:
        if case.recording.status != 200 or case.row["usage_source"] == "estimated":
            return False
        usage, row = whole(case.recording).usage, case.row
        expected = usage.cost_nanos if usage.cost_nanos is not None else library_price(case, usage)
        if not usage.known and usage.cost_nanos is None:
            expected = None
        priced[row["price_source"].split(" ")[0]] += 1
        return (row["cost_nanos"], row["priced"]) != (expected, int(expected is not None)) and (
            row["cost_nanos"],
            row["price_source"],
            expected,
        )

    none_of(world, check)
    assert priced["genai-prices"] > 1000
    assert priced["provider"] > 20


def test_streams_have_a_first_token(world: World) -> None:
    def check(case: Case) -> object:
        row = case.row
        said = whole(case.recording).text_parts and "event" in case.recording.content_type
        in_order = 0 < (row["ttfb_ms"] or 0) <= (row["ttft_ms"] or 0) <= row["duration_ms"]
        return said and not in_order

    none_of(world, check)


def test_the_two_hashes_of_unasked_usage_differ(world: World) -> None:
    unasked_cases = [case for case in world.cases if case.kind == "unasked"]
    injected = [case for case in unasked_cases if case.injected]
    assert len(injected) > 15
    hidden = [c for c in injected if b'"usage":' in c.sent_back and b'"usage":' not in c.body]
    assert len(hidden) > 15
    assert all(case.row["usage_source"] == "provider" for case in injected)


def test_the_home_holds_nothing_but_rows(world: World) -> None:
    """The journal is empty once everything is written."""
    journal: Path = world.proxy.home / "journal"
    lines = b"".join(path.read_bytes() for path in journal.glob("*.jsonl"))
    assert lines.count(b"\n") < 2 * len(world.cases)
