"""The exceptions of this package, and the refusals that a client can be answered with.

    InterceptError                 anything we raise on purpose
      ConfigError                  settings or arguments are wrong; the text says what to change
      NotFound                     a named thing (project, token, credential, provider) does not exist
      Conflict                     it exists already, or is in a state that forbids the change
      StoreError                   a database cannot be opened, migrated or written
        Damaged                    it is no database, or not a whole one
      Forbidden                    whoever asks has no right to it

A `Refusal` is a value, not an exception: gates return it, dialects give it the shape of a
provider's own error (`wire/dialects/*.refusal`), and the row records its `code`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llm_intercept.secrecy import said

if TYPE_CHECKING:
    from llm_intercept.exchange import Principal


class InterceptError(Exception):
    """Base of everything raised on purpose; `str(error)` is a sentence for a person.

    It often repeats what somebody typed, who may have typed a key where a name belongs.
    """

    def __init__(self, sentence: str = "") -> None:
        super().__init__(said(sentence))


class ConfigError(InterceptError):
    """Settings or arguments are wrong."""


class NotFound(InterceptError):
    """A named thing does not exist."""


class Conflict(InterceptError):
    """It exists already, or its state forbids the change."""


class StoreError(InterceptError):
    """A database cannot be opened, migrated or written."""


class Damaged(StoreError):
    """It is no database, or not a whole one."""


class Forbidden(InterceptError):
    """Whoever asks has no right to it."""


type RefusalKind = Literal[
    "invalid_request",  # 400
    "authentication",  # 401
    "budget",  # 402-like, worded by the dialect
    "permission",  # 403
    "not_found",  # 404
    "timeout",  # 408 / 504
    "too_large",  # 413
    "upgrade_required",  # 426, the client falls back from WebSocket to HTTP
    "rate_limit",  # 429
    "internal",  # 500
    "upstream",  # 502
    "unavailable",  # 503
]

UPSTREAM_CUT = "upstream_disconnected"
"""The code of a refusal whose upstream was reached but ended the connection without an answer."""

STATUS_OF: dict[RefusalKind, int] = {
    "invalid_request": 400,
    "authentication": 401,
    "budget": 429,
    "permission": 403,
    "not_found": 404,
    "timeout": 504,
    "too_large": 413,
    "upgrade_required": 426,
    "rate_limit": 429,
    "internal": 500,
    "upstream": 502,
    "unavailable": 503,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is not served: `kind` selects status and error type, `code` is for machines and stable.

    `exactly` is the status of a simulated failure, for which the kind only has the words.
    """

    kind: RefusalKind
    code: str
    message: str
    retry_after: float | None = None
    exactly: int | None = None
    headers: tuple[tuple[str, str], ...] = ()  # of the answer: what limits have left
    about: "Principal | None" = None  # whose token it is, for the audit log; no client is told

    @property
    def status(self) -> int:
        return self.exactly or STATUS_OF[self.kind]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP answer made by us: header names and values as sent, body not content-encoded."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
