"""What a row comes to on limits; the rest of admission is tested live."""

from decimal import Decimal

import pytest

from llm_intercept.admit import actual, quota_of
from llm_intercept.engine.admission import NOTHING, UNKNOWN, Actual
from llm_intercept.exchange import Principal
from llm_intercept.policy.limit_texts import sentence
from llm_intercept.policy.worst_case import Worst
from llm_intercept.store.rows import RequestRow

WORST = Worst(100, 200, 5_000)
TOKENS = {"input_tokens": 10, "output_tokens": 4, "usage_source": "provider"}


def row(outcome: str = "ok", attempts: int = 1, **more: object) -> RequestRow:
    return RequestRow(1, "call", operation="chat", outcome=outcome, attempts=attempts, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (row(cost_nanos=77, **TOKENS), Actual(1, 14, 77)),
        (row("client_gone", cost_nanos=77, **TOKENS), Actual(1, 14, 77)),
        (row("client_error"), Actual(1)),
        (row("timeout"), Actual(1)),
        (row(), Actual(1, 300, 5_000)),
        (row("refused"), NOTHING),
        (row("refused", 0), NOTHING),
        (row("connect_failed"), NOTHING),
        (row("internal_error", 0), NOTHING),
        (row("internal_error", 1), Actual(1)),
        (row("interrupted", 0), UNKNOWN),
        (row("interrupted", 0, phases='{"received":0}'), NOTHING),
        (row("interrupted", phases='{"received":0,"sent":812}'), UNKNOWN),
        (row("interrupted", phases='{"received":0,"sent":812}', cost_nanos=77, **TOKENS), Actual(1, 14, 77)),
        (row("ok", 0), NOTHING),
        (row("ok", 0, phases='{"received":0,"sent":812}', cost_nanos=5, **TOKENS), Actual(1, 14, 5)),
    ],
)
def test_what_a_row_comes_to(given: RequestRow, expected: Actual) -> None:
    assert actual(given, WORST, None) == expected


def test_an_answer_without_figures_counts_as_what_was_held_for_it_if_the_worst_case_is_not_known() -> None:
    """As of a process that died between a call's row and its settlement."""
    assert actual(row(), None, None) == UNKNOWN
    assert [UNKNOWN.of(measure, 700) for measure in ("tokens", "cost", "concurrency")] == [700, 700, 0]
    assert (UNKNOWN.of("requests", 1), UNKNOWN.of("requests"), UNKNOWN.of("tokens")) == (1, 1, 0)
    assert Actual(1, 14, 77).of("tokens", 700) == 14


def test_what_has_no_price_costs_the_ceiling() -> None:
    assert actual(row(**TOKENS), WORST, Decimal(100)) == Actual(1, 14, 1_400_000)
    assert actual(row(**TOKENS), WORST, None) == Actual(1, 14, 0)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [(name, Actual(1, 300, 5_000)) for name in ("embeddings", "images", "audio")] + [("files", Actual(1))],
)
def test_what_is_charged_by_tokens_and_tells_none_counts_in_full(operation: str, expected: Actual) -> None:
    given = row()
    given.operation = operation
    assert actual(given, WORST, None) == expected


def test_a_token_for_so_many_calls_is_a_limit() -> None:
    quota = quota_of(Principal("demo", "laptop", token_id="tok_1", max_requests=10))
    assert quota is not None
    assert (sentence(quota.limit), quota.key) == ("token demo/laptop may make 10 requests in total", "tok_1:")
    assert quota_of(Principal("demo", "laptop", token_id="tok_1")) is None
    assert quota_of(Principal("demo", "own:1234", max_requests=10)) is None
