"""The state of one call, from its first header to its row. Exactly one `Exchange` belongs to one flow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import SecretStr

from llm_intercept.errors import Refusal
from llm_intercept.store.rows import AttemptRow

if TYPE_CHECKING:
    from llm_intercept.admit import Held
    from llm_intercept.course import Course, Timeouts
    from llm_intercept.policy.allow import Allowance
    from llm_intercept.policy.cachecontrol import Wish
    from llm_intercept.policy.failures import Decision
    from llm_intercept.providers.base import Endpoint, Provider
    from llm_intercept.providers.presented import Presented
    from llm_intercept.store.cache import Stored
    from llm_intercept.wire.embeddings.translation import EmbeddingTranslation
    from llm_intercept.wire.pipe import Pipe, TranslatingPipe
    from llm_intercept.wire.tap import Reading, Tap
    from llm_intercept.wire.translation import Translation


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling. `token` is the token's name, `own:<fingerprint>` for a client's own key, or ""."""

    project: str
    token: str
    user: str = ""
    token_id: str = ""
    capture: str | None = None  # the project's own capture mode
    own_key: bool = False  # the client's own credential stays in place
    allow: "Allowance | None" = field(default=None, repr=False)  # None: everything is
    max_requests: int | None = None  # of the token, in total
    hangup: str = "cut"  # what happens when a client of this project goes away: cut | drain
    cache: str | None = None  # the project's own cache mode


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


@dataclass(slots=True, weakref_slot=True)
class Exchange:
    """Everything known of one call with a provider."""

    id: int  # epoch microseconds: requests.id
    request_id: str  # UUIDv7
    entry: str  # "connect" | "absolute" | "base_url"
    provider: "Provider"
    endpoint: "Endpoint"
    method: str
    host: str  # as the client named it
    path: str  # as the provider will see it, with query
    client_ip: str
    listener: str = ""  # the named listener it came by
    route: str = ""  # the route that chose its targets
    failure: str = ""  # what was simulated
    fate: "Decision | None" = None  # what is to be simulated
    client: str = ""
    session_id: str = ""
    dialect: str = ""
    operation: str = ""
    model: str = ""
    stream: bool = False
    websocket: bool = False
    upload: bool = False  # the request body streams through unseen
    explicit: bool = True  # the provider was named by host or prefix, not guessed from the path's shape
    recorded: bool = True  # False: a path that is not inference
    principal: Principal | None = None
    timeouts: "Timeouts | None" = None  # where they are not those of settings
    course: "Course | None" = None  # its tries, and what they start from
    presented: "tuple[Presented, ...]" = ()  # project tokens of ours that must not travel on
    foreign: "tuple[Presented, ...]" = ()  # the client's own credentials: only for the provider it called
    aws_secret: SecretStr | None = (
        None  # a project's AWS key pair signed this call: verify with the body at hand
    )
    refusal: Refusal | None = None
    target: Target | None = None
    minted: SecretStr | None = None  # made out of the target's secret, and sent in its place
    held: "Held | None" = None  # what is reserved for it on limits
    rerouted: bool = False  # another provider, model or dialect than the client addressed
    moved: bool = False  # to another provider: the client's own key must not go there
    client_path: str = ""  # what the client asked for, where `path` was written anew
    upstream_model: str = ""  # where it differs from `model`
    splices: dict[str, object] = field(default_factory=dict)  # top-level values to set in the body
    upstream_body: bytes | None = None  # written anew in the provider's dialect
    extra_headers: dict[str, str] = field(default_factory=dict)
    translation: "Translation | EmbeddingTranslation | None" = None
    counted_here: bool = False  # a question for a token count that no provider can answer in this shape
    asks_usage: bool = False  # the client itself asked for usage in the stream
    resent: bytes | None = None  # in place of the client's body, without content-encoding
    changed_body: bool = False
    hide_usage: bool = False  # we asked for the usage chunk, so the client must not see it
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
    request_encoding: str = ""  # content-encoding
    request_headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # lower-case names
    response_headers: dict[str, str] = field(default_factory=dict)  # lower-case names
    response_type: str = ""
    response_encoding: str = ""
    reading: "Reading | None" = None  # already read, for WebSocket responses
    status: int | None = None
    ended_by: str = ""  # "client" | "upstream": who ended the exchange early
    error_message: str = ""
    tap: "Tap | None" = None
    pipe: "Pipe | TranslatingPipe | None" = None
    busy: float = 0.0  # seconds spent in our own code
    responses: int = 0  # inside a WebSocket
    waiting_since: float = 0.0  # perf_counter when the request had been sent whole; 0.0 before
    timed_out: bool = False
    stopped: str = ""  # the limit at which its answer was ended
    cache: str = ""  # "hit" | "stored" | "miss" | "bypass"; "" where the cache is not asked
    cache_wish: "Wish | None" = None
    fingerprint: bytes = b""  # of what is asked of the target; b"" where its answer is not to be kept
    said: bytes = b""  # the provider's whole answer, where it is translated and may be kept
    recalled: "Stored | None" = None  # the stored answer that this call was given
    finished: bool = False

    @property
    def answer_dialect(self) -> str:
        """The dialect that the provider answers in."""
        return self.translation.upstream_dialect if self.translation else self.dialect

    @property
    def kept(self) -> int:
        """Bytes of a streamed answer that are retained for capture."""
        return len(self.tap.kept) if self.tap else 0
