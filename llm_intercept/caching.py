"""Step 5: whether the same was asked before. What a provider said once is kept, for those who may hear it.

A call is looked up when it is known where it goes, and before limits: an answer that costs nothing counts
against nothing. What is stored is the provider's own answer, so the client that gets it again may speak
another dialect. Only whole answers without a fault are stored.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llm_intercept.dispatch import Dispatch
from llm_intercept.engine.answers import Answers
from llm_intercept.errors import InterceptError, Refusal
from llm_intercept.exchange import Exchange
from llm_intercept.policy import cachecontrol
from llm_intercept.policy.fingerprint import Asked, fingerprint
from llm_intercept.providers.base import GENERATION
from llm_intercept.recall import Recalled, reading, recall
from llm_intercept.secrecy import shown_name
from llm_intercept.settings.cache import CacheSettings
from llm_intercept.store.cache import AnswerStore, Stored
from llm_intercept.store.rows import RequestRow
from llm_intercept.unkeyed import unkeyed
from llm_intercept.wire import encoding

log = logging.getLogger(__name__)

OPERATIONS = GENERATION | {"embeddings", "moderations", "rerank"}
_BODY_LIMIT = 16_000_000
_KEPT = ("request-id", "x-request-id", "openai-model", "openai-version", "x-amzn-requestid")
_NONE = Refusal(
    "timeout", "not_in_cache", "The answer to this is not in the cache, and the call asked for no other."
)


@dataclass(frozen=True, slots=True)
class Hit:
    """What the client gets instead of the provider's answer; `headers` are the provider's, and ours."""

    stored: Stored
    content: Recalled
    headers: tuple[tuple[str, str], ...]


class Caching:
    """One for each process. A database that cannot be opened switches it off."""

    def __init__(
        self,
        path: Path,
        settings: CacheSettings,
        dispatch: Dispatch,
        mint: Callable[[int], str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._terms = cachecontrol.Terms(settings.ttl, settings.max_ttl)
        self._dispatch = dispatch
        self._mint = mint
        self._now = now
        self.problem = ""
        self._answers = self._open(path)

    def _open(self, path: Path) -> Answers | None:
        try:
            return Answers(AnswerStore(path), self._settings.max_size, self._now)
        except InterceptError as error:
            self.problem = f"{error}; it can be deleted without harm while nothing runs"
            log.error("no answers are stored: %s", self.problem)
            return None

    def close(self) -> None:
        if self._answers is not None:
            self._answers.close()

    def look(self, exchange: Exchange, listener_mode: str) -> Hit | Refusal | None:
        """What is known already; None if the provider has to be asked, whose answer may then be kept."""
        wish = self._wish(exchange, listener_mode)
        if wish is None or self._answers is None:
            return None
        exchange.cache_wish = wish
        exchange.cache = "miss" if wish.read or wish.store else "bypass"
        if exchange.cache == "bypass":
            return None
        self.mark(exchange)
        found = self._found(exchange, wish) if wish.read and exchange.fingerprint else None
        if found is None:
            return _NONE if wish.only else None
        exchange.cache, exchange.recalled = "hit", found.stored
        exchange.reading = reading(found.stored)
        self._answers.hit(found.stored.key)
        return found

    def mark(self, exchange: Exchange) -> None:
        """The key of what is asked now; another target may be asked something else."""
        exchange.fingerprint = b""
        if exchange.cache != "miss" or len(exchange.request_body) > _BODY_LIMIT:
            return
        exchange.fingerprint = fingerprint(self._asked(exchange)) or b""
        if not exchange.fingerprint:
            exchange.cache = "bypass"

    def wants(self, exchange: Exchange, status: int) -> int:
        """How many bytes of the answer are to be kept for it."""
        wish = exchange.cache_wish
        if wish is None or not (wish.store and exchange.fingerprint) or status != 200:
            return 0
        if exchange.stream and not self._settings.streams:
            return 0
        return self._settings.max_object + 1

    def keep(self, exchange: Exchange, row: RequestRow) -> None:
        """Stores the answer, if it is one to be given again."""
        if exchange.cache != "miss" or not self.wants(exchange, exchange.status or 0):
            return
        body = self._said(exchange)
        if not body or len(body) > self._settings.max_object or not _is_whole(exchange, row):
            return
        if unkeyed(exchange, body) != body:
            return  # a provider that repeats keys
        if self._answers is not None and self._answers.put(self._stored(exchange, row, body)):
            exchange.cache = row.cache = "stored"

    def headers(self, exchange: Exchange) -> tuple[tuple[str, str], ...]:
        """What an answer says of the cache (RFC 9211; `X-Cache` for people), where that was asked."""
        if not exchange.cache:
            return ()
        key = exchange.fingerprint.hex()[:16]
        stored = exchange.recalled
        if stored is None:
            why = "fwd=bypass" if exchange.cache == "bypass" else f'fwd=uri-miss; key="{key}"'
            word = "BYPASS" if exchange.cache == "bypass" else "MISS"
            return (("x-cache", word), ("cache-status", f"llm-intercept; {why}"))
        now = self._now()
        left, age = stored.expires_us / 1e6 - now, now - stored.id / 1e6
        return (
            ("x-cache", "HIT"),
            ("cache-status", f'llm-intercept; hit; ttl={max(0, round(left))}; key="{key}"'),
            ("age", str(max(0, round(age)))),
            ("x-cache-timestamp", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(stored.id / 1e6))),
            ("etag", _etag(stored)),
        )

    def _wish(self, exchange: Exchange, listener_mode: str) -> cachecontrol.Wish | None:
        who = exchange.principal
        mode = cachecontrol.chosen(listener_mode, who.cache if who else None, self._settings.mode)
        if mode == "off" or exchange.operation not in OPERATIONS or exchange.method != "POST":
            return None
        if not exchange.recorded or exchange.websocket or exchange.upload or exchange.counted_here:
            return None
        return cachecontrol.wish(mode, exchange.request_headers.get("cache-control", ""), self._terms)

    def _found(self, exchange: Exchange, wish: cachecontrol.Wish) -> Hit | None:
        assert self._answers is not None
        stored = self._answers.get(exchange.fingerprint)
        if stored is None:
            return None
        now = self._now()
        if wish.max_age is not None and now - stored.id / 1e6 > wish.max_age:
            return None
        plain = self._dispatch.plain(exchange, exchange.request_body)
        content = recall(exchange, stored, plain, now, self._mint)
        return None if content is None else Hit(stored, content, stored.headers)

    def _asked(self, exchange: Exchange) -> Asked:
        target = exchange.target
        assert target is not None
        written = exchange.upstream_body
        own = exchange.resent or self._dispatch.plain(exchange, exchange.request_body)
        sent = {} if exchange.translation is not None else exchange.request_headers
        added = {name.lower(): value for name, value in exchange.extra_headers.items()}
        return Asked(
            self._scope(exchange),
            exchange.provider.name,
            f"{target.host}:{target.port}",
            exchange.method,
            target.prefix + exchange.path,
            {**sent, **added},
            own if written is None else written,
            exchange.splices if written is None else {},
        )

    def _scope(self, exchange: Exchange) -> str:
        """Who shares answers with this caller."""
        who, scope = exchange.principal, self._settings.scope
        if who is None or who.own_key or not who.token_id:
            return f"own {who.project if who else ''}/{who.token if who else ''}"
        if scope == "all":
            return "all"
        return f"project {who.project}" if scope == "project" else f"token {who.token_id}"

    def _said(self, exchange: Exchange) -> bytes:
        """The provider's answer without content-encoding; empty where it is not known whole."""
        if exchange.tap is not None:
            faulty = exchange.pipe is not None and exchange.pipe.fault
            return b"" if faulty else exchange.tap.kept
        if exchange.translation is not None:
            return exchange.said
        return encoding.inflate(exchange.response_body, exchange.response_encoding) or b""

    def _stored(self, exchange: Exchange, row: RequestRow, body: bytes) -> Stored:
        wish = exchange.cache_wish
        assert wish is not None
        now = self._now()
        headers = exchange.response_headers
        return Stored(
            id=round(now * 1e6),
            key=exchange.fingerprint,
            project=row.project,
            token=row.token,
            request_id=row.request_id,
            provider=row.provider,
            host=row.host,
            model=shown_name(row.model),
            dialect=exchange.answer_dialect,
            operation=row.operation,
            stream=exchange.stream,
            content_type=exchange.response_type,
            headers=tuple((name, headers[name]) for name in _KEPT if name in headers),
            body=body,
            tokens=(row.input_tokens or 0) + (row.output_tokens or 0),
            cost_nanos=row.cost_nanos,
            expires_us=round((now + wish.ttl) * 1e6),
        )


def _etag(stored: Stored) -> str:
    return f'"{stored.key.hex()[:16]}-{stored.id:x}"'


def is_unchanged(hit: Hit, if_none_match: str) -> bool:
    """Whether the client has this very answer."""
    return any(tag.strip().removeprefix("W/") == _etag(hit.stored) for tag in if_none_match.split(","))


def _is_whole(exchange: Exchange, row: RequestRow) -> bool:
    """All that the provider wanted to say, without a fault, and nothing of it simulated."""
    found = exchange.reading
    if row.outcome != "ok" or exchange.failure or exchange.stopped or exchange.ended_by:
        return False
    if found is None or not found.complete or found.error_type:
        return False
    return cachecontrol.is_whole(found.finish_reason, generated=row.operation in GENERATION)
