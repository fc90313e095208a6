"""A call from its first try to its last: planned, given to a target, and planned anew if that fails."""

from collections.abc import Awaitable, Callable

from llm_intercept.allowing import refused_call
from llm_intercept.course import Course, kept, restore, rewind
from llm_intercept.dispatch import Dispatch
from llm_intercept.engine.health import Health, TargetKey
from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange
from llm_intercept.plan import Planner
from llm_intercept.policy import cooling
from llm_intercept.policy.attempts import Failure, FailureKind, Try
from llm_intercept.router import Router
from llm_intercept.secrecy import shown_name
from llm_intercept.store.rows import Outcome
from llm_intercept.wire import dialects, encoding, splice, unthink

_SKIPPED = Failure("skipped")
OUTCOMES: dict[FailureKind, Outcome] = {
    "connect": "connect_failed",
    "lost": "upstream_cut",
    "timeout": "timeout",
    "stream_error": "provider_error",
}


class Tries:
    """Walks through the candidates that the router found."""

    def __init__(
        self,
        router: Router,
        planner: Planner,
        dispatch: Dispatch,
        health: Health,
        start_local: Callable[[str], Awaitable[None] | None],
        clean: Callable[[Exchange, str], str],
        admits: Callable[[Exchange], bool],
        now: Callable[[], float],
    ) -> None:
        """`clean` takes keys out of what a provider has said; `admits`: whether limits have room."""
        self._router = router
        self._planner = planner
        self._dispatch = dispatch
        self._health = health
        self._start_local = start_local
        self._clean = clean
        self._admits = admits
        self._now = now

    def begin(self, exchange: Exchange) -> Refusal | None:
        """Plans the first try. A target that cannot take this call (in its dialect, say) is passed by."""
        refusal = self._router.set_out(exchange, self._dispatch.plain(exchange, exchange.request_body))
        course = exchange.course
        if refusal is not None or course is None:
            return refusal
        first: Refusal | None = None
        following: Try | None = course.current
        while following is not None:
            refusal = self._plan(exchange, course, following)
            if refusal is None:
                return None
            first = first or refusal
            passed, following = following, course.after(_SKIPPED)
            if following is not None:
                rewind(exchange, course.start)
                _not_tried(exchange, course, passed, refusal)
        return first

    async def go_on(self, exchange: Exchange, failure: Failure) -> float | None:
        """Seconds until the next try, which is planned then; None if the failure is the client's."""
        course = exchange.course
        if course is None:
            return None
        self._failed(exchange, course, failure)
        before = kept(exchange)
        following = course.after(failure)
        while following is not None:
            rewind(exchange, course.start)
            await self._started(following)
            if self._is_ready(exchange, course, following):
                _again(exchange, course, following, failure)
                return following.wait
            following = course.after(_SKIPPED)
        restore(exchange, before)
        return None

    async def pass_by(self, exchange: Exchange, refusal: Refusal) -> bool:
        """The first target cannot be called from here (its address or key is none): is there another?"""
        course = exchange.course
        while course is not None:
            passed, following = course.current, course.after(_SKIPPED)
            if following is None:
                break
            self._give_back(course)
            rewind(exchange, course.start)
            _not_tried(exchange, course, passed, refusal)
            await self._started(following)
            problem = self._plan(exchange, course, following)
            if problem is None and not exchange.counted_here:
                problem = self._resolve(exchange)
            if problem is None:
                return True
            refusal = problem
        return False

    async def _started(self, following: Try) -> None:
        starting = self._start_local(following.candidate.provider)
        if starting is not None:
            await starting

    def _resolve(self, exchange: Exchange) -> Refusal | None:
        return self._dispatch.resolve(exchange, exchange.request_headers)

    def ended(self, exchange: Exchange) -> None:
        """The call is over, however: says of its target what it has shown. Only the first time counts."""
        course = exchange.course
        if course is None or not course.under_way or course.target is None:
            return
        course.under_way = False
        self._health.ended(course.target)
        ours = exchange.refusal is not None and exchange.ended_by != "upstream"
        ours |= "stream_cut" in exchange.failure  # on purpose: its provider has nothing to do with it
        ours |= not exchange.phases.sent  # it ended before this try had begun
        if ours or exchange.ended_by in ("client", "interrupted") or exchange.status is None:
            self._health.abandoned(course.target)
        elif exchange.ended_by == "upstream":
            why = self._clean(exchange, exchange.error_message)
            self._health.failed(course.target, Failure("lost", message=why), {})
        elif exchange.status >= 400:
            failure = Failure("status", exchange.status)
            self._health.failed(course.target, failure, exchange.response_headers)
        else:
            self._health.succeeded(course.target, exchange.response_headers, _ttft_ms(exchange))

    def _is_ready(self, exchange: Exchange, course: Course, following: Try) -> bool:
        if self._plan(exchange, course, following) is not None:
            return False
        if self._resolve(exchange) is None and self._admits(exchange):
            return True
        self._give_back(course)
        return False

    def _give_back(self, course: Course) -> None:
        """A target that was taken, and is not tried after all."""
        if course.under_way and course.target is not None:
            course.under_way = False
            self._health.ended(course.target)
            self._health.abandoned(course.target)

    def _plan(self, exchange: Exchange, course: Course, now: Try) -> Refusal | None:
        body = self._dispatch.plain(exchange, exchange.request_body)
        changed = _changed(exchange, now, body)
        if changed is not None:
            body = exchange.resent = changed
        exchange.timeouts = self._router.limits(course.route, now.candidate.provider)
        refusal = self._planner.plan(exchange, body) or refused_call(exchange)
        return refusal if refusal is not None else self._take(course, now)

    def _take(self, course: Course, now: Try) -> Refusal | None:
        candidate = now.candidate
        course.target = None
        if candidate.credential is None:
            return None
        target = TargetKey(candidate.provider, candidate.credential, shown_name(candidate.model))
        if not self._health.admit(target) and not course.alone:
            why = self._health.state(target)
            return Refusal("unavailable", "no_target_available", f"{candidate.provider}: {why.reason}", 1.0)
        self._health.started(target)
        course.target, course.under_way = target, True
        return None

    def _failed(self, exchange: Exchange, course: Course, failure: Failure) -> None:
        if course.under_way and course.target is not None:
            course.under_way = False
            self._health.ended(course.target)
            self._health.failed(course.target, failure, exchange.response_headers)

    def failure(self, exchange: Exchange, body: bytes | None, *, connected: bool) -> Failure:
        """What a try's end means. `body` is the answer's as it came; None where there was none."""
        if body is None:
            kind: FailureKind = "lost" if connected else "connect"
            why = self._clean(exchange, exchange.error_message)
            return Failure("timeout" if exchange.timed_out else kind, message=why)
        if exchange.pipe is not None and exchange.pipe.judge is not None:
            reading = exchange.pipe.judge.reading
            said = self._clean(exchange, f"{reading.error_type}: {reading.error_message}")
            return Failure("stream_error", message=said)
        status = exchange.status or 0
        plain = encoding.inflate(body, exchange.response_encoding) or b""
        dialect = exchange.answer_dialect
        wait = cooling.retry_after(exchange.response_headers, self._now(), plain)
        kind_of, message = dialects.get(dialect).read_error(status, plain)
        kind = _kind(dialect, status, plain)
        if kind == "signature" and not self._has_thinking(exchange):
            kind = "status"
        return Failure(kind, status, wait, self._clean(exchange, message or kind_of))

    @staticmethod
    def _has_thinking(exchange: Exchange) -> bool:
        """Whether there is anything that a further try could leave out."""
        coded = exchange.course.start.request_encoding if exchange.course is not None else ""
        body = encoding.inflate(exchange.request_body, coded) or b""
        return unthink.without_thinking(exchange.dialect, body) is not None

    @staticmethod
    def note(exchange: Exchange, failure: Failure) -> None:
        """Onto the row of the try that has failed."""
        attempt = exchange.tries[-1]
        attempt.outcome = OUTCOMES.get(failure.kind) or (
            "provider_error" if (failure.status or 0) >= 500 else "client_error"
        )
        attempt.error_message = failure.message


def _kind(dialect: str, status: int, body: bytes) -> FailureKind:
    if unthink.is_signature_error(dialect, status, body):
        return "signature"
    return "overflow" if unthink.is_overflow(dialect, status, body) else "status"


def _changed(exchange: Exchange, now: Try, body: bytes) -> bytes | None:
    """The client's body with what this target overrides, or without its thinking; None: as it was."""
    changed = None
    if now.candidate.overrides:
        changed = splice.set_top_level(body, now.candidate.overrides)
        exchange.changes += [f"body: {name} of the route" for name in now.candidate.overrides]
    if now.without_thinking:
        stripped = unthink.without_thinking(exchange.dialect, body if changed is None else changed)
        exchange.warnings.append("thinking of earlier turns was left out: its signature was refused")
        changed = stripped or changed
    return changed


def _again(exchange: Exchange, course: Course, following: Try, failure: Failure) -> None:
    """Before what is changed for this try alone, so that those of all tries stay on the row."""
    what = str(failure.status) if failure.status else failure.kind
    said = f"try {following.number}: {following.candidate.provider} after {what}"
    exchange.changes.insert(course.start.changes, said)
    course.start.changes += 1


def _not_tried(exchange: Exchange, course: Course, passed: Try, refusal: Refusal) -> None:
    """Onto the row as well; that a breaker is open is no news."""
    if refusal.kind != "unavailable":
        target = passed.candidate
        said = f"not tried: {target.provider}/{target.model}: {refusal.message}"
        exchange.warnings.insert(course.start.warnings, said)
        course.start.warnings += 1


def _ttft_ms(exchange: Exchange) -> float | None:
    sent = exchange.phases.sent
    seen = (exchange.tap.reading.first_token if exchange.tap else 0.0) or exchange.phases.first_byte
    if "response_delay" in exchange.failure:
        return None
    return (seen - sent) * 1000 if sent and seen > sent else None
