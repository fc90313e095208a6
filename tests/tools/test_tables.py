import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.errors import ConfigError
from llm_intercept.tools.tables import Record, read


def test_lines_of_csv_are_those_of_the_file() -> None:
    text = 'name,members\n\n"a","x;y"\n"b","two\nlines"\nc\n'
    assert read(text, is_csv=True) == [
        Record(3, {"name": "a", "members": "x;y"}),
        Record(4, {"name": "b", "members": "two\nlines"}),
        Record(6, {"name": "c"}),
    ]


@pytest.mark.parametrize(
    "text",
    ['[{"a": 1},\n\n {"a": 2}\n]\n', '{"a": 1}\n\n{"a": 2}\n', '[\n{"a": 1}, {"a": 2}]'],
)
def test_json_is_an_array_or_lines(text: str) -> None:
    assert [record.values for record in read(text, is_csv=False)] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("text", "is_csv", "message"),
    [
        ("", True, "names the columns"),
        ("a,a\n1,2\n", True, "each once"),
        ("a\n1,2\n", True, "line 2: has more cells"),
        ('a\n"x\n', True, "is not CSV"),
        ('[{"a": 1},\n{"a": }]', False, "line 2: is not JSON"),
        ('[{"a": 1},\n3]', False, "line 2: expected an object"),
        ('[{"a": 1}] {"a": 2}', False, "follows the end"),
        ('{"a": 1}\n{"a": 2\n{"a": 3}\n', False, "line 2: is not JSON"),
        ('{"a": 1\n\n{"a": 2}\n', False, "line 1: is not JSON"),
        ('{"a":\n{"a": 2}\n{"a": 3}\n', False, "line 1: is not JSON"),
        ('{"a": 1,\n{"a": 2}\n', False, "line 1: is not JSON"),
        ('{"a": 1}\n{"a": 2', False, "line 2: is not JSON"),
        ('{"a": 1}\n{"a": 2\n', False, "line 2: is not JSON"),
        ('{"a": 1}\n{"a": "x\n{"a": 3}\n', False, "line 2: is not JSON"),
        ('{"a": 1}\nb\n{"a": 3}\n', False, "line 2: is not JSON"),
        ('[\n {\n  "a": 1\n  "b": 2\n }\n]', False, "line 3: is not JSON"),
        ('[\n {\n  "a": 1,\n  "b": x\n }\n]', False, "line 4: is not JSON"),
    ],
)
def test_mistakes_are_where_they_are(text: str, is_csv: bool, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(text, is_csv=is_csv)


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.none())))
def test_json_comes_through(values: list[dict[str, object]]) -> None:
    for indent in (None, 1):
        found = read(json.dumps(values, indent=indent), is_csv=False)
        assert [record.values for record in found] == values
