"""Step 5: whether the same was asked before. What a provider said once is kept, for those who may hear it.

A call is looked up when it is known where it goes, and before limits: an answer that costs nothing counts
against nothing. What is stored is the provider's own answer, so the client that gets it again may speak
another dialect. Only whole answers without a fault are stored.
"""

import hashlib
import logging
import re
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from llm_intercept.assembly import mint
from llm_intercept.dispatch import Dispatch
from llm_intercept.engine.answers import Answers
from llm_intercept.errors import InterceptError, Refusal
from llm_intercept.exchange import Exchange, Principal
from llm_intercept.policy import cachecontrol
from llm_intercept.policy.fingerprint import Asked, fingerprint
from llm_intercept.providers.base import GENERATION
from llm_intercept.recall import Recalled, reading, recall
from llm_intercept.secrecy import shown_name
from llm_intercept.settings.cache import CacheSettings
from llm_intercept.store.cache import AnswerStore, Stored
from llm_intercept.store.redaction import Redaction
from llm_intercept.store.rows import RequestRow
from llm_intercept.unkeyed import holds, secrets
from llm_intercept.wire import encoding
from llm_intercept.wire.reading import Reading

log = logging.getLogger(__name__)

OPERATIONS = GENERATION | {"embeddings", "moderations", "rerank"}
_BODY_LIMIT = 16_000_000
# Fields of an answer that are given again: ids that SDKs show, and how Bedrock counts.
_KEPT = re.compile(
    r"(x-)?request-id|openai-(model|version)|x-amzn-requestid|x-amzn-bedrock-[a-z-]+-token-count"
)
# What is simulated and spoils nothing.
_HARMLESS = frozenset(("response_delay", "slow_tokens"))
_NONE = Refusal(
    "timeout", "not_in_cache", "The answer to this is not in the cache, and the call asked for no other."
)


@dataclass(frozen=True, slots=True)
class Hit:
    """What the client gets instead of the provider's answer; `headers` are the provider's, and ours."""

    stored: Stored
    content: Recalled
    reading: Reading
    headers: tuple[tuple[str, str], ...]


class Caching:
    """One for each process. A database that cannot be opened switches it off."""

    def __init__(
        self,
        path: Path,
        settings: CacheSettings,
        dispatch: Dispatch,
        redaction: Redaction,
        mint: Callable[[int], str] = mint,
        now: Callable[[], float] = time.time,
    ) -> None:
        """What `redaction` would take out of a captured body does not get into this file either."""
        self._redaction = redaction
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
            # No error: mitmproxy ends when one is logged while it starts.
            log.warning("no answers are stored: %s", self.problem)
            return None

    def close(self) -> None:
        if self._answers is not None:
            self._answers.close()

    def look(self, exchange: Exchange, listener_mode: str) -> Hit | Refusal | None:
        """What is known already; None if the provider has to be asked, whose answer may then be kept.

        A fault in here leaves a call that has missed. What is found counts once it is `given`.
        """
        wish = self._wish(exchange, listener_mode)
        if wish is None:
            return None
        found = None
        if self._answers is not None:
            exchange.cache_wish, exchange.cache = wish, "miss" if wish.read or wish.store else "bypass"
            self.mark(exchange)
            if wish.read and exchange.fingerprint:
                found = self._found(self._answers, exchange, wish)
        return _NONE if found is None and wish.only else found

    def given(self, exchange: Exchange, hit: Hit) -> None:
        exchange.cache, exchange.recalled, exchange.reading = "hit", hit.stored, hit.reading
        if self._answers is not None:
            self._answers.hit(hit.stored.key)

    def mark(self, exchange: Exchange) -> None:
        """The key of what is asked now; another target may be asked something else."""
        exchange.fingerprint = b""
        if exchange.cache != "miss":
            return
        scope = self._scope(exchange)
        if scope and len(exchange.request_body) <= _BODY_LIMIT:
            exchange.fingerprint = fingerprint(self._asked(exchange, scope)) or b""
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
        if not body or len(body) > self._settings.max_object or not _is_whole(exchange, row, body):
            return
        found = exchange.reading
        assert found is not None
        said = found.text_parts if exchange.stream else ""  # what events say together
        check = partial(_is_fit, secrets=secrets(exchange), said=said, finds=self._redaction.finds)
        if self._answers is not None and self._answers.put(self._stored(exchange, row, body), check):
            exchange.cache = row.cache = "stored"

    def headers(self, exchange: Exchange) -> tuple[tuple[str, str], ...]:
        """What an answer says of the cache (RFC 9211; `X-Cache` for people), where that was asked."""
        if not exchange.cache:
            return ()
        stored, key = exchange.recalled, exchange.fingerprint.hex()[:16]
        if stored is None:
            word, why = ("BYPASS", "bypass") if exchange.cache == "bypass" else ("MISS", "uri-miss")
            if word == "MISS" and exchange.cache_wish is not None and not exchange.cache_wish.read:
                why = "request"  # the client wanted a new one
            named = f'; key="{key}"' if key else ""
            return (("x-cache", word), ("cache-status", f"llm-intercept; fwd={why}{named}"))
        now = self._now()
        left, age = stored.expires_us / 1e6 - now, now - stored.id / 1e6
        return (
            ("x-cache", "HIT"),
            ("cache-status", f'llm-intercept; hit; ttl={max(0, round(left))}; key="{key}"'),
            ("age", str(max(0, round(age)))),
            ("x-cache-timestamp", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(stored.id / 1e6))),
            ("etag", _etag(exchange, stored)),
        )

    def _wish(self, exchange: Exchange, listener_mode: str) -> cachecontrol.Wish | None:
        who = exchange.principal
        mode = cachecontrol.chosen(listener_mode, who.cache if who else None, self._settings.mode)
        if mode == "off" or exchange.operation not in OPERATIONS or exchange.method != "POST":
            return None
        if not exchange.recorded or exchange.websocket or exchange.upload or exchange.counted_here:
            return None
        return cachecontrol.wish(mode, exchange.request_headers.get("cache-control", ""), self._terms)

    def _found(self, answers: Answers, exchange: Exchange, wish: cachecontrol.Wish) -> Hit | None:
        stored = answers.get(exchange.fingerprint)
        if stored is None:
            return None
        now = self._now()
        if wish.max_age is not None and now - stored.id / 1e6 > wish.max_age:
            return None
        said = reading(stored)
        plain = partial(self._dispatch.plain, exchange, exchange.request_body)
        content = recall(exchange, stored, plain, said, now, self._mint)
        return None if content is None else Hit(stored, content, said, stored.headers)

    def _asked(self, exchange: Exchange, scope: str) -> Asked:
        target = exchange.target
        assert target is not None
        written = exchange.upstream_body
        own = exchange.resent or self._dispatch.plain(exchange, exchange.request_body)
        sent = {} if exchange.translation is not None else exchange.request_headers
        return Asked(
            scope,
            exchange.provider.name,
            f"{target.host}:{target.port}",
            exchange.method,
            target.prefix + exchange.path,
            sent,
            own if written is None else written,
            exchange.splices if written is None else {},
            {name.lower(): value for name, value in exchange.extra_headers.items()},
        )

    def _scope(self, exchange: Exchange) -> str:
        """Who shares answers with this caller; "" for one who gets none, because nobody knows who it is."""
        who, scope = exchange.principal, self._settings.scope
        if who is None:
            return ""
        if who.own_key or not who.token_id:
            return _by_own_key(exchange, who)
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
            headers=tuple(field for field in headers.items() if _KEPT.fullmatch(field[0])),
            body=body,
            tokens=(row.input_tokens or 0) + (row.output_tokens or 0),
            cost_nanos=row.cost_nanos,
            expires_us=round((now + wish.ttl) * 1e6),
        )


def _etag(exchange: Exchange, stored: Stored) -> str:
    """Of the answer in one form: the same as a stream, or for a client of another dialect, is another one."""
    path = exchange.client_path or exchange.path
    form = f"{exchange.dialect} {exchange.stream} {exchange.asks_usage} {'alt=sse' in path}"
    return f'"{stored.key.hex()[:16]}-{stored.id:x}-{zlib.crc32(form.encode()):08x}"'


def is_unchanged(exchange: Exchange, hit: Hit) -> bool:
    """Whether the client has this very answer."""
    known = exchange.request_headers.get("if-none-match", "")
    if not known:
        return False
    return any(tag.strip().removeprefix("W/") == _etag(exchange, hit.stored) for tag in known.split(","))


def _by_own_key(exchange: Exchange, who: Principal) -> str:
    """The very key. An AWS signature names a key that is not secret, and only the provider can check it.

    Without any key the caller is one of all those who may ask a server that needs none; a field that may be
    a key of a kind that is not known here makes it somebody, but not whom.
    """
    shown = exchange.foreign
    if any(presented.where == "sigv4" for presented in shown):
        return ""
    if shown:
        key = "\n".join(presented.value for presented in shown)
        return f"own {who.project} {hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()}"
    keyless = (
        not who.own_key or exchange.provider.key_optional
    )  # whatever was called before its model led here
    unknown = not keyless or any(name in exchange.request_headers for name in ("authorization", "cookie"))
    return "" if unknown else f"nobody {who.project}"


def _is_fit(answer: Stored, secrets: list[bytes], said: str, finds: Callable[[bytes], bool]) -> bool:
    """No key is in it, nor what looks like one: it is given again as it was, or not at all."""
    headers = "\n".join(value for _, value in answer.headers)
    texts = (answer.body, *(text.encode("utf-8", "replace") for text in (said, headers)))
    return not any(holds(text, secrets) or finds(text) for text in texts)


def _is_whole(exchange: Exchange, row: RequestRow, body: bytes) -> bool:
    """All that the provider wanted to say, without a fault, and nothing of it simulated."""
    found = exchange.reading
    if row.outcome != "ok" or exchange.stopped or exchange.ended_by:
        return False
    if exchange.failure and not _HARMLESS.issuperset(exchange.failure.split(",")):
        return False
    if found is None or not found.complete or found.error_type:
        return False
    if exchange.stream and found.room <= 0:
        return False  # too long to have been read to its end
    return cachecontrol.is_whole(found.finish_reason, body, generated=row.operation in GENERATION)
