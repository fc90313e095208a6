import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.rows import call, write


@pytest.fixture(autouse=True)
def calls(home: Path) -> None:
    write(home, *(call(n) for n in range(3)))


def test_csv(cli) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("export").stdout)))
    assert [row["request_id"] for row in rows] == ["id-0", "id-1", "id-2"]
    assert rows[0]["cost_usd"] == "0.000450000"


@pytest.mark.parametrize(
    ("kind", "read"),
    [("json", json.loads), ("ndjson", lambda text: [json.loads(line) for line in text.splitlines()])],
)
def test_json(cli, kind: str, read) -> None:
    assert [row["input_tokens"] for row in read(cli("export", "--format", kind).stdout)] == [100, 100, 100]


def test_to_a_file_with_restrictions(cli, tmp_path: Path) -> None:
    target = tmp_path / "usage.csv"
    result = cli("export", "-o", str(target), "--since", "2026-11-19", "--project", "demo")
    assert result.stdout == ""
    assert target.read_bytes().count(b"\r\n") == 3


def test_a_file_that_cannot_be_written(cli, tmp_path: Path) -> None:
    assert "cannot be written" in cli("export", "-o", str(tmp_path / "no" / "x.csv"), code=1).stderr
