"""Takes secrets out of captured bodies before they are stored. Pure."""

import re
from collections.abc import Iterable, Iterator

from llm_intercept.errors import ConfigError
from llm_intercept.secrecy import NAMED, REDACTED, SHAPES, keyed, shown_name

__all__ = ["REDACTED", "Redaction", "shown_name"]


class Redaction:
    """The built-in patterns and the operator's own (regular expressions over text)."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._own = tuple(_compiled(pattern) for pattern in patterns)

    def __call__(self, body: bytes) -> bytes:
        body = SHAPES.sub(REDACTED, body)
        for named in NAMED:
            body = named.sub(rb"\1" + REDACTED, body)
        for own in self._own:
            body = own.sub(REDACTED, body)
        return body

    def finds(self, text: bytes) -> bool:
        """Whether it would take anything out."""
        return keyed(text) or any(own.search(text) for own in self._own)

    def find(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Where it would take something out."""
        for pattern in (SHAPES, *NAMED, *self._own):
            for found in pattern.finditer(text):
                yield found.end(1) if pattern in NAMED else found.start(), found.end()


def _compiled(pattern: str) -> re.Pattern[bytes]:
    try:
        return re.compile(pattern.encode())
    except re.error as error:
        raise ConfigError(f"capture.redact: {pattern!r} is not a regular expression: {error}") from error
