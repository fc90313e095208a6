"""The one settings model: what an operator writes down, in `config.toml` or as `LLM_INTERCEPT_...` variables.

What a command changes (projects, tokens, credentials) is rows in `control.db`, not settings.
Precedence: environment > config.toml > defaults. Nested names are joined by two underscores:
`LLM_INTERCEPT_CAPTURE__BODIES=errors`.
"""

import re
from decimal import Decimal
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from llm_intercept.errors import ConfigError
from llm_intercept.policy.tokens import Lifetimes, parse_duration
from llm_intercept.settings.cache import CacheSettings
from llm_intercept.settings.hidden import HiddenUrl, HiddenValues, VariableName
from llm_intercept.settings.login import OidcSettings, TrustedHeaderSettings, checked_networks
from llm_intercept.settings.retention import RetentionSettings

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DashboardSettings(Section):
    """The Datasette process."""

    host: str = Field("127.0.0.1", description="address the dashboard listens on")
    port: int = Field(8001, description="port of the dashboard", ge=1, le=65535)
    session_hours: int = Field(24 * 14, description="how long a login lasts", ge=1)
    api_rate: int = Field(
        600,
        description="requests a minute that the management API takes from one actor, and from one address; "
        "0: any number",
        ge=0,
    )
    url: str = Field(
        "",
        description="where people reach it, such as `https://llm.example.com`; empty: host and port",
        pattern=r"^(https?://[^\s?#]+)?$",
    )
    trusted_proxies: list[str] = Field(
        default_factory=list,
        description="addresses or networks of proxies whose X-Forwarded headers are believed",
    )
    oidc: OidcSettings | None = None
    trusted_header: TrustedHeaderSettings | None = None

    _networks = field_validator("trusted_proxies")(checked_networks)


class UsageSettings(Section):
    """How token usage is obtained."""

    inject: bool = Field(
        True,
        description="ask OpenAI-style streams for their usage, and hide the answer from clients that did not",
    )


class CaptureSettings(Section):
    """Storing bodies in bodies.db."""

    bodies: Literal["none", "errors", "all"] = Field(
        "none", description="which bodies to keep; a project can say otherwise"
    )
    max_bytes: int = Field(1_000_000, description="cap for each body, in bytes", ge=1024)
    retention_days: int = Field(30, description="captured bodies older than this are deleted", ge=1)
    redact: list[str] = Field(
        default_factory=list, description="regular expressions whose matches are replaced before storing"
    )


class LimitsSettings(Section):
    """Bounds that protect the proxy itself."""

    max_body_bytes: int = Field(
        64_000_000, description="largest request body that is read into memory; larger ones get 413", ge=1
    )
    stream_over_bytes: int = Field(
        8_000_000, description="bodies of files and audio over this size stream through unseen", ge=1
    )
    unpriced_ceiling: Decimal | None = Field(
        None,
        description="USD per million tokens for models without a price, where a limit on cost applies; "
        "unset: such calls are refused",
        ge=0,
    )
    drain_seconds: float = Field(
        120.0,
        description="how long an answer is read without its client, for projects with `--hangup drain`",
        ge=0,
    )
    drain_bytes: int = Field(8 * 1024 * 1024, description="the same in bytes", ge=0)


class TimeoutSettings(Section):
    """Seconds. Zero switches one off."""

    connect: float = Field(15.0, description="connecting to a provider", ge=0)
    first_byte: float = Field(600.0, description="from the request to the first byte of the answer", ge=0)
    idle: float = Field(600.0, description="silence between two pieces of an answer", ge=0)
    total: float = Field(0.0, description="a whole call, however much is still coming", ge=0)


class TimeoutOverrides(Section):
    """Seconds instead of those of `timeouts`, for one provider. Zero switches one off."""

    connect: float | None = Field(None, description="connecting", ge=0)
    first_byte: float | None = Field(
        None, description="from the request to the first byte of the answer", ge=0
    )
    idle: float | None = Field(None, description="silence between two pieces of an answer", ge=0)
    total: float | None = Field(None, description="a whole call", ge=0)


class RetrySettings(Section):
    """Trying again, and elsewhere: before the client has been sent a byte, never after."""

    tries: int = Field(4, description="upstream tries for one call, the first included", ge=1, le=20)
    again: int = Field(
        1, description="of these, tries at a target that has failed when no other is left", ge=0, le=10
    )
    backoff: float = Field(
        0.25, description="seconds before the same target is tried again; doubles, and varies by half", ge=0
    )
    budget: float = Field(30.0, description="seconds that waiting between tries may take for one call", ge=0)
    hold_ms: int = Field(
        250,
        description="how long the beginning of a stream is held back while another target could still answer",
        ge=0,
    )


class BreakerSettings(Section):
    """Targets that keep failing are left alone for a while. A target is a provider's model with one key."""

    consecutive: int = Field(5, description="failures in a row that open a breaker; 0: none does", ge=0)
    rate: float = Field(0.5, description="share of failures that opens it; 0: none does", ge=0, le=1)
    window: float = Field(60.0, description="seconds that the share is taken over", gt=0)
    minimum: int = Field(20, description="calls in that time before the share counts", ge=1)
    open_for: float = Field(
        30.0, description="seconds until one call is let through as a trial; doubles if it fails", gt=0
    )
    longest: float = Field(600.0, description="what that doubles to at most", gt=0)
    alone: Literal["try", "refuse"] = Field(
        "try", description="what becomes of a call whose only target is open: tried all the same, or 503"
    )
    probe: float = Field(
        0.0, description="seconds between cheap probes (a list of models) of open targets; 0: none", ge=0
    )


class LogSettings(Section):
    """Structured JSONL logs under the home's `logs/`."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe level that is written"
    )
    max_mb: int = Field(10, description="size at which the file is rotated", ge=1)
    backups: int = Field(5, description="rotated files that are kept", ge=0)
    requests: bool = Field(True, description="one line for each exchange")


class LintSettings(Section):
    """Checking streams against the grammar of their dialect; what is wrong goes into the table `violations`.

    A check costs one to three microseconds of CPU for each event of a stream.
    """

    sample: float = Field(0.01, description="share of the providers' streams that are checked", ge=0, le=1)
    own: float = Field(
        0.1, description="the same of the streams that we write, where a call is translated", ge=0, le=1
    )


class PriceOverride(Section):
    """Prices in USD per million tokens, used instead of genai-prices for models that match."""

    model: str = Field(description="model id or glob, as the provider names it")
    provider: str = Field("*", description="provider name or glob")
    since: str = Field("", description="first day (YYYY-MM-DD, UTC) this price applies; empty: always")
    input: Decimal = Field(description="per million input tokens")
    output: Decimal = Field(Decimal(0), description="per million output tokens")
    cache_read: Decimal | None = Field(
        None, description="per million tokens read from a cache; default: as input"
    )
    cache_write: Decimal | None = Field(
        None, description="per million tokens written to a cache; default: as input"
    )
    cache_write_1h: Decimal | None = Field(
        None, description="the same for one-hour cache writes; default: as cache_write"
    )


class ProviderSettings(Section):
    """A change to a built-in provider, or a whole new one (then `dialect` and `base_url` are needed)."""

    dialect: Literal["openai", "anthropic"] | None = Field(
        None, description="for a new provider: which API it is compatible with"
    )
    base_url: str | None = Field(None, description="where its traffic goes")
    hosts: list[str] = Field(
        default_factory=list,
        description="further host names to intercept; for a new provider the base URL's host is one",
    )
    key_env: VariableName | None = Field(None, description="environment variable that holds its key")
    title: str | None = Field(None, description="name for people")
    key_optional: bool = Field(False, description="the server needs no key")
    price_provider: str | None = Field(None, description="the id genai-prices knows it by")
    timeouts: TimeoutOverrides = Field(default_factory=TimeoutOverrides)
    api_version: str | None = Field(
        None, description="Azure: the `api-version` of calls that did not come with one"
    )


_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OUR_HEADERS = frozenset(
    ("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection")
)


class ModelControl(Section):
    """How a model is asked. The more specific table wins: project's tier, project, tier, then `models`."""

    effort: Effort | None = Field(None, description="how hard to think; given to each model in its own form")
    budget: int | None = Field(None, description="the same as a number of tokens", ge=0)
    exclude: bool | None = Field(None, description="true: think, but leave the thoughts out of the answer")
    verbosity: Literal["low", "medium", "high"] | None = Field(None, description="how long answers are")
    headers: HiddenValues = Field(
        default_factory=dict, description="further request headers for the provider; keys belong in `key add`"
    )
    system: str = Field("", description="a system prompt of yours")
    system_file: str = Field("", description="the same from a file, relative to the home folder")
    system_mode: Literal["append", "prepend", "replace"] = Field(
        "append", description="where it goes; what a client marked for caching stays before it"
    )

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER.fullmatch(name) or name.lower() in _OUR_HEADERS:
                raise ValueError(f"cannot set the header {name!r}")
            if any(ord(c) < 32 and c != "\t" for c in value) or not value.isascii():
                raise ValueError(f"has a value for {name} that is not plain ASCII")
        return headers

    @model_validator(mode="after")
    def _check_one_of_each(self) -> Self:
        if self.effort is not None and self.budget is not None:
            raise ValueError("takes either effort or budget")
        if self.system and self.system_file:
            raise ValueError("takes either system or system_file")
        return self


class TierSettings(ModelControl):
    """The model behind a family of Claude names; without `model` only the rest of this table applies."""

    model: str = Field("", description="`provider/model`, an alias, or a model of `provider`")
    provider: str = Field("", description="provider name; then `model` is taken as it stands")


class TiersSettings(Section):
    """Claude's names as sizes: opus is big, sonnet is middle (as big, unless set), haiku is small."""

    big: TierSettings = Field(default_factory=TierSettings)
    middle: TierSettings = Field(default_factory=TierSettings)
    small: TierSettings = Field(default_factory=TierSettings)
    other: Literal["big", "middle", "small", "none"] | None = Field(
        None, description="the tier of Claude families with a new name (by default `middle`)"
    )


class ModelRules(ModelControl):
    """What a model's name leads to."""

    aliases: dict[str, str] = Field(
        default_factory=dict,
        description="name or glob -> `provider/model`, a model of the provider that was called, or an alias",
    )
    tiers: TiersSettings = Field(default_factory=TiersSettings)
    unknown: Literal["pass", "default", "refuse"] | None = Field(
        None, description="what to do with a model that is in no list of ours (by default `pass`)"
    )
    default: str = Field("", description="the model in place of an unknown one, written as in `aliases`")


class ModelsSettings(ModelRules):
    """Model names, and how models are asked."""

    projects: dict[str, ModelRules] = Field(default_factory=dict, description="The same for one project.")


class WebhookSettings(Section):
    """Where events are sent, such as a limit that is nearly used up."""

    url: HiddenUrl = Field(description="an http(s) address that takes a POST", pattern=r"^https?://[^\s]+$")
    secret: SecretStr | None = Field(
        None, description="signs what is sent (HMAC-SHA256, the headers of Standard Webhooks)"
    )
    events: list[str] = Field(
        default_factory=list, description="only these, such as `limit.threshold`; empty: all"
    )


class TokensSettings(Section):
    """How long project tokens work, such as `30d` or `12h`."""

    default_lifetime: str = Field("", description="of tokens made without --expires; empty: until revoked")
    max_lifetime: str = Field(
        "", description="no token is made for longer, nor without an end; empty: any length"
    )

    @field_validator("default_lifetime", "max_lifetime")
    @classmethod
    def _check_duration(cls, text: str) -> str:
        try:
            if text:
                parse_duration(text)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return text

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        found = self.lifetimes()
        if found.default and found.longest and found.default > found.longest:
            raise ValueError("default_lifetime is longer than max_lifetime")
        return self

    def lifetimes(self) -> Lifetimes:
        default, longest = (
            parse_duration(text) if text else None for text in (self.default_lifetime, self.max_lifetime)
        )
        return Lifetimes(default, longest)


class CorsSettings(Section):
    """Web pages that may call this proxy's base URLs."""

    origins: list[str] = Field(
        default_factory=list,
        description="origins such as `http://localhost:3000`, or `*`; empty: what the provider itself says",
    )


class SimSettings(Section):
    """The built-in simulator behind the provider name `sim`."""

    latency_ms: float = Field(20.0, description="time to the first token", ge=0)
    tokens_per_second: float = Field(200.0, description="pace of streams; 0: as fast as possible", ge=0)
    error_rate: float = Field(0.0, description="share of calls that fail with 429 or 500", ge=0, le=1)
    cut_rate: float = Field(0.0, description="share of streams that are cut half-way", ge=0, le=1)
    seed: int | None = Field(None, description="makes errors and texts repeatable")
    scenario: str = Field(
        "",
        description="file that says which call fails how (docs/simulator.md), relative to the home folder",
    )
    record: int = Field(100, description="requests that are remembered for /__sim/requests", ge=0)
    record_bytes: int = Field(262_144, description="bytes of each remembered body", ge=0)


class Settings(Section):
    """Everything that can be configured; `llm-intercept config show` prints it with each value's source."""

    host: str = Field("127.0.0.1", description="address the proxy listens on")
    port: int = Field(8080, description="port of the proxy", ge=1, le=65535)
    auth: Literal["open", "required"] = Field(
        "open",
        description="`open` also lets a client's own provider key through; forced to `required` off loopback",
    )
    upstream_ca: str | None = Field(
        None, description="PEM file trusted for providers in addition to the public roots"
    )
    dashboard: DashboardSettings = Field(default_factory=DashboardSettings)
    usage: UsageSettings = Field(default_factory=UsageSettings)
    capture: CaptureSettings = Field(default_factory=CaptureSettings)
    cache: CacheSettings = Field(default_factory=CacheSettings)
    limits: LimitsSettings = Field(default_factory=LimitsSettings)
    timeouts: TimeoutSettings = Field(default_factory=TimeoutSettings)
    retries: RetrySettings = Field(default_factory=RetrySettings)
    breaker: BreakerSettings = Field(default_factory=BreakerSettings)
    drain: float = Field(
        30.0, description="seconds that calls under way may take to finish when the proxy is stopped", ge=0
    )
    tokens: TokensSettings = Field(default_factory=TokensSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    lint: LintSettings = Field(default_factory=LintSettings)
    cors: CorsSettings = Field(default_factory=CorsSettings)
    sim: SimSettings = Field(default_factory=SimSettings)
    models: ModelsSettings = Field(default_factory=ModelsSettings)
    prices: list[PriceOverride] = Field(default_factory=list)
    webhooks: list[WebhookSettings] = Field(default_factory=list)
    providers: dict[str, ProviderSettings] = Field(default_factory=dict)
