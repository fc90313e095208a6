import pytest

from llm_intercept.wire import waits

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z

UNTIL = [
    ("6m0s", 360.0),
    ("1m40.5s", 100.5),
    ("120ms", 0.12),
    ("1h2m3s", 3723.0),
    ("1d", 86_400.0),
    ("33s", 33.0),
    (" 31 ", 31.0),
    ("0.5", 0.5),
    ("0", 0.0),
    ("1700000060", 60.0),
    ("1700000060000", 60.0),
    ("1600000000", 0.0),
    ("2023-11-14T22:14:20Z", 60.0),
    ("2023-11-14T23:14:20+01:00", 60.0),
    ("2023-11-14T22:14:20", 60.0),
    ("2020-01-01T00:00:00Z", 0.0),
    ("99999999999d", waits.LONGEST),
    ("9999-12-31T23:59:59Z", waits.LONGEST),
    ("0001-01-01T00:00:00+14:00", 0.0),
    ("soon", None),
    ("", None),
    ("-5", None),
    ("nan", None),
    ("inf", None),
    ("1e9", None),
    ("6m soon", None),
]


@pytest.mark.parametrize(("text", "expected"), UNTIL)
def test_until(text: str, expected: float | None) -> None:
    found = waits.until(text, NOW)
    assert found == (None if expected is None else pytest.approx(expected))


AFTER = [
    ({"retry-after": "3"}, 3.0),
    ({"retry-after": "3s"}, 3.0),
    ({"retry-after": "0.25"}, 0.25),
    ({"retry-after-ms": "1500"}, 1.5),
    ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
    ({"retry-after-ms": "?", "retry-after": "9"}, 9.0),
    ({"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}, 60.0),
    ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0.0),
    ({"retry-after": "Tue, 14 Foo 2023 22:00:00 GMT"}, None),
    ({"retry-after": "soon"}, None),
    ({"retry-after": ""}, None),
    ({}, None),
]


@pytest.mark.parametrize(("headers", "expected"), AFTER)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert waits.retry_after(headers, NOW) == expected


def test_without_a_clock_a_date_is_absent() -> None:
    assert waits.retry_after({"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}) is None
    assert waits.retry_after({"retry-after": "4"}) == 4.0
