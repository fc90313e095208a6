import gzip
from pathlib import Path

import pytest

from llm_intercept.cassette.format import (
    VERSION,
    Answer,
    Chunk,
    Header,
    Recorded,
    Request,
    create,
    line,
    read,
)
from llm_intercept.errors import ConfigError, Conflict, NotFound

REQUEST = Request(method="POST", host="api.openai.com", path="/v1/x", headers=(("A", "b"),), body=b"\xff\x00")
ANSWER = Answer(
    status=200, chunks=(Chunk(at=0.5, data="ä\n".encode()), Chunk(at=1, data=b"\xc3")), sized=True
)


def written(path: Path, *calls: Recorded, version: int = VERSION) -> Path:
    with create(path) as file:
        file.write(line(Header(cassette=version)))
        for call in calls:
            file.write(line(call))
    return path


@pytest.mark.parametrize("name", ["a.cassette", "a.cassette.gz"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    second = Recorded(number=2, at=1.5, provider="openai", request=REQUEST, answer=ANSWER)
    first = Recorded(number=1, at=1.0, provider="openai", request=REQUEST, inference=False, note="no")
    path = written(tmp_path / name, second, first)
    assert read(path).calls == (first, second)
    assert path.read_bytes().startswith(b"\x1f\x8b") == name.endswith("gz")
    assert path.stat().st_mode & 0o777 == 0o600


def test_text_stays_readable(tmp_path: Path) -> None:
    call = Recorded(number=1, at=0, provider="openai", request=REQUEST, answer=ANSWER)
    text = written(tmp_path / "a", call).read_text()
    assert '"data":"ä\\n"' in text
    assert '"body":{"base64":"/wA="}' in text


def test_a_file_is_not_replaced_unasked(tmp_path: Path) -> None:
    path = written(tmp_path / "a")
    with pytest.raises(Conflict, match="--force"):
        create(path)
    with create(path, replace=True) as file:
        file.write(b"")
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "line 1, is not a line of a cassette"),
        (b'{"model": "gpt"}\n', "line 1, is not a line of a cassette"),
        (b'{"cassette": 9}\n', "version 9; this program reads 1"),
        (b'{"cassette": 1}\n\n{"number": 1\n', "line 3, is not a line"),
        (
            b'{"cassette": 1}\n{"number": 1, "at": 0, "provider": "x", "request": 5}\n',
            "line 2, is not a line",
        ),
        (gzip.compress(b'{"cassette": 1}', mtime=0)[:-4], "cannot be read"),
    ],
)
def test_what_is_no_cassette(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as error:
        read(path)
    assert said in str(error.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="llm-intercept record"):
        read(tmp_path / "none")
