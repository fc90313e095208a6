"""Claude Code's accounting line: for Anthropic as it is, for nobody else."""

import json
from typing import Any

import pytest

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context
from llm_intercept.wire.translation import Side, Translation

LINE = "x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch=%s;"
MARKED = {"type": "text", "text": "You are helpful.", "cache_control": {"type": "ephemeral"}}


def asked(system: object) -> dict[str, Any]:
    talk = [{"role": "user", "content": f"what is {LINE}"}]
    return {"model": "m", "max_tokens": 99, "system": system, "messages": talk}


def sent(target: str, system: object) -> tuple[str, list[str]]:
    context = Context()
    translation = Translation(Side("anthropic"), Side(target), context, stream=False)
    request = context.request = translation.read(json.dumps(asked(system)).encode(), "m", False)
    return json.dumps(translation.encode(request).body), context.warnings


@pytest.mark.parametrize("target", sorted(codecs.names() - {"anthropic"}))
def test_other_providers_get_the_same_prompt_each_time(target: str) -> None:
    """And what the user says of it stays."""
    one, warnings = sent(target, [{"type": "text", "text": LINE % "36ee5"}, MARKED])
    two, _ = sent(target, [{"type": "text", "text": LINE % "0aaa9"}, MARKED])
    assert one == two
    assert "36ee5" not in one
    assert "You are helpful." in one
    assert "what is x-anthropic-billing-header" in one
    assert any(warning.startswith("system: the line") for warning in warnings)


def test_of_a_prompt_in_one_piece_the_first_line_goes() -> None:
    body, _ = sent("openai_chat", f"{LINE % 'abc'}\nYou are\nhelpful.")
    assert json.loads(body)["messages"][0] == {"role": "system", "content": "You are\nhelpful."}
    alone, _ = sent("openai_chat", LINE % "abc")
    assert [message["role"] for message in json.loads(alone)["messages"]] == ["user"]


def test_anthropic_gets_it_and_other_prompts_are_untouched() -> None:
    assert "cch=abc" in sent("anthropic", [{"type": "text", "text": LINE % "abc"}, MARKED])[0]
    body, warnings = sent("openai_chat", "You are helpful.")
    assert "You are helpful." in body
    assert warnings == []
