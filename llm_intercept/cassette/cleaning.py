"""What must not be in a cassette: credentials in headers and paths, keys in bodies. Pure.

The same is done to a request before it is looked up, so that it is found whatever key it came with.
"""

import re
from collections.abc import Callable, Iterable
from itertools import accumulate, pairwise

from llm_intercept import secrecy
from llm_intercept.cassette.format import Chunk, Headers

type Clean = Callable[[bytes], bytes]

_CONNECTION = frozenset(
    ("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "host")
)
# Of requests, whatever is named like something secret.
SECRET_NAME = re.compile(
    r"authori[sz]ation|cookie|token|secret|signature|password|api-?key|-key$|^proxy-", re.I
)
_AMAZON = ("x-amz-date", "x-amz-content-sha256", "x-amz-security-token")
_ENCODING = ("content-encoding",)
_ANSWER = ("set-cookie", "set-cookie2", "proxy-authenticate", "www-authenticate", *_ENCODING)
_SECRET_QUERY = re.compile(
    r"^(sig|code|auth|(?!next|page|continuation)(.*[-_.]|api|access|auth|client|refresh|session)?"
    r"(key|token|secret|password|signature|credential))$",
    re.IGNORECASE,
)


def request_headers(headers: Iterable[tuple[str, str]], clean: Clean) -> Headers:
    return tuple(
        (name, _text(value, clean))
        for name, value in headers
        if name.lower() not in _CONNECTION
        and name.lower() not in (*_AMAZON, *_ENCODING)
        and not SECRET_NAME.search(name)
    )


def answer_headers(headers: Iterable[tuple[str, str]], clean: Clean) -> Headers:
    """Those that say something about this very answer of ours are made anew when it is replayed."""
    return tuple(
        (name, _text(value, clean))
        for name, value in headers
        if name.lower() not in _CONNECTION
        and name.lower() not in _ANSWER
        and not name.lower().startswith("x-llm-intercept-")
    )


def path(target: str, clean: Clean) -> str:
    """Without the query parameters that carry keys."""
    bare, mark, query = target.partition("?")
    kept = [pair for pair in query.split("&") if not _SECRET_QUERY.match(pair.partition("=")[0])]
    return _text(bare + (mark + "&".join(kept) if kept and mark else ""), clean)


def chunks(given: Iterable[Chunk], clean: Clean) -> tuple[Chunk, ...]:
    """A key may lie across two chunks, so they are cleaned as one and cut again."""
    before = tuple(given)
    whole = b"".join(chunk.data for chunk in before)
    cleaned = clean(whole)
    if cleaned == whole:
        return before
    ends = accumulate(len(chunk.data) for chunk in before)
    cuts = [0, *(end * len(cleaned) // len(whole) for end in ends)]
    pieces = [cleaned[start:end] for start, end in pairwise(cuts)]
    return tuple(Chunk(at=c.at, data=piece) for c, piece in zip(before, pieces, strict=True) if piece)


def _text(value: str, clean: Clean) -> str:
    return secrecy.named(clean(value.encode("utf-8", "surrogateescape"))).decode("utf-8", "replace")
