import uuid

import pytest

from llm_intercept.identifiers import RowIds, new_request_id

NOW_US = 1_795_166_000_123_456


@pytest.mark.parametrize("random_bytes", [b"\x00" * 8, b"\xff" * 8, bytes(range(8))])
def test_request_ids_are_uuids_of_version_7(random_bytes: bytes) -> None:
    text = new_request_id(NOW_US, random_bytes)
    parsed = uuid.UUID(text)
    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == NOW_US // 1000


def test_they_sort_by_time_within_a_millisecond() -> None:
    ids = [new_request_id(NOW_US + n, b"\xff" * 8 if n % 2 else b"\x00" * 8) for n in range(0, 3000, 7)]
    assert ids == sorted(ids)


def test_randomness_tells_them_apart() -> None:
    assert new_request_id(NOW_US, b"\x00" * 8) != new_request_id(NOW_US, b"\x00" * 7 + b"\x01")


def test_row_ids_never_repeat_nor_go_back() -> None:
    ids = RowIds()
    assert [ids.next(now) for now in (5, 5, 5, 3, 100, 100)] == [5, 6, 7, 8, 100, 101]
