"""The state of one call, from its first header to its row. Exactly one `Exchange` belongs to one flow."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import SecretStr

from llm_intercept.errors import Refusal
from llm_intercept.store.rows import AttemptRow

if TYPE_CHECKING:
    from llm_intercept.providers.base import Endpoint, Provider
    from llm_intercept.wire.pipe import Pipe
    from llm_intercept.wire.tap import Tap


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling. `token` is the token's name, `own:<fingerprint>` for a client's own key, or ""."""

    project: str
    token: str
    user: str = ""
    token_id: str = ""
    capture: str | None = None  # the project's own capture mode
    own_key: bool = False  # the client's own credential stays in place


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes and with what: decided once a call is admitted."""

    scheme: str
    host: str
    port: int
    prefix: str  # path of the base URL, without a trailing slash
    credential: str  # name of the stored credential, "client" for the client's own, "" for none
    secret: SecretStr | None


@dataclass(slots=True)
class Phases:
    """`time.perf_counter()` at each step; 0.0 where it was not reached. Measured, never computed."""

    received: float = 0.0
    authenticated: float = 0.0
    admitted: float = 0.0
    sent: float = 0.0
    first_byte: float = 0.0
    first_token: float = 0.0
    last_byte: float = 0.0
    recorded: float = 0.0

    def offsets(self) -> dict[str, int]:
        """Microseconds since `received`, for the phases that were reached."""
        return {
            name: round((getattr(self, name) - self.received) * 1e6)
            for name in self.__slots__
            if getattr(self, name)
        }


@dataclass(slots=True)
class Exchange:
    """Everything known of one call with a provider."""

    id: int  # epoch microseconds: requests.id
    request_id: str  # UUIDv7
    entry: str  # "connect" | "absolute" | "base_url"
    provider: "Provider"
    endpoint: "Endpoint"
    method: str
    path: str  # as the provider will see it, with query
    client_ip: str
    client: str = ""
    session_id: str = ""
    dialect: str = ""
    operation: str = ""
    model: str = ""
    stream: bool = False
    websocket: bool = False
    upload: bool = False  # the request body streams through unseen
    recorded: bool = True  # False: a path that is not inference
    principal: Principal | None = None
    refusal: Refusal | None = None
    target: Target | None = None
    phases: Phases = field(default_factory=Phases)
    changes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tries: list[AttemptRow] = field(default_factory=list)
    request_bytes: int = 0
    response_bytes: int = 0
    request_sha256: str = ""
    upstream_sha256: str = ""
    request_body: bytes = b""  # kept for estimates and capture until the row is written
    response_body: bytes = b""  # the same, capped
    request_type: str = ""  # content-type
    response_type: str = ""
    status: int | None = None
    tap: "Tap | None" = None
    pipe: "Pipe | None" = None
    finished: bool = False

    @property
    def now(self) -> float:
        """The clock of `phases`."""
        return time.perf_counter()
