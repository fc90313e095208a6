"""Step 4: whether limits have room for a call. What it may take is reserved, and settled at its end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from llm_intercept import counting
from llm_intercept.dispatch import Dispatch
from llm_intercept.engine.admission import NOTHING, UNKNOWN, Actual, Admission, Reservation
from llm_intercept.engine.extending import Plan
from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange, Principal
from llm_intercept.metering import Meter
from llm_intercept.policy import limit_texts
from llm_intercept.policy.limit_texts import Standing
from llm_intercept.policy.limits import Applied, Limit, LimitBook, Parties, StoredLimit
from llm_intercept.policy.pricing import Pricing
from llm_intercept.policy.worst_case import FREE, MEDIA, Terms, Worst, assess, at_ceiling, is_metered
from llm_intercept.providers.base import GENERATION, Provider
from llm_intercept.store.control import Control
from llm_intercept.store.rows import RequestRow
from llm_intercept.wire.estimate import BYTES_PER_TOKEN
from llm_intercept.wire.fields import parse_object, text
from llm_intercept.wire.reading import Reading
from llm_intercept.wire.usage import Usage

_NOBODY = Principal(project="", token="")
_NOT_SENT = frozenset(("refused", "connect_failed"))
_ANSWERED = frozenset(("ok", "interrupted"))
_METERED = ("tokens", "cost")
_CHARGED = GENERATION | MEDIA | {"embeddings"}  # by tokens: an answer that tells none has taken some
_SENT = '"sent":'
_REMEMBERED = 20_000


class Held:
    """A call's reservation, for as long as the call is remembered: one that nobody ends, ends with it."""

    def __init__(
        self,
        admission: Admission,
        reservation: Reservation,
        worst: Worst | None,
        metered: "Callable[[Exchange, Reading], Meter]",
    ) -> None:
        self._admission = admission
        self._metered = metered
        self.reservation = reservation
        self.worst = worst

    @property
    def can_stop(self) -> bool:
        """Whether what is answered is a stream, which ends when its reservation does."""
        hard = (each.limit for each in self.reservation.applied if not each.limit.soft)
        stream = self.worst is not None and self.worst.stream
        return stream and any(limit.measure in _METERED for limit in hard)

    def meter(self, exchange: Exchange, reading: Reading) -> Meter:
        """What watches that stream."""
        return self._metered(exchange, reading)

    def __del__(self) -> None:
        if self.reservation.row:
            self._admission.settle(self.reservation, in_full(self.worst))


class Admit:
    """`max_output` is of a model of a provider, `ceiling` the price in USD of models that have none.

    `length`: tokens of the conversation that ends with an answer, by project and the answer's id.
    """

    def __init__(
        self,
        admission: Admission,
        control: Control,
        dispatch: Dispatch,
        pricing: Pricing,
        max_output: Callable[[str, str], int | None],
        ceiling: Decimal | None,
        now: Callable[[], float],
        length: Callable[[str, str], int] = lambda project, response: 0,
    ) -> None:
        self._length = length
        self._lengths: dict[tuple[str, str], int] = {}  # of those that may have no row yet
        self._admission = admission
        self._control = control
        self._dispatch = dispatch
        self._pricing = pricing
        self._max_output = max_output
        self._ceiling = ceiling
        self._now = now
        self._known: tuple[StoredLimit, ...] = ()

    def reserve(self, exchange: Exchange, patience: float) -> Refusal | None:
        """What this call may take where it is going; a further try takes the place of the one before.

        May raise Busy, when another process has the counters for longer than `patience`.
        """
        applied = self._applied(exchange)
        if not applied and exchange.held is None:
            return None
        worst: Worst | Refusal | None = None
        if exchange.websocket or any(each.limit.measure in _METERED for each in applied):
            worst = self._worst(exchange, applied)
        if isinstance(worst, Refusal):
            return worst
        held = exchange.held
        if held is not None and list(held.reservation.applied) == applied and held.worst == worst:
            return None
        return self._take(exchange, applied, worst, patience)

    @staticmethod
    def is_counted(exchange: Exchange) -> bool:
        """Whether its token is only good for so many calls."""
        return exchange.principal is not None and exchange.principal.max_requests is not None

    def ended(self, exchange: Exchange, row: RequestRow | None) -> None:
        """The call is over; without a row it is settled when there is one."""
        self._learn(row)
        held = exchange.held
        if held is None:
            return
        if held.reservation.call != exchange.request_id:  # one response inside a WebSocket
            if row is not None:
                self._admission.charge(held.reservation.applied, actual(row, None, self._ceiling))
        elif row is None:
            self._admission.free(held.reservation)
        else:
            self._admission.settle(held.reservation, actual(row, held.worst, self._ceiling))

    def _learn(self, row: RequestRow | None) -> None:
        if row is not None and row.response_id and row.operation == "responses":
            if len(self._lengths) >= _REMEMBERED:
                self._lengths.clear()
            tokens = (row.input_tokens or 0) + (row.output_tokens or 0)
            self._lengths[row.project, row.response_id] = tokens

    def _earlier(self, exchange: Exchange, body: bytes) -> int:
        """What the provider keeps of a conversation is input as well, though this request does not say it."""
        if exchange.operation != "responses" or b"previous_response_id" not in body:
            return 0
        previous = text(parse_object(body).get("previous_response_id"), 200)
        project = exchange.principal.project if exchange.principal else ""
        known = self._lengths.get((project, previous))
        return self._length(project, previous) if known is None else known

    def release(self, exchange: Exchange) -> None:
        """There is no such call after all."""
        if exchange.held is not None:
            self._admission.release(exchange.held.reservation)

    def headers(self, exchange: Exchange) -> tuple[tuple[str, str], ...]:
        """What an answer says of the limits that its call counted against."""
        if exchange.held is None:
            return ()
        return limit_texts.headers(exchange.dialect, exchange.held.reservation.standings, self._now())

    def figures(self, rows: Sequence[RequestRow]) -> Mapping[str, Actual]:
        """For calls whose process has died."""
        return {row.request_id: actual(row, None, self._ceiling) for row in rows}

    def _applied(self, exchange: Exchange) -> list[Applied]:
        self._renew()
        if not is_metered(exchange.operation, exchange.method, websocket=exchange.websocket):
            return []
        applied = self._admission.book.applicable(parties(exchange))
        quota = quota_of(exchange.principal or _NOBODY)
        return [*applied, quota] if quota is not None else applied

    def _take(
        self, exchange: Exchange, applied: list[Applied], worst: Worst | None, patience: float
    ) -> Refusal | None:
        held = exchange.held
        found = self._admission.reserve(
            exchange.request_id,
            applied,
            worst,
            instead=held.reservation if held is not None else None,
            patience=patience,
        )
        if isinstance(found, Standing):
            return self._refusal(exchange, found)
        if held is None:
            exchange.held = Held(self._admission, found, worst, self._meter)
        else:
            held.reservation, held.worst = found, worst
        return None

    def _refusal(self, exchange: Exchange, standing: Standing) -> Refusal:
        now = self._now()
        headers = limit_texts.headers(exchange.dialect, [standing], now)
        refusal = limit_texts.refusal(standing, now, headers)
        who = exchange.principal
        exhausted = who is not None and standing.applied.stored.id == who.token_id
        return replace(refusal, code="token_exhausted") if exhausted else refusal

    def _worst(self, exchange: Exchange, applied: Sequence[Applied]) -> Worst | Refusal:
        if exchange.websocket:
            # One socket holds any number of responses: a token's own number could not be kept either.
            quota = exchange.principal.token_id if exchange.principal else ""
            kept = [a for a in applied if a.limit.measure in _METERED or a.stored.id == quota]
            hard = next((a for a in kept if not a.limit.soft), None)
            return _needs_http(hard) if hard is not None else Worst(0, 0, 0)
        if exchange.operation in FREE:
            return Worst(0, 0, 0)
        body = exchange.upstream_body
        if body is None:
            body = self._dispatch.plain(exchange, exchange.resent or exchange.request_body)
        model, provider = exchange.upstream_model or exchange.model, exchange.provider
        dialect = exchange.answer_dialect
        most = self._max_output(provider.name, model)
        worst, terms = assess(dialect, exchange.operation, body, most)
        worst = replace(worst, input=worst.input + self._earlier(exchange, body))
        if exchange.upload:
            worst = Worst(_uploaded(exchange), worst.output)
        elif exchange.stream and exchange.operation in GENERATION:
            worst = replace(worst, stream=True)
        costly = [each for each in applied if each.limit.measure == "cost"]
        if not costly:
            return worst
        when = datetime.fromtimestamp(self._now(), UTC)
        host = exchange.target.host if exchange.target else ""
        nanos = self._at_most(provider, model, worst, terms, when, host)
        hard = next((each for each in costly if not each.limit.soft), None)
        if nanos is None and hard is not None:
            return _unpriced(exchange, model, hard)
        if not worst.stream:
            return replace(worst, nanos=nanos)
        read = self._at_most(provider, model, replace(worst, output=0), terms, when, host)
        return replace(worst, nanos=nanos, input_nanos=read or 0)

    def _at_most(
        self, provider: Provider, model: str, worst: Worst, terms: Terms, when: datetime, host: str
    ) -> int | None:
        nanos = self._pricing.at_most(provider, model, worst, terms, when, host)
        if nanos is None and self._ceiling is not None:
            nanos = at_ceiling(worst.tokens, self._ceiling)
        return nanos

    def _meter(self, exchange: Exchange, reading: Reading) -> Meter:
        counting.prepare()
        model = exchange.upstream_model or exchange.model
        host = exchange.target.host if exchange.target else ""

        def price(usage: Usage) -> int | None:
            when = datetime.fromtimestamp(self._now(), UTC)
            read = replace(usage, output=0, reasoning=None, audio_output=None, image_output=None)
            return self._pricing.price(exchange.provider, model, read, when, host).cost_nanos

        return Meter(exchange, reading, self._extend, price, counting.count_tokens, self._current)

    def _current(self, applied: Applied) -> Limit:
        """As it is now: it may have been changed since the call began."""
        return self._admission.book.by_id.get(applied.stored.id, applied.stored).limit

    def _extend(self, reservation: Reservation, plan: Plan) -> Mapping[str, int]:
        self._control.refresh()
        self._renew()
        return self._admission.extend(reservation, plan)

    def _renew(self) -> None:
        if self._control.limiting is not self._known:
            self._known = self._control.limiting
            self._admission.book = LimitBook(self._known)


def parties(exchange: Exchange) -> Parties:
    """Whom the call concerns, as far as limits can be set on them."""
    who = exchange.principal or _NOBODY
    return Parties(
        user=who.user,
        project=who.project,
        token=f"{who.project}/{who.token}" if who.token else "",
        listener=exchange.listener,
        client_ip=exchange.client_ip,
        model=exchange.upstream_model or exchange.model,
        provider=exchange.provider.name,
    )


def actual(row: RequestRow, worst: Worst | None, ceiling: Decimal | None) -> Actual:
    """What counts is what the row says. An answer of which nothing is known counts as the worst case.

    One that ended with its proxy counts as all that was held for it: crashes must not stretch budgets.
    """
    if row.outcome == "interrupted" and not row.phases:  # read back from a journal
        return UNKNOWN
    if row.outcome in _NOT_SENT or not (row.attempts or _SENT in row.phases):
        return NOTHING
    if row.outcome in _ANSWERED and not row.usage_source and row.operation in _CHARGED:
        return in_full(worst) if worst is not None and row.outcome == "ok" else UNKNOWN
    tokens = (row.input_tokens or 0) + (row.output_tokens or 0)
    cost = row.cost_nanos
    if cost is None:
        cost = at_ceiling(tokens, ceiling) if ceiling is not None else 0
    return Actual(1, tokens, cost)


def quota_of(who: Principal) -> Applied | None:
    """The number of calls that a token is good for, as the limit that it is."""
    if who.max_requests is None or not who.token_id:
        return None
    return _quota(who.token_id, f"{who.project}/{who.token}", who.max_requests)


@lru_cache(maxsize=4096)
def _quota(token_id: str, name: str, amount: int) -> Applied:
    limit = Limit(scope="token", name=name, measure="requests", amount=amount, thresholds=())
    return Applied(StoredLimit(token_id, limit), "")


def in_full(worst: Worst | None) -> Actual:
    """Everything that was reserved."""
    return Actual(1, worst.tokens, worst.nanos or 0) if worst is not None else Actual(1)


def _uploaded(exchange: Exchange) -> int:
    length = exchange.request_headers.get("content-length", "")
    return -(-int(length) // BYTES_PER_TOKEN) if length.isdigit() else 0


def _unpriced(exchange: Exchange, model: str, applied: Applied) -> Refusal:
    what = model or f"this call ({exchange.operation})"
    return Refusal(
        "permission",
        "unpriced_model",
        f"No price is known for {what} at {exchange.provider.title}, and "
        f"{limit_texts.sentence(applied.limit, applied.member)} (limit {applied.stored.id}). Set its price "
        "in [[prices]], or limits.unpriced_ceiling for all that have none.",
    )


def _needs_http(applied: Applied) -> Refusal:
    return Refusal(
        "permission",
        "limit_needs_http",
        f"{limit_texts.sentence(applied.limit, applied.member)} (limit {applied.stored.id}), which cannot be "
        "kept inside a WebSocket: use HTTP.",
    )
