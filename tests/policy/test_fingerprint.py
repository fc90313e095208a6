"""Which calls are the same: everything counts that is not known to say nothing of the answer."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llm_intercept.policy.fingerprint import VOLATILE, Asked, fingerprint

BODY: dict[str, Any] = {
    "model": "gpt-5-mini",
    "messages": [{"role": "user", "content": "Say it."}],
    "temperature": 0.5,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": 1, "b": 2}}}],
}
ASKED = Asked(
    scope="project red",
    provider="openai",
    host="api.openai.com:443",
    method="POST",
    path="/v1/chat/completions",
    headers={"user-agent": "x", "anthropic-beta": "a, b"},
    body=orjson.dumps(BODY),
)
KEY = fingerprint(ASKED)


def asked(**members: Any) -> Asked:
    return replace(ASKED, body=orjson.dumps({**BODY, **members}))


def at(path: str) -> bytes | None:
    return fingerprint(replace(ASKED, path=path))


def with_headers(**fields: str) -> bytes | None:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return fingerprint(replace(ASKED, headers={**ASKED.headers, **named}))


def test_it_is_made_of_32_bytes() -> None:
    assert KEY is not None
    assert len(KEY) == 32


@pytest.mark.parametrize("name", sorted(VOLATILE))
def test_what_no_answer_depends_on(name: str) -> None:
    assert fingerprint(asked(**{name: {"x": 1}})) == KEY
    assert fingerprint(replace(ASKED, replaced={name: True})) == KEY


@pytest.mark.parametrize(
    "same",
    [
        replace(ASKED, body=orjson.dumps(dict(reversed(BODY.items())))),
        replace(ASKED, body=b" " + ASKED.body.replace(b",", b" ,\n")),
        replace(ASKED, body=ASKED.body.replace(b"Say", b"\\u0053ay")),
        replace(ASKED, host="API.OpenAI.com:443"),
        replace(ASKED, headers={"anthropic-beta": "b,a"}),
        replace(ASKED, headers={**ASKED.headers, "x-request-id": "r", "traceparent": "00-1", "accept": "x"}),
        replace(ASKED, headers={**ASKED.headers, "anthropic-dangerous-direct-browser-access": "true"}),
        replace(ASKED, headers={**ASKED.headers, "openai-beta": " , "}),
        replace(ASKED, path="/v1/chat/completions?key=AIza0&alt=sse"),
        replace(ASKED, replaced={"model": "gpt-5-mini"}),
        replace(ASKED, body=orjson.dumps({**BODY, "model": "mine"}), replaced={"model": "gpt-5-mini"}),
    ],
)
def test_what_does_not_matter(same: Asked) -> None:
    assert fingerprint(same) == KEY


@pytest.mark.parametrize(
    "other",
    [
        replace(ASKED, scope="project blue"),
        replace(ASKED, provider="azure"),
        replace(ASKED, host="eu.api.openai.com:443"),
        replace(ASKED, host="api.openai.com:8443"),
        replace(ASKED, method="PUT"),
        replace(ASKED, path="/v1/completions"),
        replace(ASKED, path="/v1/chat/completions?api-version=2024-10-21"),
        replace(ASKED, path="/v1/chat/completions?api-version="),
        replace(ASKED, path="/V1/chat/completions"),
        replace(ASKED, headers={"anthropic-beta": "a"}),
        replace(ASKED, headers={"anthropic-beta": "a, b, c"}),
        replace(ASKED, headers={**ASKED.headers, "anthropic-version": "2023-06-01"}),
        replace(ASKED, headers={**ASKED.headers, "openai-beta": "assistants=v2"}),
        replace(ASKED, headers={**ASKED.headers, "openai-organization": "org-1"}),
        replace(ASKED, headers={**ASKED.headers, "x-amzn-bedrock-guardrailidentifier": "g1"}),
        replace(ASKED, headers={**ASKED.headers, "x-amzn-bedrock-performanceconfig-latency": "optimized"}),
        replace(ASKED, headers={**ASKED.headers, "azureml-model-deployment": "blue"}),
        replace(ASKED, headers={**ASKED.headers, "extra-parameters": "drop"}),
        replace(ASKED, added={"x-of-the-settings": "1"}),
        replace(ASKED, replaced={"model": "gpt-5"}),
        replace(ASKED, replaced={"reasoning_effort": "low"}),
        asked(messages=[{"role": "user", "content": "Say it!"}]),
        asked(messages=[{"role": "user", "content": "Say it.", "name": "x"}]),
        asked(messages=[{"role": "user", "content": "Say it.", "user": "x"}]),
        asked(temperature=0),
        asked(temperature=None),
        asked(seed=1),
        asked(store=True),
        asked(service_tier="flex"),
        asked(a_member_of_tomorrow=False),
        asked(tools=[{"type": "function", "function": {"name": "f", "parameters": {"a": 1, "b": 2.5}}}]),
    ],
)
def test_what_matters(other: Asked) -> None:
    assert fingerprint(other) not in (KEY, None)


def test_several_of_one_name() -> None:
    assert at("/a?x=1&y=2&x=3") == at("/a?y=2&x=3&x=1")
    assert len({at("/a?x=1"), at("/a?x=1&x=1"), at("/a?x=2"), at("/a?X=1"), at("/a?x=1&y="), at("/a")}) == 6


@pytest.mark.parametrize("name", ["guardrailidentifier", "guardrailversion", "trace"])
def test_guardrails(name: str) -> None:
    of = f"x_amzn_bedrock_{name}"
    found = {with_headers(), with_headers(**{of: "1"}), with_headers(**{of: "2"})}
    assert len(found) == 3


@pytest.mark.parametrize(
    ("streamed", "whole"),
    [
        ("/v1beta/models/m:streamGenerateContent", "/v1beta/models/m:generateContent"),
        ("/v1beta/models/m:streamGenerateContent?alt=sse", "/v1beta/models/m:generateContent"),
        ("/v1/p/x/models/claude:streamRawPredict", "/v1/p/x/models/claude:rawPredict"),
        ("/model/a.b-v1%3A0/converse-stream", "/model/a.b-v1%3A0/converse"),
        ("/model/a.b-v1%3A0/invoke-with-response-stream", "/model/a.b-v1%3A0/invoke"),
    ],
)
def test_how_it_is_delivered_does_not_matter(streamed: str, whole: str) -> None:
    assert at(streamed) == at(whole) != KEY
    assert at(whole.replace("/m", "/n").replace("a.b", "a.c").replace("claude", "opus")) != at(whole)


@pytest.mark.parametrize(
    "never",
    [
        replace(ASKED, body=b""),
        replace(ASKED, body=b"[1]"),
        replace(ASKED, body=b'"text"'),
        replace(ASKED, body=b'{"a": NaN}'),
        replace(ASKED, body=b'{"a": "\\ud800"}'),
        replace(ASKED, body=b'{"a":' + b"[" * 600 + b"]" * 600 + b"}"),
        replace(ASKED, path="/v1/chat/completions?x=%ff"),
        asked(previous_response_id="resp_1"),
        asked(conversation={"id": "conv_1"}),
        asked(background=True),
        asked(container="container_1"),
        replace(ASKED, replaced={"previous_response_id": "resp_1"}),
    ],
)
def test_what_cannot_be_answered_again(never: Asked) -> None:
    assert fingerprint(never) is None


def test_what_is_said_not_to_be_so_is_not_so() -> None:
    assert fingerprint(asked(background=False, previous_response_id=None)) is not None


names = st.text(min_size=1, max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(names.filter(lambda name: name not in VOLATILE), values, max_size=5)


def _as_json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def of(body: dict[str, Any]) -> bytes | None:
    try:
        return fingerprint(replace(ASKED, body=orjson.dumps(body)))
    except TypeError:  # no text that JSON could have
        return None


@settings(deadline=None)
@given(bodies, names, values)
def test_every_other_member_changes_the_key(body: dict[str, Any], name: str, value: Any) -> None:
    assume(name not in VOLATILE)
    before = of(body)
    assume(before is not None)
    changed = {**body, name: value}
    assert (of(changed) == before) == (_as_json(changed) == _as_json(body))
    if name in body:
        assert of({k: v for k, v in body.items() if k != name}) != before


@settings(deadline=None)
@given(bodies, st.sampled_from(sorted(VOLATILE)), values, st.randoms())
def test_neither_order_nor_what_is_volatile_does(
    body: dict[str, Any], name: str, value: Any, chance: Any
) -> None:
    members = [*body.items(), (name, value)]
    chance.shuffle(members)
    assert of(dict(members)) == of(body)


@settings(deadline=None)
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_places_are_not_mixed_up(scope: str, provider: str, path: str, other: str) -> None:
    """What stands in one place cannot be taken for something in the next one."""
    assume((scope, provider) != (path, other))
    make: Callable[[str, str], bytes | None] = lambda a, b: fingerprint(  # noqa: E731
        replace(ASKED, scope=a, provider=b)
    )
    assert make(scope, provider) != make(path, other)
