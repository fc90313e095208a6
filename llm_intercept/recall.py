"""A stored answer, said again: in the dialect, and in the form, that the client asks for now.

What is stored is what the provider said. It goes the way of a new answer: through the call's translation,
or as it is; a stream becomes a whole answer and the other way round in one and the same dialect.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from llm_intercept.exchange import Exchange
from llm_intercept.plan import client_side
from llm_intercept.store.cache import Stored
from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.conceal import UsageFilter
from llm_intercept.wire.dialects import MALFORMED
from llm_intercept.wire.embeddings.translation import EmbeddingTranslation
from llm_intercept.wire.tap import Reading, Tap
from llm_intercept.wire.translation import Side, Translation


class Recalled(NamedTuple):
    """What the client gets."""

    content_type: str
    body: bytes


def reading(stored: Stored) -> Reading:
    """What the stored answer says of itself."""
    tap = Tap(stored.dialect, stored.operation, stored.content_type, headers=dict(stored.headers))
    tap.feed(stored.body, 0.0)
    return tap.close()


def recall(
    exchange: Exchange,
    stored: Stored,
    plain: Callable[[], bytes],
    said: Reading,
    now: float,
    mint: Callable[[int], str],
) -> Recalled | None:
    """None if it cannot be said as the client wants it. `plain` gives the client's request.

    A stream that says nothing of what it has used makes no whole answer. `said` is the answer's reading.
    """
    if not said.usage.known and (exchange.asks_usage or (stored.stream and not exchange.stream)):
        return None
    if exchange.translation is not None:
        return _translated(exchange.translation, stored, exchange.request_id)
    if stored.stream == exchange.stream and _is_framed_so(exchange, stored):
        return Recalled(stored.content_type, _shown(exchange, stored))
    own = _own(exchange, plain(), said.model, now, mint)
    return None if own is None else _translated(own, stored, exchange.request_id)


def _is_framed_so(exchange: Exchange, stored: Stored) -> bool:
    """Gemini's streams are arrays, or events, as the query says."""
    if not stored.stream or exchange.dialect != "gemini":
        return True
    return ("alt=sse" in exchange.path) == stored.content_type.startswith("text/event-stream")


def _shown(exchange: Exchange, stored: Stored) -> bytes:
    """Without the usage that only another client has asked for, or we."""
    if not stored.stream or exchange.asks_usage or not exchange.endpoint.inject_usage:
        return stored.body
    concealed = UsageFilter()
    return b"".join((*concealed.feed(stored.body), *concealed.close()))


def _own(
    exchange: Exchange, plain: bytes, model: str, now: float, mint: Callable[[int], str]
) -> Translation | None:
    """From the client's dialect into the same, for the sake of the form; the model's name stays."""
    if exchange.dialect not in codecs.names():
        return None
    side = client_side(exchange, exchange.path)
    named = model or exchange.model
    context = Context(now=now, mint=mint, requested_model=named, include_usage=exchange.asks_usage)
    found = Translation(side, Side(side.dialect), context, stream=exchange.stream)
    try:
        asked = found.read(plain, exchange.model, exchange.stream)
    except Untranslatable:
        return None
    if (asked.sampling.n or 1) > 1:
        return None  # several answers in one: codecs know the first
    context.request = replace(asked, stream=exchange.stream)
    return found


def _translated(
    translation: Translation | EmbeddingTranslation, stored: Stored, request_id: str
) -> Recalled | None:
    if isinstance(translation, EmbeddingTranslation):
        reply = translation.reply(stored.body, stored.content_type, request_id)
        return Recalled(translation.content_type, reply.body) if reply.status < 400 else None
    try:
        told = translation.retold(stored.body, stored.content_type)
    except MALFORMED:
        return None
    return None if told is None else Recalled(translation.content_type, told)
