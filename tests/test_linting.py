"""Which streams are checked, and what of a check ends on the row."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from llm_intercept.linting import Linting, Share, found
from llm_intercept.settings import LintSettings
from llm_intercept.wire.codec import Context
from llm_intercept.wire.tap import Tap
from llm_intercept.wire.translation import Side, Translation


@pytest.mark.parametrize(("share", "taken"), [(0.0, 0), (0.01, 10), (0.25, 250), (1.0, 1000)])
def test_a_share_is_exact(share: float, taken: int) -> None:
    one = Share(share)
    assert sum(one.takes() for _ in range(1000)) in (taken, taken - 1)


def test_each_so_many_eth() -> None:
    one = Share(0.25)
    assert [one.takes() for _ in range(8)] == [False, False, False, True] * 2


@dataclass
class Endpoint:
    operation: str = "chat"


@dataclass
class Call:
    """What linting reads of an exchange."""

    answer_dialect: str = "openai_chat"
    endpoint: Endpoint = field(default_factory=Endpoint)
    translation: Translation | None = None
    hide_usage: bool = False
    asks_usage: bool = False
    ended_by: str = ""
    stopped: str = ""
    tap: Tap | None = None
    id: int = 17


def call(**values: Any) -> Any:
    made = Call(**values)
    made.tap = Tap(made.answer_dialect, "chat", "text/event-stream")
    return made


ALL = LintSettings(sample=1.0, own=1.0)
BEGIN = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":7,"model":"m","choices":'
    b'[{"index":0,"delta":{"role":"assistant"},"finish_reason":"stop"}]}\n\n'
)


@pytest.mark.parametrize(
    ("settings", "operation", "checked"),
    [(ALL, "chat", True), (ALL, "complete", False), (LintSettings(sample=0.0, own=1.0), "chat", False)],
)
def test_what_providers_send(settings: LintSettings, operation: str, checked: bool) -> None:
    exchange = call(endpoint=Endpoint(operation))
    Linting(settings).attach(exchange, exchange.tap)
    assert (exchange.tap.lint is not None) is checked


@pytest.mark.parametrize("own", [0.0, 1.0])
@pytest.mark.parametrize("stream", [True, False])
def test_what_we_write(own: float, stream: bool) -> None:
    translation = Translation(Side("anthropic"), Side("openai_chat"), Context(), stream=stream)
    exchange = call(translation=translation)
    Linting(LintSettings(sample=0.0, own=own)).attach(exchange, exchange.tap)
    assert (translation.lint is not None) is (stream and own == 1.0)


@pytest.mark.parametrize(
    ("ended_by", "stopped", "expected"),
    [
        ("", "", ["the stream ended without [DONE]", "usage was asked for, but none came"]),
        ("client", "", []),
        ("", "project demo may use 400 tokens", []),
    ],
)
def test_nobody_is_blamed_for_a_stream_that_was_cut(ended_by: str, stopped: str, expected: list[str]) -> None:
    exchange = call(hide_usage=True, ended_by=ended_by, stopped=stopped)
    Linting(ALL).attach(exchange, exchange.tap)
    exchange.tap.feed(BEGIN, 1.0)
    exchange.tap.close()
    rows = found(exchange)
    assert [row.sentence for row in rows] == expected
    assert {(row.request_id, row.side, row.dialect, row.event) for row in rows} <= {
        (17, "provider", "openai_chat", 0)
    }


def test_an_exchange_without_an_answer() -> None:
    assert found(Call()) == []  # type: ignore[arg-type]
