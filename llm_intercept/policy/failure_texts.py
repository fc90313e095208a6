"""What is simulated, in words: for the command line and the dashboard."""

from llm_intercept.policy.failures import (
    ErrorInjection,
    Failures,
    IpFiltering,
    RateLimiting,
    ResponseDelay,
    SlowTokens,
    StreamFailures,
    Timeout,
)

type _AnyPart = (
    Timeout | ErrorInjection | IpFiltering | RateLimiting | ResponseDelay | StreamFailures | SlowTokens
)


def described(failures: Failures) -> dict[str, str]:
    """The parts that are switched on, by name, each with what it does."""
    return {name: _words(getattr(failures, name)) for name in failures.enabled}


def _words(part: _AnyPart) -> str:
    match part:
        case Timeout():
            return _timeout(part)
        case ErrorInjection():
            return _errors(part)
        case IpFiltering():
            return _addresses(part)
        case RateLimiting():
            return f"429 beyond {part.requests_per_minute} calls a minute"
        case ResponseDelay():
            return _delay(part)
        case StreamFailures():
            return _stream(part)
    return f"streams at {part.tokens:g} events a second"


def _timeout(part: Timeout) -> str:
    how = "hang" if part.seconds is None else f"time out after {part.seconds:g} s"
    return f"{_share(part.rate)} of the calls {how}"


def _errors(part: ErrorInjection) -> str:
    rates = [f"{_share(rate)} get {status}" for status, rate in sorted(part.error_rates.items())]
    return ", ".join(rates) or "no errors yet"


def _addresses(part: IpFiltering) -> str:
    said = [("only " + ", ".join(part.allow))] if part.allow else []
    said += [("not " + ", ".join(part.block))] if part.block else []
    return "; ".join(said) or "every address is allowed"


def _delay(part: ResponseDelay) -> str:
    span = f"{part.min:g}" if part.min == part.max else f"{part.min:g} to {part.max:g}"
    return f"answers {'from the cache ' if part.cache_only else ''}come {span} s late"


def _stream(part: StreamFailures) -> str:
    cut = {"bytes": part.cut_after_bytes, "events": part.cut_after_events}
    said = [f"cut after {size} {unit}" for unit, size in cut.items() if size is not None]
    said += [f"garbled at event {part.garble_at_event}"] if part.garble_at_event else []
    return f"{_share(part.rate)} of the streams are {' and '.join(said) or 'untouched'}"


def _share(rate: float) -> str:
    return f"{rate * 100:g} %"
