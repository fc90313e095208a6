import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.policy import cooling
from llm_intercept.policy.cooling import Headroom, Room, cooldown, exhausted_until, headroom

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z

OPENAI = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "6s",
    "x-ratelimit-limit-tokens": "30000",
    "x-ratelimit-remaining-tokens": "29987",
    "x-ratelimit-reset-tokens": "26ms",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "4000",
    "anthropic-ratelimit-requests-remaining": "3999",
    "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:21Z",
    "anthropic-ratelimit-tokens-limit": "480000",
    "anthropic-ratelimit-tokens-remaining": "478000",
    "anthropic-ratelimit-tokens-reset": "2023-11-14T22:13:20Z",
    "anthropic-ratelimit-input-tokens-limit": "400000",
    "anthropic-ratelimit-input-tokens-remaining": "0",
    "anthropic-ratelimit-input-tokens-reset": "2023-11-14T22:13:50Z",
    "anthropic-ratelimit-output-tokens-limit": "80000",
    "anthropic-ratelimit-output-tokens-remaining": "79000",
    "anthropic-ratelimit-output-tokens-reset": "2023-11-14T22:13:20Z",
}
AZURE = {
    "x-ratelimit-limit-requests": "120",
    "x-ratelimit-remaining-requests": "119",
    "x-ratelimit-reset-requests": "500",
    "x-ratelimit-renewalperiod-requests": "60",
    "x-ratelimit-limit-tokens": "1000000",
    "x-ratelimit-remaining-tokens": "999000",
    "x-ratelimit-reset-tokens": "7",
    "x-ratelimit-renewalperiod-tokens": "60",
}

ROOMS = [
    (
        OPENAI,
        Headroom(Room(500, 0, NOW + 6), Room(30_000, 29_987, NOW + 0.026)),
    ),
    (
        ANTHROPIC,
        Headroom(
            Room(4000, 3999, NOW + 1),
            Room(480_000, 478_000, NOW),
            Room(400_000, 0, NOW + 30),
            Room(80_000, 79_000, NOW),
        ),
    ),
    (AZURE, Headroom(Room(120, 119, NOW + 60), Room(1_000_000, 999_000, NOW + 7))),
    (
        {"x-ratelimit-limit": "10", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "1700000060000"},
        Headroom(Room(10, 1, NOW + 60)),
    ),
    (
        {"ratelimit-limit": "10", "ratelimit-remaining": "1", "ratelimit-reset": "2"},
        Headroom(Room(10, 1, NOW + 2)),
    ),
    (
        {"x-ratelimit-limit-req-minute": "120", "x-ratelimit-remaining-req-minute": "118"},
        Headroom(Room(120, 118)),
    ),
    ({"x-ratelimit-remaining-requests": "5"}, Headroom(Room(None, 5))),
    ({"x-ratelimit-remaining-requests": "-3"}, Headroom(Room(None, 0))),
    ({"x-ratelimit-limit-requests": "5"}, None),
    ({"x-ratelimit-remaining-requests": "many"}, None),
    ({"content-type": "application/json"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("headers", "expected"), ROOMS)
def test_headroom(headers: dict[str, str], expected: Headroom | None) -> None:
    found = headroom(headers, NOW)
    assert found == expected
    assert cooling.of_json(cooling.as_json(found)) == expected
    assert any(name in headers for name in cooling.SIGNS) or found is None


@pytest.mark.parametrize(
    ("found", "until"),
    [
        (Headroom(Room(5, 0, NOW + 6), Room(5, 0, NOW + 9)), NOW + 9),
        (Headroom(Room(5, 1, NOW + 6)), 0.0),
        (Headroom(Room(5, 0, None)), 0.0),
        (Headroom(Room(5, 0, NOW - 1)), 0.0),
        (Headroom(Room(5, 0, NOW + 86_400)), NOW + cooling.EXHAUSTED_FOR_LONGEST),
        (Headroom(), 0.0),
    ],
)
def test_a_limit_that_is_used_up(found: Headroom, until: float) -> None:
    assert exhausted_until(found, NOW) == until


RETRY_INFO = (
    b'{"error": {"code": 429, "details": [{"@type": "type.googleapis.com/google.rpc.QuotaFailure"},'
    b' {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "33s"}]}}'
)
COOLDOWNS = [
    (429, {"retry-after": "31"}, b"", 31.0),
    (429, {"retry-after-ms": "250"}, b"", 0.25),
    (429, {"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}, b"", 60.0),
    (429, {"retry-after": "86400"}, b"", cooling.LONGEST),
    (429, {"retry-after": "3", **OPENAI}, b"", 3.0),
    (429, OPENAI, b"", 6.0),
    (429, ANTHROPIC, b"", 30.0),
    (429, {**OPENAI, "x-ratelimit-remaining-requests": "3"}, b"", 1.0),
    (429, {"x-ratelimit-reset-requests": "1s"}, b"", 1.0),
    (429, {"x-ratelimit-reset-tokens": "6m0s"}, b"", 360.0),
    (429, {}, RETRY_INFO, 33.0),
    (429, {}, b"[" + RETRY_INFO + b"]", 33.0),
    (429, {"retry-after": "2"}, RETRY_INFO, 2.0),
    (429, {}, b'{"error": {"details": [{"retryDelay": 5}]}}', cooling.LIMITED_FOR),
    (429, {}, b"retryDelay", cooling.LIMITED_FOR),
    (429, {}, b"", cooling.LIMITED_FOR),
    (401, {"retry-after": "1"}, b"", cooling.REFUSED_FOR),
    (403, {}, b"", cooling.REFUSED_FOR),
    (200, {"retry-after": "31"}, b"", 0.0),
    (503, {"retry-after": "31"}, b"", 0.0),
]


@pytest.mark.parametrize(("status", "headers", "body", "seconds"), COOLDOWNS)
def test_cooldown(status: int, headers: dict[str, str], body: bytes, seconds: float) -> None:
    assert cooldown(status, headers, NOW, body=body) == pytest.approx(seconds)


def test_what_the_caller_has_read_already() -> None:
    assert cooldown(429, {}, NOW, asked=7.0) == 7.0
    assert cooldown(429, {"retry-after": "2"}, NOW, asked=7.0) == 2.0


def test_it_grows_when_nothing_is_said() -> None:
    waits = [cooldown(429, {}, NOW, repeated=n) for n in (0, 1, 2, 5, 6, 1000)]
    assert waits == [15.0, 30.0, 60.0, 480.0, 600.0, 600.0]


VALUES = st.one_of(st.text(max_size=12), st.from_regex(r"-?\d{1,20}(\.\d+)?(ms|s|m|h|d)?", fullmatch=True))


@given(
    headers=st.dictionaries(
        st.sampled_from([*OPENAI, *ANTHROPIC, *AZURE, "retry-after", "retry-after-ms", *cooling.SIGNS]),
        VALUES,
    ),
    body=st.binary(max_size=40) | st.just(RETRY_INFO),
    status=st.sampled_from([200, 401, 429]),
    repeated=st.integers(0, 10**9),
)
def test_anything_may_stand_there(headers: dict[str, str], body: bytes, status: int, repeated: int) -> None:
    assert 0.0 <= cooldown(status, headers, NOW, repeated=repeated, body=body) <= cooling.LONGEST
    found = headroom(headers, NOW)
    assert cooling.of_json(cooling.as_json(found)) == found


@given(st.text(max_size=60) | st.sampled_from(['{"requests": 3}', '{"tokens": {"limit": "x"}}', "[]"]))
def test_a_document_that_is_not_ours(document: str) -> None:
    found = cooling.of_json(document)
    assert found is None or found.rooms
