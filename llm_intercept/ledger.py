"""Step 10: from a finished exchange to its row. Runs in the writer's thread, never on the event loop."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import orjson

from llm_intercept import linting
from llm_intercept.errors import UPSTREAM_CUT
from llm_intercept.exchange import Exchange, Principal
from llm_intercept.policy.pricing import Pricing
from llm_intercept.secrecy import said, shown_name, unshaped
from llm_intercept.store.bodies import Body, Side
from llm_intercept.store.cache import Stored
from llm_intercept.store.rows import Outcome, RequestRow
from llm_intercept.unkeyed import unkeyed, unspread
from llm_intercept.wire import dialects, encoding
from llm_intercept.wire.tap import Reading, Tap
from llm_intercept.wire.usage import Usage

# Operations whose answer is generated text: only these are estimated when the provider reported nothing.
GENERATING = frozenset(
    ("chat", "responses", "completions", "messages", "complete", "generate", "converse", "invoke")
)
# An estimate is in one vendor's tokens: a count within this factor of it may well be right.
TOKENIZERS_DIFFER = 1.5
_NOBODY = Principal(project="default", token="")


class Ledger:
    """Builds rows. `count_tokens` estimates the tokens of a text."""

    def __init__(self, pricing: Pricing, count_tokens: Callable[[str], int]) -> None:
        self._pricing = pricing
        self._count_tokens = count_tokens

    def row(self, exchange: Exchange, *, estimate: bool) -> RequestRow | None:
        """The finished row; None if it takes an estimate of tokens and `estimate` is off."""
        reading = exchange.reading = _reading(exchange)
        row = identity(exchange)
        row.status = exchange.status
        row.outcome = outcome(exchange, reading)
        row.model = shown_name(reading.model) or row.model
        row.finish_reason = reading.finish_reason or ("length" if exchange.stopped else "")
        row.response_id = reading.response_id
        row.error_type, row.error_message = (self.clean(exchange, text) for text in _error(exchange, reading))
        if exchange.recalled is not None:
            _recall(row, exchange.recalled)
        elif not estimate and self._estimable(row, exchange, reading):
            return None
        else:
            self._meter(row, exchange, reading)
        _time(row, exchange, reading)
        if exchange.pipe is not None and exchange.pipe.fault:
            exchange.warnings.append(self.clean(exchange, f"the reading stopped: {exchange.pipe.fault}"))
        if exchange.translation is not None:
            exchange.warnings += exchange.translation.context.warnings
        row.warnings = _said(exchange.warnings)
        row.tries = exchange.tries
        row.violations = linting.found(exchange)
        row.attempts = len(exchange.tries)
        _settle_tries(row)
        return row

    def clean(self, exchange: Exchange, message: str) -> str:
        """Providers repeat in their errors what they were sent."""
        if not message:
            return message
        return said(unkeyed(exchange, message.encode("utf-8", "replace")).decode("utf-8", "replace"))

    def _meter(self, row: RequestRow, exchange: Exchange, reading: Reading) -> None:
        usage = reading.usage
        if self._estimable(row, exchange, reading):
            usage = estimated(exchange, reading, self._count_tokens)
        if usage.known:
            row.usage_source = "provider" if usage is reading.usage else "estimated"
        _copy_usage(row, usage)
        if not (usage.known or usage.cost_nanos is not None):
            return
        when = datetime.fromtimestamp(row.id / 1e6, UTC)
        priced = self._pricing.price(
            exchange.provider, row.model or row.model_requested, usage, when, row.host
        )
        row.cost_nanos, row.priced, row.price_source = priced.cost_nanos, int(priced.priced), priced.source

    @staticmethod
    def _estimable(row: RequestRow, exchange: Exchange, reading: Reading) -> bool:
        if row.operation not in GENERATING:
            return False
        if exchange.status is None:  # the provider has read the question, and charges for that at least
            return row.outcome == "client_gone" and exchange.phases.sent > 0
        if exchange.status >= 300:
            return False
        if reading.usage.known:  # with the reason of the end comes the final count; before, a placeholder
            cut = exchange.ended_by or exchange.stopped or reading.error_type
            return bool(cut and reading.text_parts and not reading.finish_reason)
        return bool(reading.text_parts or row.outcome == "client_gone")


def _recall(row: RequestRow, stored: Stored) -> None:
    """The provider was not asked: it counts nothing, and no key of it was used."""
    row.input_tokens = row.output_tokens = row.cost_nanos = 0
    row.usage_source, row.priced, row.price_source = "cache", 1, "cache"
    row.saved_tokens, row.saved_nanos = stored.tokens, stored.cost_nanos
    row.credential = row.upstream_sha256 = ""


def estimated(exchange: Exchange, reading: Reading, count_tokens: Callable[[str], int]) -> Usage:
    """What the provider reported so far, unless more was streamed than it had counted."""
    seen, streamed = reading.usage, count_tokens(reading.text_parts)
    if seen.known and streamed <= TOKENIZERS_DIFFER * (seen.output or 0):
        return seen
    prompt = seen.input
    if prompt is None:
        body = _plain(exchange.request_body, exchange.request_headers.get("content-encoding", ""))
        prompt = count_tokens(dialects.get(exchange.dialect).prompt_text(body))
    return replace(seen, input=prompt, output=streamed)


def identity(exchange: Exchange) -> RequestRow:
    """The part of the row that is known before an answer."""
    who = exchange.principal or _NOBODY
    target = exchange.target
    return RequestRow(
        id=exchange.id,
        request_id=exchange.request_id,
        project=who.project,
        token=who.token,
        user=who.user,
        session_id=unshaped(exchange.session_id),
        client=unshaped(exchange.client),
        client_ip=exchange.client_ip,
        entry=exchange.entry,
        provider=exchange.provider.name,
        host=target.host if target else exchange.host,
        method=exchange.method,
        path=shown_name(exchange.path.partition("?")[0]),
        dialect=exchange.dialect,
        operation=exchange.operation,
        model_requested=shown_name(exchange.model),
        model=shown_name(exchange.upstream_model or exchange.model),
        stream=int(exchange.stream),
        request_bytes=exchange.request_bytes,
        response_bytes=exchange.response_bytes,
        request_sha256=exchange.request_sha256,
        upstream_sha256=exchange.upstream_sha256 if target else "",
        changes=_said(exchange.changes),
        credential=target.credential if target else "",
        simulated=int(exchange.provider.simulated or bool(exchange.failure)),
        listener=exchange.listener,
        route=exchange.route,
        failure=exchange.failure,
        cache=exchange.cache,
    )


def outline(exchange: Exchange) -> RequestRow:
    """The row of an exchange whose answer cannot be read: how it ended, without numbers."""
    row = identity(exchange)
    row.status = exchange.status
    row.outcome = outcome(exchange, Reading())
    row.error_message = exchange.error_message
    row.warnings = _said([*exchange.warnings, "the answer could not be read"])
    row.tries, row.attempts = exchange.tries, len(exchange.tries)
    _time(row, exchange, Reading())
    _settle_tries(row)
    return row


def intent(exchange: Exchange) -> dict[str, object]:
    """What is known before the upstream call: the row that a kill -9 would leave behind."""
    row = identity(exchange)
    return {name: getattr(row, name) for name in _INTENT}


_INTENT = (
    *(
        "id",
        "request_id",
        "project",
        "token",
        "user",
        "session_id",
        "client",
        "client_ip",
        "entry",
        "provider",
        "host",
    ),
    *("method", "path", "dialect", "operation", "model_requested", "model", "stream", "request_bytes"),
    *("request_sha256", "upstream_sha256", "changes", "credential", "simulated"),
    *("listener", "route", "failure"),
)


def captured(exchange: Exchange) -> list[Body]:
    """The bodies of this exchange, without content-encoding and without the keys that it was made with."""
    request = _plain(exchange.request_body, exchange.request_headers.get("content-encoding", ""))
    answer = exchange.tap.kept if exchange.tap else _plain(exchange.response_body, exchange.response_encoding)
    bodies: list[tuple[Side, str, bytes, int]] = [
        ("request", exchange.request_type, request, len(request)),
        ("response", exchange.response_type, answer, max(len(answer), exchange.response_bytes)),
    ]
    return [
        Body(side, kind, unspread(exchange, unkeyed(exchange, body)), size)
        for side, kind, body, size in bodies
        if body
    ]


def _plain(body: bytes, content_encoding: str) -> bytes:
    if not content_encoding or content_encoding == "identity":
        return body
    return encoding.inflate(body, content_encoding) or b""


def outcome(exchange: Exchange, reading: Reading) -> Outcome:
    """How the exchange ended, most specific cause first."""
    if exchange.refusal is not None:
        refusal = exchange.refusal
        return "upstream_cut" if refusal.code == UPSTREAM_CUT else _REFUSED.get(refusal.kind, "refused")
    if exchange.ended_by:
        return _ended(exchange)
    status = exchange.status or 0
    if status >= 500 or (status < 400 and reading.error_type):
        return "provider_error"
    return "client_error" if status >= 400 else "ok"


_REFUSED: dict[str, Outcome] = {
    "internal": "internal_error",
    "upstream": "connect_failed",
    "timeout": "timeout",
}


def _ended(exchange: Exchange) -> Outcome:
    if exchange.ended_by == "client":
        return "client_gone"
    if exchange.timed_out and exchange.ended_by == "upstream":
        return "timeout"
    return {"interrupted": "interrupted"}.get(exchange.ended_by, "upstream_cut")  # type: ignore[return-value]


def _reading(exchange: Exchange) -> Reading:
    if exchange.reading is not None:
        return exchange.reading
    tap = exchange.tap
    if tap is None:
        tap = Tap(
            exchange.answer_dialect,
            exchange.operation,
            exchange.response_type,
            exchange.response_encoding,
            status=exchange.status or 0,
            headers=exchange.response_headers,
        )
    if exchange.response_body:
        tap.feed(exchange.response_body, exchange.phases.first_byte)
    return tap.close()


def _error(exchange: Exchange, reading: Reading) -> tuple[str, str]:
    if exchange.refusal is not None:
        return exchange.refusal.code, exchange.error_message or exchange.refusal.message
    if reading.error_type or reading.error_message:
        return reading.error_type, reading.error_message
    return "", exchange.error_message


def _copy_usage(row: RequestRow, usage: Usage) -> None:
    row.input_tokens, row.output_tokens = usage.input, usage.output
    row.cache_read_tokens, row.cache_write_tokens = usage.cache_read, usage.cache_write
    row.cache_write_1h_tokens, row.reasoning_tokens = usage.cache_write_1h, usage.reasoning


def _time(row: RequestRow, exchange: Exchange, reading: Reading) -> None:
    phases = exchange.phases
    if exchange.stream and reading.first_token:
        phases.first_token = reading.first_token
    end = phases.last_byte or phases.recorded
    row.duration_ms = _ms(phases.received, end)
    row.ttfb_ms = _ms(phases.received, phases.first_byte)
    row.ttft_ms = _ms(phases.received, phases.first_token)
    row.overhead_ms = round(exchange.busy * 1000, 3)
    row.tokens_per_second = _speed(row, phases.first_token, end)
    row.phases = orjson.dumps(phases.offsets()).decode()


def _speed(row: RequestRow, first_token: float, end: float) -> float | None:
    """Output tokens per second: from the first token on for streams, over the whole call otherwise."""
    seconds = end - first_token if first_token else (row.duration_ms or 0) / 1000
    return round(row.output_tokens / seconds, 1) if row.output_tokens and seconds > 0.001 else None


def _settle_tries(row: RequestRow) -> None:
    """The last try is the one that the row is about; those before it have said how they ended."""
    for attempt in row.tries[-1:]:
        attempt.outcome = attempt.outcome or row.outcome
        attempt.error_message = attempt.error_message or row.error_message
        attempt.input_tokens, attempt.output_tokens = row.input_tokens, row.output_tokens
        attempt.cost_nanos = row.cost_nanos


def _ms(start: float, end: float) -> float | None:
    return round((end - start) * 1000, 3) if start and end else None


def _said(sentences: list[str]) -> str:
    """As JSON; they name models, as clients do."""
    return orjson.dumps([shown_name(text) for text in sentences]).decode() if sentences else ""
