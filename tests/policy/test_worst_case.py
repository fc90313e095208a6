from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.policy.pricing import Pricing
from llm_intercept.policy.worst_case import (
    SEARCHES,
    UNKNOWN_OUTPUT,
    Terms,
    Worst,
    assess,
    at_ceiling,
    is_metered,
)
from llm_intercept.policy.worst_media import BEST_IMAGE, GIVEN_IMAGE
from llm_intercept.settings import PriceOverride
from llm_intercept.wire.usage import Usage

NOW = datetime(2026, 11, 20, tzinfo=UTC)
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x" * 300}]}
FORM = b'--b1\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n--b1--\r\n'


def body(**more: object) -> bytes:
    return orjson.dumps({**CHAT, **more})


@pytest.mark.parametrize(
    ("dialect", "operation", "sent", "known", "output"),
    [
        ("openai_chat", "chat", body(max_tokens=100), 16_384, 100),
        ("openai_chat", "chat", body(max_completion_tokens=50, n=3), 16_384, 150),
        ("openai_chat", "chat", body(), 16_384, 16_384),
        ("openai_chat", "chat", body(), None, UNKNOWN_OUTPUT),
        ("anthropic", "messages", body(max_tokens=77), 64_000, 77),
        ("gemini", "generate", orjson.dumps({"generationConfig": {"maxOutputTokens": 9}}), None, 9),
        ("openai_embeddings", "embeddings", b'{"input": "words"}', None, 0),
        ("openai_chat", "chat", b"no json", 10, 10),
        ("openai_chat", "chat", body(max_tokens=900, max_completion_tokens=10), None, 900),
        ("openai_chat", "chat", body(max_tokens=0), None, 0),
        ("openai_completions", "completions", b'{"prompt": "a", "max_tokens": 9, "best_of": 20}', None, 180),
        ("openai_completions", "completions", b'{"prompt": ["a", "b"], "max_tokens": 9, "n": 2}', None, 36),
        ("openai_completions", "completions", b'{"prompt": [1, 2, 3], "max_tokens": 9}', None, 9),
        ("openai_images", "images", b'{"prompt": "a cat"}', None, BEST_IMAGE),
        ("openai_images", "images", b'{"prompt": "a cat", "quality": "low", "n": 4}', None, 2400),
        ("openai_images", "images", b'{"prompt": "a", "quality": "low", "partial_images": 2}', None, 900),
        ("openai_images", "images", FORM % (b"n", b"3"), None, 3 * BEST_IMAGE),
        ("openai_images", "images", FORM % (b"quality", b"medium"), None, 2400),
        ("openai_audio", "audio", b'{"input": "123456789"}', None, 20 * 6),
        ("openai_audio", "audio", FORM % (b"model", b"x" * 2500), None, 11),
    ],
)
def test_the_longest_answer(
    dialect: str, operation: str, sent: bytes, known: int | None, output: int
) -> None:
    assert assess(dialect, operation, sent, known)[0].output == output


def test_pictures_and_sounds_that_are_given_are_input() -> None:
    picture = b'Content-Disposition: form-data; name="image[]"; filename="a.png"\r\n\r\nxyz\r\n--b1\r\n'
    assert assess("openai_images", "images", b"--b1\r\n" + 2 * picture, None)[0].input >= 2 * GIVEN_IMAGE
    assert assess("openai_audio", "audio", FORM % (b"file", bytes(25_000)), None)[0].input >= 100


def test_the_input_is_estimated_generously() -> None:
    assert assess("openai_chat", "chat", body(), None)[0].input >= 100


@given(st.text(max_size=2000))
def test_any_text_has_an_estimate(text: str) -> None:
    sent = orjson.dumps({"messages": [{"role": "user", "content": text.encode("utf-8", "replace").decode()}]})
    assert assess("openai_chat", "chat", sent, None)[0].input * 3 >= len(text.encode("utf-8", "replace"))


@pytest.mark.parametrize(
    ("given_", "terms"),
    [
        (CHAT, Terms()),
        ({"system": [{"cache_control": {"type": "ephemeral"}}]}, Terms(caching=True)),
        ({"system": [{"cache_control": {"type": "ephemeral", "ttl": "1h"}}]}, Terms(True, True)),
        ({"modalities": ["audio"], "service_tier": "flex"}, Terms(audio=True, service_tier="flex")),
        ({"tools": [{"type": "web_search_20250305", "max_uses": 3}]}, Terms(searches=3)),
        ({"tools": [{"googleSearch": {}}]}, Terms(searches=SEARCHES)),
        ({"web_search_options": {}}, Terms(searches=SEARCHES)),
        ({"tools": [{"type": "function", "name": "web_search"}]}, Terms()),
    ],
)
def test_what_can_make_it_dearer(given_: dict[str, Any], terms: Terms) -> None:
    assert assess("openai_chat", "chat", orjson.dumps(given_), 1)[1] == terms


MODELS = [
    ("anthropic", "claude-sonnet-4-5"),
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-audio-preview"),
    ("google", "gemini-2.5-pro"),
    ("openai", "o3"),
]


@pytest.mark.parametrize(("provider", "model"), MODELS)
@given(st.integers(0, 400_000), st.integers(0, 64_000), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_no_call_costs_more_than_its_worst_case(
    provider: str, model: str, input_: int, output: int, read: float, written: float, an_hour: bool
) -> None:
    reads, writes = round(input_ * read), round(input_ * (1 - read) * written)
    usage = Usage(input_, output, reads, writes, writes if an_hour else 0, output // 2)
    pricing = _PRICING
    cost = pricing.price(provider, model, usage, NOW).cost_nanos
    worst = pricing.at_most(
        provider, model, Worst(input_, output), Terms(writes > 0, an_hour and writes > 0), NOW
    )
    assert cost is not None
    assert worst is not None
    assert cost <= worst


_PRICING = Pricing(())


def test_searches_cost_as_well() -> None:
    usage = Usage(100, 50, web_searches=3)
    cost = _PRICING.price("anthropic", "claude-sonnet-4-5", usage, NOW).cost_nanos
    assert cost == _PRICING.at_most("anthropic", "claude-sonnet-4-5", Worst(100, 50), Terms(searches=3), NOW)
    assert cost is not None
    assert cost > 3 * 10_000_000


def test_prices_that_cannot_apply_are_left_out() -> None:
    own = Pricing([PriceOverride(model="m", input=Decimal(1), output=Decimal(2), cache_write=Decimal(3))])
    worst = Worst(1_000_000, 1_000_000)
    assert own.at_most("x", "m", worst, Terms(), NOW) == 3_000_000_000
    assert own.at_most("x", "m", worst, Terms(caching=True), NOW) == 5_000_000_000
    assert own.at_most("x", "other", worst, Terms(), NOW) is None


def test_a_ceiling() -> None:
    assert at_ceiling(1_000_000, Decimal("2.5")) == 2_500_000_000
    assert at_ceiling(1, Decimal("0.0001")) == 1


@pytest.mark.parametrize(
    ("operation", "method", "websocket", "whether"),
    [
        ("chat", "POST", False, True),
        ("observe", "POST", False, True),
        ("batches", "GET", False, False),
        ("models", "GET", False, False),
        ("count_tokens", "POST", False, False),
        ("responses", "GET", True, True),
    ],
)
def test_what_limits_are_for(operation: str, method: str, websocket: bool, whether: bool) -> None:
    assert is_metered(operation, method, websocket=websocket) is whether
