from datetime import UTC, datetime

import pytest

from llm_intercept.policy.limit_texts import (
    Standing,
    duration,
    headers,
    money,
    quantity,
    refusal,
    sentence,
    state,
)
from llm_intercept.policy.limits import Applied, Limit, StoredLimit

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
MIDNIGHT = int(datetime(2026, 11, 20, 23, tzinfo=UTC).timestamp())


def standing(
    member: str = "", *, taken: int = 0, need: int = 1, resets: int | None = None, **given: object
) -> Standing:
    fields = {"scope": "project", "name": "demo", "measure": "requests", "amount": 10, **given}
    return Standing(Applied(StoredLimit("lim_1", Limit.model_validate(fields)), member), taken, need, resets)


BUDGET = {"measure": "cost", "amount": 5_000_000_000, "per": "day", "timezone": "Europe/Berlin"}


def test_a_budget_says_everything() -> None:
    refused = refusal(standing(taken=4_980_000_000, need=50_000_000, resets=MIDNIGHT, **BUDGET), NOW)
    assert refused.message == (
        "Project demo may spend $5.00 a day (limit lim_1); $4.98 are used or reserved; this call may take up "
        "to $0.05; resets at 2026-11-21 00:00 Europe/Berlin."
    )
    assert (refused.kind, refused.code, refused.status) == ("budget", "budget_exceeded", 429)
    assert refused.retry_after == 11 * 3600


def test_a_rate_says_when_there_is_room() -> None:
    given = {"scope": "token", "name": "", "amount": 60, "per": "minute"}
    refused = refusal(standing("demo/laptop", taken=60, resets=int(NOW) + 12, **given), NOW)
    assert refused.message == (
        "Token demo/laptop may make 60 requests a minute (limit lim_1); 60 are used or reserved; there is "
        "room again in 12 s."
    )
    assert (refused.kind, refused.code, refused.retry_after) == ("rate_limit", "rate_limit_exceeded", 12)
    assert refused.headers == ()


def test_concurrency_is_worth_trying_again() -> None:
    refused = refusal(standing(taken=4, measure="concurrency", amount=4), NOW)
    assert "may have 4 calls at once (limit lim_1); 4 are under way; try again when one" in refused.message
    assert refused.retry_after == 1.0


def test_what_never_fits_is_not_worth_trying_again() -> None:
    refused = refusal(standing(need=9_000_000_000, resets=None, **BUDGET), NOW)
    assert "that never fits" in refused.message
    assert refused.retry_after is None
    assert refused.headers == (("x-should-retry", "false"),)


def test_a_total_that_is_gone_is_gone() -> None:
    refused = refusal(standing(taken=10), NOW)
    assert refused.message == (
        "Project demo may make 10 requests in total (limit lim_1); 10 are used or reserved; that does not "
        "reset."
    )
    assert refused.retry_after is None


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"scope": "global", "name": ""}, "everybody together may make 10 requests in total"),
        ({"scope": "token", "name": ""}, "each token may make 10 requests in total"),
        ({"scope": "client_ip", "name": "10.0.0.0/8"}, "client IP 10.0.0.0/8 may make 10 requests in total"),
        ({"measure": "tokens", "per": "month", "amount": 1}, "project demo may use 1 token a month"),
        ({"measure": "concurrency", "amount": 1}, "project demo may have 1 call at once"),
    ],
)
def test_sentences(given: dict[str, object], text: str) -> None:
    found = standing(**given)  # type: ignore[arg-type]
    assert sentence(found.applied.limit) == text


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (5_000_000_000, "$5.00"),
        (5_135_000_000, "$5.1350"),
        (1_234, "$0.000001"),
        (0, "$0.00"),
        (123_456_789_012, "$123.46"),
        (1_500_000_000_000, "$1,500.00"),
    ],
)
def test_money(nanos: int, text: str) -> None:
    assert money(nanos) == text


def test_small_words() -> None:
    assert quantity("tokens", 100_000) == "100,000 tokens"
    assert quantity("requests", 1) == "1 request"
    assert state(standing(taken=1)) == "1 is used or reserved"
    assert [duration(s) for s in (0, 59, 360, 7205)] == ["0s", "59s", "6m0s", "2h0m5s"]


def test_the_tightest_of_each_kind_is_shown() -> None:
    wide = standing(taken=1, resets=int(NOW) + 30, amount=100, per="minute")
    tight = standing(taken=58, resets=int(NOW) + 90, amount=60, per="hour")
    tokens = standing(taken=400, resets=int(NOW) + 7, measure="tokens", amount=1000, per="minute")
    assert dict(headers("openai_chat", [wide, tight, tokens], NOW)) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-reset-requests": "1m30s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "600",
        "x-ratelimit-reset-tokens": "7s",
    }
    assert dict(headers("anthropic", [tight], NOW)) == {
        "anthropic-ratelimit-requests-limit": "60",
        "anthropic-ratelimit-requests-remaining": "2",
        "anthropic-ratelimit-requests-reset": "2026-11-20T12:01:30Z",
    }


def test_what_has_no_such_header_has_none() -> None:
    soft = standing(soft=True)
    money_ = standing(**BUDGET)
    assert headers("openai_chat", [soft, money_], NOW) == ()
    assert dict(headers("openai_chat", [standing()], NOW)).keys() == {
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
    }
