"""Prometheus metrics of the proxy: bounded label sets, cached children, rendered off the event loop."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from llm_intercept.engine.health import Snapshot
from llm_intercept.store.rows import ERROR_OUTCOMES, AttemptRow, RequestRow

# A client chooses model names, so they are a label only up to this many; the rest is one series.
MODELS = 200
OTHER = "other"
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
OWN_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1)
BREAKER_STATES = {"closed": 0, "half_open": 1, "open": 2}
TOKEN_KINDS = ("input", "output", "cache_read", "cache_write", "reasoning")


class _Cached:
    """`labels()` costs more than the increment: children are kept by their label values."""

    def __init__(self, metric: Any) -> None:
        self._metric = metric
        self._children: dict[tuple[str, ...], Any] = {}

    def __getitem__(self, labels: tuple[str, ...]) -> Any:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._metric.labels(*labels)
        return child


class _Counted(_Cached):
    """A counter that takes a batch's sums: adding up numbers here costs less than each increment."""

    def __init__(self, metric: Any) -> None:
        super().__init__(metric)
        self._due: dict[tuple[str, ...], float] = {}

    def add(self, labels: tuple[str, ...], amount: float = 1) -> None:
        self._due[labels] = self._due.get(labels, 0) + amount

    def flush(self) -> None:
        for labels, amount in self._due.items():
            self[labels].inc(amount)
        self._due.clear()


class _Troubles(Collector):
    """Breakers and cool-downs, asked for when rendered; those that are over are shown with 0."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._breakers: dict[tuple[str, ...], int] = {}
        self._keys: dict[tuple[str, ...], int] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        found = self._snapshot()
        states = {tuple(target): BREAKER_STATES[state] for target, state in found.breakers}
        self._breakers = _with_earlier(self._breakers, states)
        self._keys = _with_earlier(self._keys, dict.fromkeys(found.cooling, 1))
        target = ("provider", "credential", "model")
        yield _family("llm_breaker_state", "0: closed, 1: half-open, 2: open", target, self._breakers)
        yield _family("llm_key_cooling", "1: left alone for a while", target[:2], self._keys)


def _with_earlier(
    earlier: dict[tuple[str, ...], int], now: dict[tuple[str, ...], int]
) -> dict[tuple[str, ...], int]:
    """Bounded: clients choose the names of models."""
    return dict([*now.items(), *((labels, 0) for labels in earlier if labels not in now)][:MODELS])


def _family(
    name: str, text: str, labels: tuple[str, ...], values: dict[tuple[str, ...], int]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family


class Metrics:
    """Counts finished rows. `observe` is called from the writer's thread, `render` from any thread."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(
        self,
        in_flight: Callable[[], int],
        depth: Callable[[], int],
        lag: Callable[[], float],
        snapshot: Callable[[], Snapshot] | None = None,
    ) -> None:
        self._registry = registry = CollectorRegistry()
        self._counters: list[_Counted] = []
        self._models: set[tuple[str, str]] = set()
        who = ("provider", "model")
        self._requests = self._counter("llm_requests_total", "Exchanges", *who, "outcome")
        self._errors = self._counter("llm_errors_total", "Exchanges that failed", *who, "outcome")
        self._tokens = self._counter("llm_tokens_total", "Tokens", *who, "kind")
        self._cost = self._counter("llm_cost_usd_total", "Cost in US dollars", *who)
        self._unpriced = self._counter("llm_unpriced_total", "Metered calls without a known price", *who)
        self._violations = self._counter(
            "llm_protocol_violations_total",
            "Ways in which checked streams were not as documented",
            "dialect",
            "side",
        )
        self._events = self._counter("llm_events_total", "Limits that filled up or refused a call", "kind")
        self._tries = self._counter("llm_attempts_total", "Upstream tries", "provider", "outcome")
        self._failovers = Counter(
            "llm_failovers_total", "Tries that went elsewhere than the one before", registry=registry
        )
        self._cache = self._counter("llm_cache_total", "Calls by what the cache of answers did", "result")
        self._saved = Counter(
            "llm_cache_saved_usd_total",
            "US dollars that answers out of the cache would have cost",
            registry=registry,
        )
        self._duration = self._histogram("llm_duration_seconds", "Whole call")
        self._ttft = self._histogram("llm_time_to_first_token_seconds", "To the first content token")
        self._own = Histogram(
            "llm_proxy_overhead_seconds", "Our own share of a call", buckets=OWN_SECONDS, registry=registry
        )
        self._gauge("llm_in_flight", "Exchanges under way", in_flight)
        self._gauge("llm_writer_queue", "Rows waiting for the database", depth)
        self._gauge("llm_writer_lag_seconds", "Age of the oldest waiting row", lag)
        if snapshot is not None:
            registry.register(_Troubles(snapshot))

    def _gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(name, text, registry=self._registry).set_function(value)

    def _counter(self, name: str, text: str, *labels: str) -> _Counted:
        made = _Counted(Counter(name, text, labels, registry=self._registry))
        self._counters.append(made)
        return made

    def _histogram(self, name: str, text: str) -> _Cached:
        return _Cached(Histogram(name, text, ("provider",), buckets=SECONDS, registry=self._registry))

    def observe_event(self, kind: str) -> None:
        self._events[(kind,)].inc()

    def observe(self, rows: Iterable[RequestRow]) -> None:
        try:
            for row in rows:
                self._count(row)
        finally:
            for counter in self._counters:
                counter.flush()

    def _count(self, row: RequestRow) -> None:
        who = (row.provider, self._model(row))
        self._requests.add((*who, row.outcome))
        if row.outcome in ERROR_OUTCOMES:
            self._errors.add((*who, row.outcome))
        for kind in TOKEN_KINDS:
            if amount := getattr(row, f"{kind}_tokens"):
                self._tokens.add((*who, kind), amount)
        if row.cost_nanos:
            self._cost.add(who, row.cost_nanos / 1e9)
        if row.usage_source and not row.priced:
            self._unpriced.add(who)
        for violation in row.violations:
            self._violations.add((violation.dialect, violation.side))
        self._count_tries(row.tries)
        self._count_cache(row)
        if row.duration_ms is not None:
            self._duration[(row.provider,)].observe(row.duration_ms / 1000)
        if row.ttft_ms is not None:
            self._ttft[(row.provider,)].observe(row.ttft_ms / 1000)
        if row.overhead_ms is not None:
            self._own.observe(row.overhead_ms / 1000)

    def _count_cache(self, row: RequestRow) -> None:
        if row.cache:
            self._cache.add((row.cache,))
        if row.cache == "hit" and row.saved_nanos:
            self._saved.inc(row.saved_nanos / 1e9)

    def _count_tries(self, tries: Sequence[AttemptRow]) -> None:
        for attempt in tries:
            self._tries.add((attempt.provider, attempt.outcome))
        for before, after in pairwise(tries):
            if _target(before) != _target(after):
                self._failovers.inc()

    def _model(self, row: RequestRow) -> str:
        """The model's own label only for calls that were served: a refused caller cannot mint series."""
        key = (row.provider, row.model)
        if key in self._models:
            return row.model
        if row.outcome != "ok" or len(self._models) >= MODELS:
            return OTHER
        self._models.add(key)
        return row.model

    def render(self) -> bytes:
        return generate_latest(self._registry)


def _target(attempt: AttemptRow) -> tuple[str, str, str]:
    return attempt.provider, attempt.credential, attempt.model
