"""The one composition root: builds the parts of the proxy, and is all that the addons talk to."""

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from llm_intercept import assembly, bundle, ca, config, counting, environment, presence, prices, resources
from llm_intercept.access import Access
from llm_intercept.admit import Admit
from llm_intercept.assembly import Base
from llm_intercept.caching import Caching
from llm_intercept.course import Timeouts
from llm_intercept.dispatch import Dispatch
from llm_intercept.engine.admission import LONG_PATIENCE_S, PATIENCE_S, Admission
from llm_intercept.engine.events import Events
from llm_intercept.engine.thresholds import Thresholds
from llm_intercept.entry import Entry
from llm_intercept.errors import Refusal, Reply
from llm_intercept.exchange import Exchange
from llm_intercept.failing import Failing
from llm_intercept.home import Home
from llm_intercept.identifiers import RowIds, new_request_id
from llm_intercept.ledger import Ledger, captured, intent, outline
from llm_intercept.linting import Linting
from llm_intercept.listing import Listing
from llm_intercept.logs import Logs
from llm_intercept.metrics import Metrics
from llm_intercept.plan import Planner
from llm_intercept.policy.facts import Facts
from llm_intercept.policy.models import ModelMap
from llm_intercept.policy.pricing import Pricing
from llm_intercept.prompts import with_prompts
from llm_intercept.providers import Registry
from llm_intercept.recovery import Recovery
from llm_intercept.settings import ModelsSettings, Settings
from llm_intercept.sim.local import Local
from llm_intercept.store import health
from llm_intercept.store.bodies import MARGIN, Body, Capture
from llm_intercept.store.control import Control
from llm_intercept.store.journal import Journal
from llm_intercept.store.reservations import Busy
from llm_intercept.store.rows import ERROR_OUTCOMES, RequestRow
from llm_intercept.store.writer import Writer
from llm_intercept.tries import Tries
from llm_intercept.unkeyed import traced, unkeyed
from llm_intercept.vault import Vault
from llm_intercept.watch import Watch
from llm_intercept.wire import dialects

logger = logging.getLogger("llm_intercept")

# Bytes of an error's body that are read for its message.
ERROR_BODY = 64_000
# Answers held in memory up to this size are read at once, so that a kill -9 cannot lose their usage;
# larger ones are read in the writer's thread.
READ_AT_ONCE = 200_000
_FAULTS = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError)


class Gateway:
    """Nothing happens before `open`; `close` drains. `overrides` are command-line options."""

    home: Home
    settings: Settings
    registry: Registry
    entry: Entry
    access: Access
    dispatch: Dispatch
    timeouts: Timeouts
    tries: Tries
    failing: Failing
    caching: Caching
    metrics: Metrics
    linting: Linting

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self.overrides: Mapping[str, object] = {}
        self._ids = RowIds()
        self._chance = random.Random()  # ids are told apart by it, they guard nothing
        self._live: WeakValueDictionary[int, Exchange] = WeakValueDictionary()
        self._listen: tuple[str, int] = ("", 0)
        self.clock = time.perf_counter
        self.watch = Watch()

    def open(self) -> None:
        """Settings, home, databases, certificate; raises InterceptError with what to do."""
        self.home = Home.find(self._environ)
        self.home.ensure()
        self.settings = config.load(self.home, self._environ, self.overrides).settings
        self._listen = (self.settings.host, self.settings.port)
        self.registry = Registry(self.settings.providers)
        ca.ensure(self.home.certs, self.registry.ca_names(), time.time())
        vault = Vault.load(self.home.secret_key, self._environ)
        self._control = Control(self.home.control_db, vault)
        self._local = Local(self.settings.sim, self.home.path)
        self.entry = Entry(self.registry, self.settings.limits, self.new_id)
        self.access = Access(self._control, self.settings.auth == "required", time.time)
        self.failing = Failing(self._control, time.monotonic)
        self.dispatch = Dispatch(
            self.registry, self._control, self._local.address, self.settings.usage.inject, time.time
        )
        facts = Facts(self.registry.providers, resources.model_catalogue)
        models = ModelMap(
            with_prompts(self.settings.models, self.home.path),
            self.registry.providers,
            facts.known,
            lambda: self._control.aliasing,
        )
        if self.settings.models != ModelsSettings():
            facts.models("")  # reads the catalogue, so that the first call need not wait for it
        self._listing = Listing(self.registry.providers, models, facts, self._control)
        planner = Planner(
            self.registry,
            models,
            facts,
            time.time,
            assembly.mint,
        )
        self.watch.open(self.home, self.settings, vault)
        self._pricing = Pricing(self.settings.prices, prices.built_in())
        self._ledger = Ledger(self._pricing, counting.count_tokens)
        self._open_admission(facts)
        base = self._base = Base(self.home, self.settings, self.registry, self._control, self._pricing)
        self._open_routing(base, planner, models)
        self._open_books()

    def _open_admission(self, facts: Facts) -> None:
        self._events = Events(
            self.settings.webhooks,
            audit=self.watch.limit,
            count=lambda event: self.metrics.observe_event(event.kind),
        )
        self._admission = Admission(self.home.limits_db, self.home.leases, Thresholds(self._events.emit))
        self._admit = Admit(
            self._admission,
            self._control,
            self.dispatch,
            self._pricing,
            lambda provider, model: facts.target(provider, model).max_output,
            self.settings.limits.unpriced_ceiling,
            time.time,
            lambda project, response: self._routing.issuers.tokens(project, response),
        )

    def _open_routing(self, base: Base, planner: Planner, models: ModelMap) -> None:
        self.timeouts = Timeouts(**self.settings.timeouts.model_dump())
        self._routing = assembly.routing(base, models, self._chance.random)
        self.tries = Tries(
            self._routing.router,
            planner,
            self.dispatch,
            self._routing.health,
            self.start_local,
            self._ledger.clean,
            self._admits,
            time.time,
        )

    def _open_books(self) -> None:
        self._logs = Logs(self.home.logs, self.settings.log)
        self._capture = Capture(self.settings.capture)
        self.caching = Caching(self.home.cache_db, self.settings.cache, self.dispatch, self._capture.redact)
        self.linting = Linting(self.settings.lint)
        self._journal = Journal(self.home.journal)
        self._writer = Writer(
            self.home,
            self._journal,
            capture=self._capture,
            on_commit=self._committed,
            state=self._routing.health.changes,
            daily=assembly.daily(self._base),
        )
        self.metrics = Metrics(
            lambda: len(self._live),
            lambda: self._writer.depth,
            lambda: self._writer.lag_s,
            self._routing.health.snapshot,
        )
        self._writer.start()
        recovery = Recovery(
            self._journal, self._writer, self._admission, self._admit, self._control, self.home.usage_db
        )
        recovery.at_start()
        self._admission.keep_house(recovery.again)

    def _committed(self, rows: Sequence[RequestRow]) -> None:
        self.metrics.observe(rows)
        self._logs.write(rows)

    async def close(self) -> None:
        presence.withdraw(self.home.path)
        await self._local.stop()
        self._writer.stop(timeout=10.0)
        self.caching.close()
        self._admission.close()
        self._events.close()
        self.watch.close()
        self._journal.close()
        self._routing.issuers.close()
        self._control.close()
        self._logs.close()

    def new_id(self) -> tuple[int, str]:
        """The next row id (epoch microseconds) and its UUIDv7."""
        number = self._ids.next(time.time_ns() // 1000)
        return number, new_request_id(number, self._chance.randbytes(8))

    def refusal_reply(self, exchange: Exchange, refusal: Refusal) -> Reply:
        """In the client's dialect; for a WebSocket 426, on which clients fall back to HTTP."""
        if exchange.websocket:
            refusal = Refusal("upgrade_required", refusal.code, refusal.message)
        dialect = exchange.dialect if exchange.dialect != "observe" else exchange.provider.dialect
        return dialects.get(dialect).refusal(refusal, exchange.request_id)

    def begin(self, exchange: Exchange) -> None:
        """The durable intent: from here on a kill -9 leaves a row."""
        self._live[exchange.id] = exchange
        self._journal.begin(exchange.id, intent(exchange))

    def finish(self, exchange: Exchange) -> None:
        """Hands the exchange to the writer; only the first call counts."""
        if exchange.finished or not exchange.recorded:
            return
        exchange.finished = True
        self._live.pop(exchange.id, None)
        self.tries.ended(exchange)
        exchange.phases.recorded = self.clock()
        try:
            row = self._row_at_once(exchange)
        except Exception as error:
            exchange.warnings.append(f"the reading stopped: {type(error).__name__}")
            self._admit.ended(exchange, None)
            self._hand_over(exchange, None)
            raise
        self._admit.ended(exchange, row)
        self._hand_over(exchange, row)
        if row is not None and row.outcome == "ok" and exchange.recalled is None:
            self._routing.router.remember(exchange, row.response_id)

    def probing(self) -> Coroutine[Any, Any, None]:
        """What the event loop does beside the calls."""
        return assembly.probing(self._base, self._routing.health)

    def _hand_over(self, exchange: Exchange, row: RequestRow | None) -> None:
        captures = self._capture_mode(exchange) != "none"
        self._writer.put(
            row or (lambda: self._late_row(exchange)),
            fallback=None if row else outline(exchange),
            bodies=(lambda row: self._bodies(exchange, row)) if captures else None,
            body_bytes=len(exchange.request_body) + len(exchange.response_body) + exchange.kept,
            clean=partial(unkeyed, exchange) if captures or row is None else bytes,
        )

    def _row_at_once(self, exchange: Exchange) -> RequestRow | None:
        """The row, in the journal already; None for what is better done in the writer's thread."""
        if len(exchange.response_body) > READ_AT_ONCE:
            return None
        try:
            row = self._ledger.row(exchange, estimate=False)
            if row is not None:
                self.caching.keep(exchange, row)
                self._journal.done(row)
        except (*_FAULTS, OSError) as error:
            logger.error("a row could not be made at once; trying again apart: %s", traced(exchange, error))
            return None
        return row

    def _bodies(self, exchange: Exchange, row: RequestRow) -> list[Body]:
        failed = row.outcome in ERROR_OUTCOMES or row.outcome == "client_gone"
        return captured(exchange) if self._capture.keeps(self._capture_mode(exchange), failed) else []

    def _late_row(self, exchange: Exchange) -> RequestRow:
        try:
            row = self._ledger.row(exchange, estimate=True)
        except Exception:
            self._admit.ended(exchange, outline(exchange))
            raise
        assert row is not None
        self.caching.keep(exchange, row)
        self._admit.ended(exchange, row)
        return row

    def _capture_mode(self, exchange: Exchange) -> str:
        who = exchange.principal
        return (who.capture if who else None) or self.settings.capture.bodies

    def discard(self, exchange: Exchange) -> None:
        """Forgets a begun exchange whose responses have rows of their own (WebSockets)."""
        exchange.finished = True
        self.tries.ended(exchange)
        self._live.pop(exchange.id, None)
        self._journal.cancel(exchange.id)
        self._admit.release(exchange)

    def keeps(self, exchange: Exchange, status: int) -> int:
        """Bytes of the answer's body to keep: for capture, and to read an error's own words."""
        wanted = 0 if self._capture_mode(exchange) == "none" else self.settings.capture.max_bytes + MARGIN
        return max(wanted, ERROR_BODY if status >= 400 else 0, self.caching.wants(exchange, status))

    def plan(self, exchange: Exchange) -> Refusal | None:
        """Where the model's name leads this call; nothing happens to one that is mapped to nothing else."""
        return self.tries.begin(exchange)

    def admit(self, exchange: Exchange) -> Refusal | Awaitable[Refusal | None] | None:
        """Whether limits have room for it; something to wait for while another process has the counters."""
        if not (self._control.limiting or self._admit.is_counted(exchange)) or not exchange.recorded:
            return None
        try:
            return self._admit.reserve(exchange, PATIENCE_S)
        except Busy:
            return asyncio.to_thread(self._admit.reserve, exchange, LONG_PATIENCE_S)

    def _admits(self, exchange: Exchange) -> bool:
        """The same for a further try, which takes the place of the one before."""
        if exchange.held is None and not self._control.limiting:
            return True
        try:
            return self._admit.reserve(exchange, PATIENCE_S) is None
        except Busy:
            return False

    def allowance(self, exchange: Exchange) -> tuple[tuple[str, str], ...]:
        """The headers that tell a client what its limits have left."""
        return self._admit.headers(exchange)

    def model_list(self, exchange: Exchange) -> Reply | None:
        """The list of models where it is answered here; such a call goes to nobody and leaves no row."""
        found = self._listing.answer(exchange)
        if found is None:
            return None
        exchange.recorded = False
        return self.refusal_reply(exchange, found) if isinstance(found, Refusal) else found

    def token_count(self, exchange: Exchange) -> Awaitable[Reply] | None:
        """Something to wait for when a question for a token count is answered here."""
        if not exchange.counted_here:
            return None
        body = self.dispatch.plain(exchange, exchange.request_body)
        return counting.answer(exchange.dialect, body)

    def start_local(self, provider: str) -> Awaitable[None] | None:
        """Something to wait for when this provider is one that runs inside this process and is not up yet."""
        return self._local.start(provider)

    def listening(self, addresses: Sequence[tuple[str, int]]) -> None:
        """Where mitmproxy really listens. One address off loopback makes tokens required."""
        self._listen = next(iter(addresses), self._listen)
        exposed = not all(config.is_loopback(host) for host, _ in addresses)
        self.access.required = exposed or self.settings.auth == "required"

    def announce(self) -> None:
        """Lets the commands of this home know where we are."""
        host, port = self._listen
        presence.announce(self.home.path, environment.proxy_url(host, port))

    def is_self(self, host: str, port: int) -> bool:
        return port == self._listen[1] and (host == self._listen[0] or config.is_loopback(host))

    def may_reach_private(self, host: str, port: int) -> bool:
        """On loopback the caller is on this machine; elsewhere only configured targets may be private."""
        return (
            not self.access.required
            or config.is_loopback(self._listen[0])
            or self.dispatch.is_target(host, port)
        )

    @property
    def control(self) -> Control:
        """For what commands change while we run, and are told about (addons/listeners.py)."""
        return self._control

    @property
    def dashboard_url(self) -> str:
        return f"http://{self.settings.dashboard.host}:{self.settings.dashboard.port}"

    def problems(self) -> list[str]:
        """Why this proxy cannot serve; empty when it can."""
        found = [] if self._writer.alive else ["the writer has stopped"]
        if self._writer.last_error:
            found.append(self._writer.last_error)
        databases = (self.home.usage_db, self.home.control_db, self.home.limits_db)
        found += [why for path in databases if (why := health.problem(path))]
        return found

    def ca_certificate(self) -> bytes:
        return (self.home.certs / ca.CERTIFICATE_FILE).read_bytes()

    def upstream_trust(self) -> Path | None:
        """The roots that providers' certificates are checked against, if not mitmproxy's own."""
        if self.settings.upstream_ca is None:
            return None
        return bundle.upstream(self.home.path, Path(self.settings.upstream_ca))
