"""Listening to a stream on its way to the client, without changing it."""

from collections.abc import Callable, Iterable
from typing import Any

from llm_intercept.cassette.recorder import Draft


class Heard:
    """A stream's callable, with an ear on what it gives; the rest of it is the inner one's."""

    def __init__(self, inner: Any, draft: Draft, clock: Callable[[], float]) -> None:
        self._inner = inner
        self._draft = draft
        self._clock = clock
        self.ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, chunk: bytes) -> Iterable[bytes]:
        if self._inner is True:
            return self._hear([chunk] if chunk else [])
        given = self._inner(chunk)
        return self._hear([given] if isinstance(given, bytes) else list(given))

    def abort(self, message: str, late: bool = False) -> list[bytes] | None:
        inner = getattr(self._inner, "abort", None)
        rest: list[bytes] | None = inner(message, late) if inner is not None else None
        self.ended = rest is not None
        return None if rest is None else self._hear(rest)

    def _hear(self, given: list[bytes]) -> list[bytes]:
        for piece in given:
            self._draft.add(self._clock(), piece)
        return given
