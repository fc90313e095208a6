"""Token counts of text, for estimates only: the tokenizer is loaded when it is first needed (32 MB)."""

import asyncio
import threading
from functools import cache
from typing import Any

import orjson

from llm_intercept.errors import Reply
from llm_intercept.wire import estimate

CHARACTERS_PER_TOKEN = 3.6


_loading = threading.Lock()  # threads that come at the same time would each load their own


@cache
def _tokenizer() -> Any:
    try:
        from splintr import Tokenizer
    except ImportError:
        return None
    return Tokenizer.from_pretrained("o200k_base")


@cache
def prepare() -> None:
    """Loads it in a thread: it takes a tenth of a second."""
    threading.Thread(target=_count_first, name="tokenizer", daemon=True).start()


def _count_first() -> None:
    count_tokens("a")


def count_tokens(text: str) -> int:
    """Tokens of `text` in OpenAI's o200k vocabulary; for other vendors' models an approximation."""
    if not text:
        return 0
    with _loading:
        tokenizer = _tokenizer()
    if tokenizer is None:
        return max(1, round(len(text) / CHARACTERS_PER_TOKEN))
    return len(tokenizer.encode_ordinary(text))


async def answer(dialect: str, body: bytes) -> Reply:
    """An estimate for a client that asks how many tokens its request has; counted in a thread."""
    found = await asyncio.to_thread(estimate.tokens, dialect, body, count_tokens)
    document = orjson.dumps(estimate.ANSWERS[dialect](found))
    return Reply(200, (("content-type", "application/json"),), document)
