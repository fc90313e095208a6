"""The predecessors' variables that are one setting here, and those that are none."""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

TIERS = ("BIG", "MIDDLE", "SMALL")


@dataclass(frozen=True, slots=True)
class Plain:
    """`read` gives the value, None for what is our default, or raises ValueError.

    `own`: nothing but a predecessor uses this name.
    """

    variable: str
    path: tuple[str, ...]
    read: Callable[[str], object]
    own: bool = False


def _address(value: str) -> str:
    """Shells set HOST to the machine's name: only addresses are meant to listen on."""
    return value if value == "localhost" else str(ipaddress.ip_address(value))


def _port(value: str) -> int:
    port = int(value)
    if not 0 < port < 65536:
        raise ValueError(value)
    return port


def _level(value: str) -> str:
    word = {"warn": "warning", "critical": "error", "fatal": "error", "trace": "debug"}
    level = word.get(value.lower(), value.lower())
    if level not in ("debug", "info", "warning", "error"):
        raise ValueError(value)
    return level


def _verbosity(value: str) -> str | None:
    if value.lower() not in ("default", "low", "medium", "high"):
        raise ValueError(value)
    return None if value.lower() == "default" else value.lower()


def _seconds(value: str) -> float:
    seconds = float(value)
    if not 0 <= seconds < 1e6:
        raise ValueError(value)
    return seconds


def _switch(value: str) -> bool | None:
    """False was the predecessors' default, and says nothing."""
    return True if value.lower() in ("true", "1", "yes", "on") else None


PLAIN = (
    Plain("REASONING_EXCLUDE", ("models", "exclude"), _switch, own=True),
    Plain("VERBOSITY", ("models", "verbosity"), _verbosity),
    Plain("HOST", ("host",), _address),
    Plain("PORT", ("port",), _port),
    Plain("LOG_LEVEL", ("log", "level"), _level),
    Plain("REQUEST_TIMEOUT", ("timeouts", "first_byte"), _seconds),
    Plain("AZURE_API_VERSION", ("providers", "azure", "api_version"), str),
)


@dataclass(frozen=True, slots=True)
class Gone:
    note: str
    own: bool = True


_YET = "no counterpart yet"
_GONE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("not needed: `max_tokens` is held to the model's limit", ("MAX_TOKENS_LIMIT", "MIN_TOKENS_LIMIT")),
    ("not needed: every call is recorded, in `usage.db`", ("TRACK_USAGE", "USAGE_DB_PATH")),
    ("not needed: `models.tiers` and aliases name their providers", ("PREFERRED_PROVIDER",)),
    (
        "not needed: `llm-intercept logs` and the dashboard show it",
        ("LOG_STYLE", "SHOW_TOKEN_COUNTS", "SHOW_PERFORMANCE", "COLOR_SCHEME"),
    ),
    (
        "not needed: `llm-intercept logs` and the dashboard show it",
        ("USE_COMPACT_LOGGER", "COMPACT_LOGGER", "TERMINAL_DISPLAY_MODE"),
    ),
    (
        "no counterpart yet in the terminal; in the browser it is always there (`llm-intercept up`)",
        ("ENABLE_DASHBOARD", "DASHBOARD_MODULES", "DASHBOARD_LAYOUT", "DASHBOARD_REFRESH"),
    ),
    (_YET, ("DASHBOARD_WATERFALL_SIZE", "ENABLE_OPENROUTER_SELECTION")),
    (_YET, ("PROMPT_INJECTION_ENABLED", "PROMPT_INJECTION_MODULES")),
    (_YET, ("PROMPT_INJECTION_SIZE", "PROMPT_INJECTION_MODE")),
    (_YET, (*(f"{tier}_CASCADE" for tier in TIERS), "MODEL_CASCADE", "MODEL_CASCADE_DAILY_LIMIT")),
    (_YET, ("DAILY_TOKEN_BUDGET", "PER_REQUEST_TOKEN_BUDGET", "DAILY_COST_BUDGET")),
    (_YET, ("MID_STREAM_OUTPUT_BUDGET",)),
)

NO_COUNTERPART: Mapping[str, Gone] = MappingProxyType(
    {name: Gone(note) for note, names in _GONE for name in names} | {"MAX_RETRIES": Gone(_YET, own=False)}
)
