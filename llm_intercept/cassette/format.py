"""The file: one JSON object per line, the first about the file itself, every other one call.

    {"cassette": 1, "recorded": "2026-03-01T10:00:00Z", "by": "llm-intercept 1.0"}
    {"number": 1, "at": 0.031, "provider": "openai", "request": {"method": "POST", "path": "/v1/...

Text stays text, so that cassettes can be read and compared; what is none is base64 in an object. A name
that ends in `.gz` makes the whole file gzip.
"""

import base64
import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.functional_serializers import PlainSerializer
from pydantic.functional_validators import BeforeValidator

from llm_intercept.errors import ConfigError, Conflict, NotFound

VERSION = 1


def _decoded(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return base64.b64decode(value["base64"], validate=True)


def _encoded(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


type Content = Annotated[bytes, BeforeValidator(_decoded), PlainSerializer(_encoded)]
type Headers = tuple[tuple[str, str], ...]
type Ended = Literal["whole", "client", "upstream"]
"""Who left before the answer's end."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Request(_Value):
    """What the program sent, without its credentials. Of base URLs `host` is the provider's name."""

    method: str
    host: str
    path: str
    headers: Headers = ()
    body: Content = b""

    @property
    def title(self) -> str:
        return f"{self.method} {self.host}{self.path}"


class Chunk(_Value):
    """`at`: seconds since the request had come."""

    at: float
    data: Content


class Answer(_Value):
    """What the program was given, without content-encoding."""

    status: int
    headers: Headers = ()
    chunks: tuple[Chunk, ...] = ()
    sized: bool = False  # it came with a length, and not as a stream
    ended: Ended = "whole"


class Recorded(_Value):
    """One call. Without an answer it cannot be replayed, and `note` says why."""

    number: int
    at: float
    provider: str
    inference: bool = True  # False: telemetry, settings and the like
    request: Request
    answer: Answer | None = None
    note: str = ""


class Header(_Value):
    cassette: int
    recorded: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Cassette:
    header: Header
    calls: tuple[Recorded, ...]


def line(value: _Value) -> bytes:
    return orjson.dumps(value.model_dump(mode="json", exclude_defaults=True)) + b"\n"


def create(path: Path, *, replace: bool = False) -> IO[bytes]:
    """A new file that only its owner can read: it is full of prompts."""
    mode = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_EXCL)
    try:
        descriptor = os.open(path, mode, 0o600)
    except FileExistsError:
        raise Conflict(f"{path} exists already; choose another name, or replace it with --force") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    plain = os.fdopen(descriptor, "wb")
    return _Packed(plain) if path.suffix == ".gz" else plain  # type: ignore[return-value]


def read(path: Path) -> Cassette:
    """The calls of a file in the order of their beginnings; the error names the line."""
    try:
        data = path.read_bytes()
        lines = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).splitlines()
    except FileNotFoundError:
        raise NotFound(
            f"there is no cassette {path}; `llm-intercept record {path} -- CMD` makes one"
        ) from None
    except (OSError, EOFError) as error:
        raise ConfigError(f"the cassette {path} cannot be read: {error}") from None
    header = _parsed(Header, lines[0] if lines else b"", path, 1)
    if header.cassette != VERSION:
        raise ConfigError(f"{path} is a cassette of version {header.cassette}; this program reads {VERSION}")
    calls = [_parsed(Recorded, text, path, n) for n, text in enumerate(lines[1:], 2) if text.strip()]
    return Cassette(header, tuple(sorted(calls, key=lambda call: call.number)))


def _parsed[V: _Value](kind: type[V], text: bytes, path: Path, number: int) -> V:
    try:
        return kind.model_validate(orjson.loads(text))
    except (orjson.JSONDecodeError, ValidationError, KeyError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise ConfigError(f"{path}, line {number}, is not a line of a cassette: {said}") from None


class _Packed(gzip.GzipFile):
    """Closes the file beneath it too."""

    def __init__(self, plain: IO[bytes]) -> None:
        self._plain = plain
        super().__init__(fileobj=plain, mode="wb", mtime=0)

    def close(self) -> None:
        super().close()
        self._plain.close()
