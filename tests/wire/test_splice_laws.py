"""Laws of splicing over bodies as clients may write them: whitespace, escapes, duplicates, depth, size.

A splice never guesses: what a JSON reader does not take for an object stays as it is, and whatever a reader
sees of a body (so that a call is led by it) is what a splice changes.
"""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm_intercept.wire import splice
from llm_intercept.wire.fields import parse_object

SPLICED = ("model", "max_tokens", "stream_options", "reasoning_effort", "temperature")
BLANKS = st.text(" \t\r\n", max_size=3)
RAW_NAMES = {
    "model": ['"model"', '"mod\\u0065l"', '"\\u006Dodel"'],
    "temperature": ['"temperature"', '"temper\\u0061ture"'],
    "max_tokens": ['"max_tokens"', '"max\\u005ftokens"'],
    "messages": ['"messages"'],
    'a"b': ['"a\\"b"', '"a\\u0022b"'],
    "back\\slash": ['"back\\\\slash"'],
    "\n": ['"\\n"', '"\\u000a"'],
    "": ['""'],
    "é😀": ['"é😀"', '"\\u00e9\\ud83d\\ude00"'],
}
NAMES = st.sampled_from(sorted(RAW_NAMES))
RAW_VALUES = st.sampled_from(
    [
        "null",
        "-0.0",
        "1E300",
        "123456789012345678901234567890",
        '"a"',
        '"\\"},\\u0022model\\": 1"',
        '"}\\\\"',
        '"é😀\\ud83d\\ude00"',
        "[ ]",
        '{ "model" : "inner" }',
        '[{"model":["}","]",{"a":[[[[[[[[1]]]]]]]]}]},"\\\\"]',
    ]
)
CHANGES = st.dictionaries(
    st.sampled_from(SPLICED),
    st.text(max_size=4) | st.integers() | st.booleans() | st.just({"include_usage": True}),
    max_size=3,
)


type Piece = tuple[str | None, str]
"""Text of a body, and the name of the member whose value it is."""


@st.composite
def documents(draw: st.DrawFn) -> list[Piece]:
    """A body in pieces."""
    pieces: list[Piece] = [(None, draw(BLANKS) + "{")]
    names = draw(st.lists(NAMES, max_size=6))
    for place, name in enumerate(names):
        spelt = draw(st.sampled_from(RAW_NAMES[name]))
        pieces.append(
            (None, ("," if place else "") + draw(BLANKS) + spelt + draw(BLANKS) + ":" + draw(BLANKS))
        )
        pieces.append((name, draw(RAW_VALUES)))
        pieces.append((None, draw(BLANKS)))
    return [*pieces, (None, "}" + draw(BLANKS))]


def written(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


@given(documents(), CHANGES)
@settings(max_examples=200, deadline=None)
def test_every_byte_but_the_values_stays(pieces: list[Piece], changes: dict[str, object]) -> None:
    """Duplicates are all changed, members inside others are not, what is missing comes behind the last."""
    body = "".join(text for _, text in pieces).encode()
    expected = [written(changes[name]) if name in changes else text for name, text in pieces]
    present = {name for name, _ in pieces}
    added = [f"{written(name)}:{written(value)}" for name, value in changes.items() if name not in present]
    if added:
        # Behind the last value, before the blanks that follow it; or before the brace of an empty object.
        last = max((place for place, (name, _) in enumerate(pieces) if name is not None), default=0)
        expected[last] += ("," if last else "") + ",".join(added)
    after = splice.set_top_level(body, changes)
    if last_is_blank(pieces, added):
        assert json.loads(after) == {**json.loads(body), **changes}
        return
    assert after == "".join(expected).encode()
    assert json.loads(after) == {**json.loads(body), **changes}


def last_is_blank(pieces: list[Piece], added: list[str]) -> bool:
    """An empty object with blanks in it: where between them something is put is of no account."""
    return bool(added) and not any(name is not None for name, _ in pieces)


@given(documents(), st.sets(NAMES, max_size=3))
@settings(max_examples=200, deadline=None)
def test_members_taken_out_leave_the_others_as_they_were(pieces: list[Piece], names: set[str]) -> None:
    body = "".join(text for _, text in pieces).encode()
    after = splice.drop_members(body, names)
    assert json.loads(after) == {n: v for n, v in json.loads(body).items() if n not in names}
    kept = [text for name, text in pieces if name is not None and name not in names]
    at = 0
    for text in kept:
        at = after.index(text.encode(), at) + len(text.encode())


@given(documents(), st.data())
@settings(max_examples=300, deadline=None)
@example([(None, '{"model":NaN}')], None)
@example([(None, '{"a":01,"model":"x"}')], None)
@example([(None, '\ufeff{"model":"x"}')], None)
def test_what_a_reader_sees_is_what_is_changed(pieces: list[Piece], data: st.DataObject | None) -> None:
    """Bodies with a byte changed, put in or left out: either nobody reads them, or all read the same."""
    body = "".join(text for _, text in pieces).encode()
    if data is not None and body:
        at = data.draw(st.integers(0, len(body) - 1))
        put = data.draw(
            st.sampled_from([b"", b'"', b"\\", b"{", b"}", b"[", b",", b":", b"\xff", b"\x00", b" "])
        )
        body = body[:at] + put + body[at + data.draw(st.integers(0, 1)) :]
    seen = parse_object(body)
    after = splice.set_top_level(body, {"model": "m"})
    if seen:
        assert parse_object(after) == {**seen, "model": "m"}
    else:
        assert parse_object(after) == ({"model": "m"} if json_is_empty(body) else {})


def json_is_empty(body: bytes) -> bool:
    try:
        return bool(json.loads(body) == {})
    except ValueError:
        return False


@given(documents())
@settings(max_examples=200, deadline=None)
def test_a_glance_sees_the_same_whatever_the_size(pieces: list[Piece]) -> None:
    """Small bodies are parsed, large ones scanned."""
    body = "".join(text for _, text in pieces).encode()
    pad = b'{"pad":"' + b"x" * splice.PARSED_AT_ONCE + b'"' + (b"," if len(pieces) > 2 else b"")
    large = pad + body.lstrip()[1:]
    assert splice.peek(large, RAW_NAMES) == splice.peek(body, RAW_NAMES)


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7"])
def test_other_encodings_are_refused(codec: str) -> None:
    body = '{"model":"é","x":[1]}'.encode(codec)
    if codec == "utf-7":
        assert parse_object(splice.set_top_level(body, {"model": "m"}))["model"] == "m"
        return
    assert parse_object(body) == {}
    assert splice.set_top_level(body, {"model": "m"}) == body
    assert splice.drop_members(body, {"model"}) == body


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [1, 7, 8, 100, 990, 998, 999, 1000, 1001, 1023, 1024, 1025, 5000])
def test_depth(opening: str, depth: int) -> None:
    """A depth that our reader takes is one that a splice goes through; much deeper it does not go."""
    closing = "]" if opening == "[" else "}"
    inner = "" if opening == "[" else "1"
    body = f'{{"deep":{opening * depth}{inner}{closing * depth},"model":"a"}}'.encode()
    after = splice.set_top_level(body, {"model": "b"})
    changed = body.replace(b'"model":"a"', b'"model":"b"')
    assert after == changed or not parse_object(body)
    assert after in (body, changed)
    assert after == body or depth < 2000


def test_size() -> None:
    """Long strings and many members, on either side of what is changed."""
    long = json.dumps('x\\"{}[]é' * 300_000)
    many = ",".join(f'"n{number}":[{number}]' for number in range(20_000))
    body = f'{{"a":{long},{many},"model":"a","b":{long}}}'.encode()
    assert splice.set_top_level(body, {"model": "b"}) == body.replace(b'"model":"a"', b'"model":"b"')
