"""The rows of `usage.db`: one `RequestRow` for each exchange, one `AttemptRow` for each upstream try,
one `ViolationRow` for whatever was wrong with a checked stream.

Field names are the column names. Times are milliseconds unless a name says otherwise, `id` is
epoch microseconds, money is integer nano-USD, texts are "" where nothing is known (never NULL:
they are keys of the rollups), numbers are None where nothing is known.
"""

from dataclasses import dataclass, field
from typing import Literal

type Outcome = Literal[
    "ok",  # the provider answered 2xx and the answer was complete
    "client_error",  # the provider answered 4xx
    "provider_error",  # the provider answered 5xx, or an error inside a 200 stream
    "refused",  # we refused it (authentication, no credential, too large, ...)
    "connect_failed",  # the provider could not be reached
    "timeout",  # the provider did not answer in time
    "client_gone",  # the client hung up before the answer was complete
    "upstream_cut",  # the provider's connection ended before the answer was complete
    "internal_error",  # a fault of ours; the upstream saw nothing
    "interrupted",  # the proxy was killed while the call was under way
]

# Outcomes that count as an error in rollups, metrics and pages.
ERROR_OUTCOMES = frozenset(
    (
        "client_error",
        "provider_error",
        "refused",
        "connect_failed",
        "timeout",
        "upstream_cut",
        "internal_error",
        "interrupted",
    )
)

# What the cache was asked for: hits are a share of these. `bypass` is the client's wish not to ask.
CACHE_ASKED = frozenset(("hit", "miss", "stored"))


@dataclass(slots=True)
class AttemptRow:
    """One upstream try. `request_id` is the integer `requests.id` it belongs to."""

    request_id: int
    number: int
    provider: str
    host: str
    credential: str
    model: str = ""
    reason: str = ""  # why this target at this moment
    status: int | None = None
    outcome: str = ""
    error_message: str = ""
    started_us: int = 0  # epoch microseconds
    connect_ms: float | None = None
    ttfb_ms: float | None = None
    duration_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nanos: int | None = None


@dataclass(slots=True)
class ViolationRow:
    """One way in which a stream was not as its dialect is documented; each sentence once."""

    request_id: int
    side: str  # "provider" | "ours"
    dialect: str
    event: int  # its number from 1; 0: shown by the end
    sentence: str


@dataclass(slots=True)
class RequestRow:
    """One exchange with a provider, however it ended."""

    id: int
    request_id: str  # UUIDv7, the x-llm-intercept-request-id header
    project: str = "default"
    token: str = ""  # the token's name; "own:<fingerprint>" for a client's own key; "" for none
    user: str = ""
    session_id: str = ""
    client: str = ""  # product/version of the User-Agent
    client_ip: str = ""
    entry: str = ""  # "connect" | "absolute" | "base_url" | "reverse" | "captured"
    provider: str = ""
    host: str = ""  # where it went
    method: str = ""
    path: str = ""  # without query
    dialect: str = ""
    operation: str = ""
    model_requested: str = ""
    model: str = ""  # as the provider named it in the answer, else as requested
    stream: int = 0
    status: int | None = None  # what the client got
    outcome: str = ""
    error_type: str = ""
    error_message: str = ""
    finish_reason: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: str = ""  # "provider" | "estimated" | "cache" (nothing was used) | ""
    cost_nanos: int | None = None
    priced: int = 0
    price_source: str = ""  # "provider" | "settings" | "genai-prices <model id>" | ""
    duration_ms: float | None = None
    ttfb_ms: float | None = None
    ttft_ms: float | None = None
    tokens_per_second: float | None = None
    overhead_ms: float | None = None  # our own share of duration_ms
    request_bytes: int = 0
    response_bytes: int = 0
    request_sha256: str = ""
    upstream_sha256: str = ""
    changes: str = ""  # JSON array of what had to change on the way up; "" for nothing
    warnings: str = ""  # JSON array
    attempts: int = 0
    credential: str = ""  # name of the stored credential; "client" for the client's own key
    response_id: str = ""
    phases: str = ""  # JSON object: phase name -> microseconds since received
    simulated: int = 0
    listener: str = ""  # the named listener it came by
    route: str = ""  # the route that chose its targets
    failure: str = ""  # what was simulated: "error_injection", "timeout", ...
    cache: str = ""  # "hit" | "stored" | "miss" | "bypass" (the client's wish); "" where it is not asked
    saved_tokens: int | None = None  # what the provider would have counted, had it been asked
    saved_nanos: int | None = None
    tries: list[AttemptRow] = field(default_factory=list)
    violations: list[ViolationRow] = field(default_factory=list)
