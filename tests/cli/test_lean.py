"""What the lean master puts in place of mitmproxy's own says the same."""

import warnings
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.connection import Client
from mitmproxy.hooks import all_hooks
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what mitmproxy's other addons import
    from llm_intercept.cli import lean

NAMES = st.sampled_from(["content-type", "Content-Type", "X-A", "x-a", "x-b", "x-\xe9", "Host", ""])
HEADERS = st.lists(st.tuples(NAMES.map(lambda n: n.encode("latin-1")), st.binary(max_size=6)), max_size=6)


@given(HEADERS, NAMES)
def test_headers_are_found_as_ever(pairs: list[tuple[bytes, bytes]], name: str) -> None:
    headers = http.Headers(pairs)
    assert lean._get_all(headers, name) == headers.get_all(name)
    assert lean._contains(headers, name) == (name in headers)
    assert lean._get(headers, name) == headers.get(name)
    assert lean._get(headers, name, "none") == headers.get(name, "none")


def test_what_is_no_name_is_not_in_headers() -> None:
    assert not lean._contains(http.Headers([(b"a", b"1")]), 5)
    assert lean._contains(http.Headers([(b"a", b"1")]), b"A")


@pytest.mark.parametrize("name", sorted(all_hooks))
def test_hooks_are_given_the_same(name: str) -> None:
    kind = all_hooks[name]
    hook = object.__new__(kind)
    for number, field in enumerate(fields(kind)):
        setattr(hook, field.name, number)
    assert lean._args(hook) == hook.args()
    assert lean._args(hook) == hook.args()  # from what was looked up before


def test_a_context_is_forked_as_ever() -> None:
    context = Context(Client(peername=("::1", 1), sockname=("::1", 2), timestamp_start=0.0), Options())
    context.layers.append("layer")  # type: ignore[arg-type]
    forked = lean._forked(context)
    assert vars(forked) == vars(context.fork()) | {"layers": ["layer"]}
    forked.layers.append("inner")  # type: ignore[arg-type]
    assert context.layers == ["layer"]
