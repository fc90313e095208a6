"""Splicing: the changed members are as asked, every other byte is as it was."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_intercept.wire import splice

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)
NAMES = st.sampled_from(["model", "stream", "a", 'quo"te', "back\\slash", "é", ""])
OBJECTS = st.dictionaries(NAMES | st.text(max_size=4), VALUES, max_size=5)


def write(value: object, indent: int | None, ascii_only: bool) -> bytes:
    return json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")


@given(OBJECTS, st.dictionaries(NAMES, VALUES, max_size=3), st.sampled_from([None, 1]), st.booleans())
@settings(max_examples=400, deadline=None)
def test_set_top_level_means_what_it_says(
    before: dict[str, object], changes: dict[str, object], indent: int | None, ascii_only: bool
) -> None:
    body = write(before, indent, ascii_only)
    after = splice.set_top_level(body, changes)
    assert json.loads(after) == {**json.loads(body), **changes}


@given(OBJECTS, st.sets(NAMES, max_size=3), st.sampled_from([None, 1]))
@settings(max_examples=300, deadline=None)
def test_drop_members(before: dict[str, object], names: set[str], indent: int | None) -> None:
    body = write(before, indent, True)
    assert json.loads(splice.drop_members(body, names)) == {k: v for k, v in before.items() if k not in names}


@given(OBJECTS, st.booleans())
@settings(max_examples=200, deadline=None)
def test_peek_and_scan_agree_with_a_parser(before: dict[str, object], ascii_only: bool) -> None:
    body = write(before, None, ascii_only)
    parsed = json.loads(body)
    shape = splice.scan(body)
    assert shape is not None
    assert {m.name: json.loads(body[m.value : m.end]) for m in shape.members} == parsed


@given(st.binary(max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_bytes(body: bytes) -> None:
    splice.peek(body, ("a",))
    changed = splice.set_top_level(body, {"a": 1})
    assert changed == body or splice.scan(changed) is not None


UNTOUCHED = [
    b"",
    b"[]",
    b"null",
    b'"a"',
    b"{",
    b'{"a":1',
    b'{"a":1}x',
    b'{"a" 1}',
    b"{'a':1}",
    b'{"a":1,}',
    b"{,}",
]


@pytest.mark.parametrize("body", UNTOUCHED)
def test_what_is_not_an_object_stays(body: bytes) -> None:
    assert splice.set_top_level(body, {"model": "x"}) == body
    assert splice.drop_members(body, {"a"}) == body
    assert splice.ask_for_usage(body) == body


EXACT = [
    (b'{"model":"a","x":1}', {"model": "b"}, b'{"model":"b","x":1}'),
    (b'{ "x" : 1.0 ,\n "model" : "a" }', {"model": "b"}, b'{ "x" : 1.0 ,\n "model" : "b" }'),
    (b'{"x":{"model":"a"}}', {"model": "b"}, b'{"x":{"model":"a"},"model":"b"}'),
    (b"{}", {"a": 1, "b": [2]}, b'{"a":1,"b":[2]}'),
    (b'{\n "x": "\\u00e9"\n}', {"a": 1}, b'{\n "x": "\\u00e9","a":1\n}'),
    (b'{"model":"a","model":"c"}', {"model": "b"}, b'{"model":"b","model":"b"}'),
    (b'{"mod\\u0065l":"a"}', {"model": "b"}, b'{"mod\\u0065l":"b"}'),
    (b'{"x":"\xff"}', {"model": "b"}, b'{"x":"\xff","model":"b"}'),
]


@pytest.mark.parametrize(("body", "changes", "expected"), EXACT)
def test_every_other_byte_stays(body: bytes, changes: dict[str, object], expected: bytes) -> None:
    assert splice.set_top_level(body, changes) == expected


USAGE = [
    (b'{"stream":true}', b'{"stream":true,"stream_options":{"include_usage":true}}'),
    (b'{"stream_options":null}', b'{"stream_options":{"include_usage":true}}'),
    (b'{"stream_options":{}}', b'{"stream_options":{"include_usage":true}}'),
    (
        b'{"stream_options": {"include_obfuscation":false} ,"x":1}',
        b'{"stream_options": {"include_obfuscation":false,"include_usage":true} ,"x":1}',
    ),
    (b'{"stream_options":{"include_usage":false}}', b'{"stream_options":{"include_usage":true}}'),
]


@pytest.mark.parametrize(("body", "expected"), USAGE)
def test_ask_for_usage(body: bytes, expected: bytes) -> None:
    assert splice.ask_for_usage(body) == expected


def test_peek_sees_what_a_server_would() -> None:
    body = b'{"model":"cheap","stream":true,"messages":[{"model":"no"}],"model":"dear"}'
    assert splice.peek(body, ("model", "stream", "absent")) == {"model": "dear", "stream": True}
    large = body[:-1] + b',"pad":"' + b"x" * splice.PARSED_AT_ONCE + b'"}'
    assert splice.peek(large, ("model", "stream", "absent")) == {"model": "dear", "stream": True}


def test_hostile_nesting_is_not_json() -> None:
    body = b'{"a":' + b"[" * 300_000 + b"]" * 300_000 + b',"model":"x"}'
    assert splice.scan(body) is None
    assert splice.set_top_level(body, {"model": "y"}) == body


def test_moderate_nesting_is() -> None:
    body = b'{"a":' + b'[{"b":' * 200 + b"1" + b"}]" * 200 + b',"model":"x"}'
    assert json.loads(splice.set_top_level(body, {"model": "y"})) == {**json.loads(body), "model": "y"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a","x":1}', {"model": "b"}),
        (b'{"contents":[]}', {}),
        (
            b'{"generateContentRequest":{"model":"models/a","contents":[]}}',
            {"generateContentRequest": {"model": "models/b", "contents": []}},
        ),
        (b'{"generateContentRequest":null}', {}),
        (b"[]", {}),
    ],
)
def test_a_model_s_new_name_goes_wherever_the_body_says_it(body: bytes, expected: dict[str, object]):
    assert splice.renamed(body, "b") == expected
