import json

from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.cassette.diff import LINES, WIDTH, compared, likeness, shown


def test_only_the_difference_is_shown() -> None:
    before = {"model": "a", "list": list(range(30)), "system": "one\ntwo\n" + "long " * 100 + "end"}
    after = {**before, "system": "one\nTWO\n" + "long " * 100 + "end"}
    text = compared(json.dumps(before).encode(), json.dumps(after).encode(), "then", "now")
    assert text.startswith("--- then\n+++ now")
    changed = [line for line in text.splitlines()[2:] if line[0] in "+-"]
    assert [line[0] + line[1:].strip() for line in changed] == [r"-two\n", r"+TWO\n"]


def test_a_long_difference_is_cut() -> None:
    before, after = ([str(n) for n in range(a, a + 2 * LINES)] for a in (0, 10_000))
    text = compared(json.dumps(before).encode(), json.dumps(after).encode(), "a", "b")
    assert len(text.splitlines()) == LINES + 1
    assert text.endswith("more lines")


def test_what_is_no_json_is_shown_too() -> None:
    assert compared(b"a\xff", b"b", "x", "y").splitlines()[3:] == ["-a\\xff", "+b"]


@given(st.recursive(st.text() | st.integers(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)))
def test_lines_are_short_and_equal_bodies_equal(value: object) -> None:
    body = json.dumps(value).encode()
    assert all(len(line.strip()) <= WIDTH for line in shown(body))
    assert compared(body, body, "a", "b") == ""
    assert likeness(body, body) == 1.0
