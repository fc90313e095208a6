"""Forms by themselves: text to values, values to text, and where what is wrong is said."""

import sys
from typing import Any

import pytest
from pydantic import BaseModel, Field

from llm_intercept.errors import ConfigError, Conflict
from llm_intercept.policy.allow import Policy
from tests.dashboard.admin.conftest import Admin


@pytest.fixture
def part(admin: Admin) -> Any:
    return lambda name: sys.modules[f"llm_dashboard.admin.{name}"]


@pytest.mark.parametrize(
    ("text", "scale", "expected"),
    [
        ("60", 1, 60),
        ("100k", 1, 100_000),
        ("2.5M", 1, 2_500_000),
        ("1,000", 1, 1000),
        ("$5", 10**9, 5 * 10**9),
    ],
)
def test_amounts(part: Any, text: str, scale: int, expected: int) -> None:
    assert part("forms").amount(scale)(text) == expected


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "x"])
def test_numbers_are_finite(part: Any, text: str) -> None:
    with pytest.raises(ConfigError):
        part("forms").number(text)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            Conflict("a project named 'x' exists already; `llm-intercept project list` shows all"),
            "A project named 'x' exists already.",
        ),
        (ConfigError("no; use 1 to 64"), "No; use 1 to 64."),
        (
            ConfigError("make a new one (llm-intercept token create)"),
            "Make a new one.",
        ),
    ],
)
def test_sentences_have_no_advice_about_commands(part: Any, error: Exception, expected: str) -> None:
    assert part("forms").worded(error) == expected


class _Inner(BaseModel):
    low: int = Field(ge=1)


class _Outer(BaseModel):
    inner: _Inner
    name: str


def test_what_a_model_refuses_is_said_at_its_field(part: Any) -> None:
    forms = part("forms")
    fields = (forms.Field("low", "Low"), forms.Field("name", "Name"))
    form = forms.Form([forms.Section("", fields)])
    assert form.model(_Outer, {"inner": {"low": 0}, "name": "x"}, {"inner.low": "low"}) is None
    assert set(form.errors) == {"low"}
    other = forms.Form([forms.Section("", fields)])
    assert other.model(_Outer, {"inner": None, "name": "x"}) is None
    assert other.problem
    assert form.model(_Outer, {"inner": {"low": 2}, "name": "x"}).inner.low == 2


def test_nothing_that_is_set_or_wrong_is_folded_away(part: Any) -> None:
    forms = part("forms")
    section = forms.Section("", (forms.Field("a", "A"),), folded=True)
    assert not forms.Form([section]).is_open(section)
    assert forms.Form([section], {"a": "1"}).is_open(section)
    assert forms.Form([section], errors={"a": "no"}).is_open(section)


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"models": ["gpt-5*", "claude-*"], "providers": ["openai"], "endpoints": ["chat", "POST /v1/x"]},
        {"parameters": {"max_tokens": {"max": 4096}, "temperature": {"min": 0, "max": 0.5}, "n": [1, 2]}},
        {"parameters": {"stream": [True], "reasoning_effort": ["low", "medium"]}},
        {"ips": ["10.0.0.0/8"], "origins": ["https://app.example.com"]},
    ],
)
def test_policies_go_there_and_back(part: Any, policy: dict[str, Any]) -> None:
    policies, forms = part("policies"), part("forms")
    wanted = Policy.model_validate(policy)
    form = forms.Form([policies.section("", "")], policies.values(wanted))
    assert policies.read(form) == wanted
    assert not form.failed
    assert bool(policies.summary(wanted)) == bool(policy)


def test_what_is_shown_once_waits_for_its_owner_alone(part: Any) -> None:
    now = [0.0]
    once = part("once").Once(lambda: now[0])
    code = once.put("ada", "secret")
    assert once.take("bob", code) is None
    assert once.take("ada", "another") is None
    assert once.take("ada", code) == "secret"
    assert once.take("ada", code) is None
    late = once.put("ada", "secret")
    now[0] = 301.0
    assert once.take("ada", late) is None


def test_not_more_wait_than_there_is_room_for(part: Any) -> None:
    once = part("once").Once(lambda: 0.0)
    codes = [once.put("ada", number) for number in range(300)]
    assert once.take("ada", codes[0]) is None
    assert once.take("ada", codes[-1]) == 299
