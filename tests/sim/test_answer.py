from dataclasses import replace

import pytest

from llm_intercept.sim.answer import LOREM_TOKENS, PromptCache, compose
from llm_intercept.sim.example import example
from llm_intercept.sim.prompt import CacheMark, Prompt, Tool

PROMPT = Prompt("gpt-4o", "say STOP now", input_tokens=10)
TOOLS = (Tool("first", {"properties": {"a": {"type": "integer"}}}), Tool("second", {}))


@pytest.mark.parametrize(
    ("behaviour", "changes", "text", "finish", "output"),
    [
        ("echo", {}, "say STOP now", "stop", 3),
        ("echo", {"max_output": 2}, "say STOP", "length", 2),
        ("echo", {"stops": ("STOP",)}, "say ", "stop_sequence", 2),
        ("echo", {"n": 3}, "say STOP now", "stop", 9),
        ("echo", {"schema": {"properties": {"a": {"type": "boolean"}}}}, '{"a":true}', "stop", 2),
        ("tools", {"tools": TOOLS, "after_tool": True}, "The tool returned: say STOP now", "stop", 7),
    ],
)
def test_what_is_said(
    behaviour: str, changes: dict[str, object], text: str, finish: str, output: int
) -> None:
    answer = compose(replace(PROMPT, **changes), behaviour, PromptCache())  # type: ignore[arg-type]
    assert (answer.whole_text, answer.finish, answer.counts.output) == (text, finish, output)


@pytest.mark.parametrize(
    ("behaviour", "changes", "called"),
    [
        ("echo", {}, []),
        ("tools", {}, ["first"]),
        ("echo", {"text": "use a tool"}, ["first"]),
        ("echo", {"text": "call second and first"}, ["first", "second"]),
        ("echo", {"force_tool": "second", "after_tool": True}, ["second"]),
        ("echo", {"force_tool": ""}, ["first"]),
        ("tools", {"forbid_tools": True}, []),
        ("tools", {"after_tool": True}, []),
    ],
)
def test_which_tools_are_called(behaviour: str, changes: dict[str, object], called: list[str]) -> None:
    prompt = replace(PROMPT, tools=TOOLS, **changes)  # type: ignore[arg-type]
    answer = compose(prompt, behaviour, PromptCache())
    assert [call.name for call in answer.calls] == called
    assert (answer.finish == "tool") is bool(called)


@pytest.mark.parametrize(("limit", "tokens", "finish"), [(None, LOREM_TOKENS, "stop"), (7, 7, "length")])
def test_lorem_is_as_long_as_asked(limit: int | None, tokens: int, finish: str) -> None:
    answer = compose(replace(PROMPT, max_output=limit), "lorem", PromptCache())
    assert (answer.counts.output, answer.finish) == (tokens, finish)


def test_a_marked_prefix_is_written_once_and_read_afterwards() -> None:
    cache, prompt = PromptCache(), replace(PROMPT, cache=CacheMark(6, b"prefix", hour=True))
    first, second = (compose(prompt, "echo", cache).counts for _ in range(2))
    assert (first.cache_read, first.cache_write, first.cache_hour, first.fresh) == (0, 6, 6, 4)
    assert (second.cache_read, second.cache_write, second.cache_hour, second.fresh) == (6, 0, 0, 4)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"const": 4}}},
            {"a": 4},
        ),
        ({"type": "array", "items": {"type": "null"}, "minItems": 2}, [None, None]),
        ({"anyOf": [{"enum": ["b", "c"]}]}, "b"),
        ({"type": "STRING", "maxLength": 3}, "sam"),
        ({"type": ["number", "null"], "minimum": 2.5}, 2.5),
        (None, "sample"),
    ],
)
def test_examples_have_the_schemas_shape(schema: object, value: object) -> None:
    assert example(schema) == value
