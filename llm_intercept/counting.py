"""Token counts of text, for estimates only: the tokenizer is loaded when it is first needed (45 MB)."""

from functools import cache
from typing import Any

CHARACTERS_PER_TOKEN = 3.6


@cache
def _tokenizer() -> Any:
    try:
        from splintr import Tokenizer
    except ImportError:
        return None
    return Tokenizer.from_pretrained("o200k_base")


def count_tokens(text: str) -> int:
    """Tokens of `text` in OpenAI's o200k vocabulary; for other vendors' models an approximation."""
    if not text:
        return 0
    tokenizer = _tokenizer()
    if tokenizer is None:
        return max(1, round(len(text) / CHARACTERS_PER_TOKEN))
    return len(tokenizer.encode_ordinary(text))
