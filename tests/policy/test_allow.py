"""Policies are judged on what was said, however it was spelt."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.errors import ConfigError
from llm_intercept.policy import allow
from llm_intercept.policy.allow import Allowance, Call, Head, Policy, allowance, allows_model, parsed
from llm_intercept.policy.members import read

JSON = "application/json"


def of(**policy: Any) -> Allowance:
    made = allowance(("token demo/laptop", parsed(policy).text()))
    assert made is not None
    return made


def head(
    method: str = "POST",
    path: str = "/v1/chat/completions",
    operation: str = "chat",
    ip: str = "10.1.2.3",
    origin: str | None = None,
    overridden: bool = False,
) -> Head:
    return Head(method, path, operation, ip, origin, overridden)


def call(
    body: bytes | None,
    content_type: str = JSON,
    *,
    asked: str = "",
    model: str = "",
    provider: str = "openai",
    operation: str = "chat",
    method: str = "POST",
) -> Call:
    leaves = read(body, content_type)
    return Call(method, operation, asked, model or asked, provider, [leaves], operation == "chat")


def code(verdict: allow.Verdict | None) -> str:
    return verdict.code if verdict else ""


def test_no_policy_is_none() -> None:
    assert allowance(("token a/b", "{}"), ("project a", "")) is None
    assert not Policy()
    assert Policy().text() == "{}"


def test_what_is_stored_is_read_back() -> None:
    policy = parsed(
        {
            "models": ["gpt-*"],
            "parameters": {"max_tokens": {"max": 4096}, "stream": [False], "n": [1, 2.5], "tier": ["a*"]},
            "ips": ["10.0.0.0/8"],
        }
    )
    again = Policy.model_validate_json(policy.text())
    assert again == policy
    assert again.parameters["stream"] == (False,)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"modles": ["x"]}, "modles"),
        ({"models": [""]}, "empty word"),
        ({"ips": ["10.0.0.0/99"]}, "no address"),
        ({"ips": ["somewhere"]}, "no address"),
        ({"origins": ["example.com"]}, "no origin"),
        ({"endpoints": ["FETCH /v1"]}, "no endpoint"),
        ({"endpoints": ["POST v1/chat"]}, "no endpoint"),
        ({"parameters": {"max_tokens": {}}}, "a min, a max"),
        ({"parameters": {"max_tokens": {"min": 5, "max": 4}}}, "a min, a max"),
        ({"parameters": {"max_tokens": {"most": 4}}}, "most"),
        ({"parameters": {"stop": []}}, "no value that is allowed"),
        ({"parameters": {"a b": [1]}}, "no name of a parameter"),
        ({"parameters": {"model": {"max": 1}}}, "by name"),
        ({"parameters": {"model": [4]}}, "by name"),
        ({"models": "gpt-4o"}, "models"),
    ],
)
def test_what_is_no_policy(values: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parsed(values)


IPS = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120"]


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::1", True),
        ("2001:DB8:0:0::1%eth0", True),
        ("2001:db9::1", False),
        ("198.51.100.9", True),
        ("198.51.101.9", False),
        ("010.1.2.3", False),
        ("10.1.2.3, 1.1.1.1", False),
        ("", False),
    ],
)
def test_addresses(address: str, fits: bool) -> None:
    found = allow.judge_head(of(ips=IPS), head(ip=address))
    assert code(found) == ("" if fits else "ip_not_allowed")


ORIGINS = ["https://app.example.com", "https://*.corp.example", "http://localhost:*", "app://desk"]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://app.example.com", ""),
        ("https://APP.example.com", ""),
        ("https://app.example.com:443", ""),
        ("https://app.example.com:8443", "origin_not_allowed"),
        ("http://app.example.com", "origin_not_allowed"),
        ("https://a.b.corp.example", ""),
        ("https://corp.example", "origin_not_allowed"),
        ("https://evil.example/.corp.example", "origin_not_allowed"),
        ("https://evil.example:443@x.corp.example", "origin_not_allowed"),
        ("https://evil.example#.corp.example", "origin_not_allowed"),
        ("https://evil.example\\.corp.example", "origin_not_allowed"),
        ("https://*.corp.example", "origin_not_allowed"),
        ("http://localhost:3000", ""),
        ("http://localhost", ""),
        ("app://desk", ""),
        ("null", "origin_not_allowed"),
        ("", "origin_required"),
        (None, "origin_required"),
    ],
)
def test_origins(origin: str | None, expected: str) -> None:
    assert code(allow.judge_head(of(origins=ORIGINS), head(origin=origin))) == expected


def test_any_origin_is_still_one() -> None:
    assert allow.judge_head(of(origins=["*"]), head(origin="https://x.example")) is None
    assert code(allow.judge_head(of(origins=["*"]), head())) == "origin_required"
    assert allow.judge_head(of(origins=["null"]), head(origin="null")) is None


ENDPOINTS = ["POST /v1/chat/*", "GET /v1/models*", "embeddings", "/v1/files/*", "* /bedrock/*"]


@pytest.mark.parametrize(
    ("method", "path", "operation", "fits"),
    [
        ("POST", "/v1/chat/completions", "chat", True),
        ("GET", "/v1/chat/completions", "other", False),
        ("post", "/v1/chat/completions", "other", False),
        ("POST", "/V1/chat/completions", "other", False),
        ("POST", "//v1/chat/completions", "other", False),
        ("POST", "/v1//chat/completions", "other", False),
        ("POST", "/v1/chat/../responses", "other", False),
        ("POST", "/v1/chat/..", "other", False),
        ("POST", "/v1/chat/%2e%2e/responses", "other", False),
        ("POST", "/v1/chat/%2E./responses", "other", False),
        ("POST", "/v1/chat/..;/responses", "other", False),
        ("POST", "/v1/chat/x;a=b", "other", False),
        ("POST", "/v1/chat/%252e%252e/responses", "other", False),
        ("POST", "/v1/chat\\..\\responses", "other", False),
        ("POST", "/v1/chat/%5c..%5cresponses", "other", False),
        ("POST", "/v1/chat/%00", "other", False),
        ("POST", "/v1/chat/%0d%0a", "other", False),
        ("POST", "/v1/chat/x#/v1/responses", "other", False),
        ("POST", "/v1/chat/%3fx", "other", False),
        ("POST", "/v1/chat/%ff", "other", False),
        ("POST", "/v1/chat/./completions", "other", False),
        ("POST", "/v1/ch%61t/completions", "other", True),
        ("POST", "v1/chat/completions", "other", False),
        ("GET", "/v1/models", "models", True),
        ("HEAD", "/v1/models/x", "models", True),
        ("POST", "/v1/embeddings", "embeddings", True),
        ("DELETE", "/v1/files/f-1", "files", True),
        ("POST", "/bedrock/arn%3Aaws%3Ax%2Fy/invoke", "other", True),
        ("POST", "/v1/responses", "responses", False),
    ],
)
def test_endpoints(method: str, path: str, operation: str, fits: bool) -> None:
    found = allow.judge_head(of(endpoints=ENDPOINTS), head(method, path, operation))
    assert code(found) == ("" if fits else "endpoint_not_allowed")


def test_another_method_by_header_is_not_allowed() -> None:
    found = allow.judge_head(of(endpoints=ENDPOINTS), head(overridden=True))
    assert code(found) == "endpoint_not_allowed"
    assert allow.judge_head(of(models=["x"]), head(overridden=True)) is None


@pytest.mark.parametrize(
    ("asked", "model", "provider", "fits"),
    [
        ("gpt-4o-mini", "gpt-4o-mini", "openai", True),
        ("GPT-4o-mini", "GPT-4o-mini", "openai", True),
        ("gpt-5", "gpt-5", "openai", False),
        ("gpt-4o-mini", "gpt-5", "openai", False),  # an alias or a route
        ("fast", "gpt-4o-mini", "openai", False),
        ("openai/gpt-4o-mini", "gpt-4o-mini", "openai", True),
        ("gpt-4o-mini:high", "gpt-4o-mini", "openai", True),
        ("openai/gpt-4o-mini:8k", "gpt-4o-mini", "openai", True),
        ("gpt-5:high", "gpt-5", "openai", False),
        ("groq/gpt-4o-mini", "gpt-4o-mini", "openai", False),
        ("gpt-4o-mini ", "gpt-4o-mini ", "openai", True),
        (" gpt-4o-mini", " gpt-4o-mini", "openai", False),
        ("models/gpt-4o-mini", "models/gpt-4o-mini", "openai", True),
    ],
)
def test_models_as_asked_and_as_sent(asked: str, model: str, provider: str, fits: bool) -> None:
    allowed = of(models=["gpt-4o-*"])
    body = json.dumps({"model": asked}).encode()
    found = allow.judge_call(allowed, call(body, asked=asked, model=model, provider=provider))
    assert code(found) == ("" if fits else "model_not_allowed")
    assert allows_model(allowed, asked, model, provider) is fits


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (b'{"model": "gpt-5", "model": "gpt-4o-mini"}', False),
        (b'{"model": "gpt-4o-mini", "model": "gpt-5"}', False),
        (b'{"model": "gpt-4o-mini", "Model": "gpt-5"}', False),
        (b'{"m\\u006fdel": "gpt-5", "model": "gpt-4o-mini"}', False),
        (b'{"model": "gpt-4o-mini", "models": ["gpt-4o-mini", "gpt-5"]}', False),
        (b'{"model": "gpt-4o-mini", "models": ["gpt-4o-mini"]}', True),
        (b'{"model": "gpt-4o-mini", "models": [["gpt-5"]]}', False),
        (b'{"model": "gpt-4o-mini", "fallbacks": [{"model": "gpt-5"}]}', False),
        (b'{"model": "gpt-4o-mini", "tools": [{"type": "image", "model": "gpt-5"}]}', False),
        (b'{"model": "gpt-4o-mini", "tools": [{"function": {"parameters": {"model": {}}}}]}', True),
        (b'{"model": "gpt-4o-mini", "metadata": {"model": "x"}, "messages": [{"model": "y"}]}', True),
        (b'{"requests": [{"params": {"model": "gpt-4o-mini"}}, {"params": {"model": "gpt-5"}}]}', False),
        (b'{"requests": [{"params": {"model": "gpt-4o-mini"}}]}', True),
        (b'{"model": null, "messages": []}', False),
        (b'{"model": 4}', False),
        (b'{"prompt": {"id": "pmpt_1"}}', False),
        (b'["model"]', False),
        (b'{"model": "gpt-4o-mini"', False),
        (b'\xef\xbb\xbf{"model": "gpt-4o-mini"}', False),
        ('{"model": "gpt-4o-mini"}'.encode("utf-16"), False),
        (b'{"model": "gpt-4o-mini", "x": NaN}', False),
        (b'{"a":' * 100_000, False),
        (None, False),
    ],
)
def test_models_in_bodies(body: bytes | None, fits: bool) -> None:
    found = allow.judge_call(of(models=["gpt-4o-*"]), call(body, operation="other"))
    assert code(found) == ("" if fits else "model_not_allowed")


def test_calls_without_a_model() -> None:
    allowed = of(models=["gpt-4o-*"])
    for silent in (
        call(b"", operation="batches"),
        call(b"", operation="other", method="GET"),
        call(b'{"purpose": "x"}', operation="files"),
    ):
        assert allow.judge_call(allowed, silent) is None
    assert code(allow.judge_call(allowed, call(b"", operation="chat"))) == "model_not_allowed"


def test_sentences_name_rule_and_value() -> None:
    found = allow.judge_call(of(models=["gpt-4o-*"]), call(b"{}", asked="fast", model="gpt-5"))
    assert found is not None
    assert found.sentence == "The token demo/laptop may be used only for models gpt-4o-*; 'fast' is not."
    found = allow.judge_call(of(models=["fast"]), call(b"{}", asked="fast", model="gpt-5"))
    assert found is not None
    assert found.sentence.endswith("only for models fast; 'fast' leads to 'gpt-5', which is not.")
    body = b'{"model": "x", "max_tokens": 9000}'
    found = allow.judge_call(of(parameters={"max_tokens": {"max": 4096}}), call(body))
    assert found is not None
    assert found.sentence == (
        "The token demo/laptop may be used only with max_tokens at most 4096; max_tokens is 9000."
    )


def test_providers() -> None:
    allowed = of(providers=["open*", "Anthropic"])
    assert allow.judge_call(allowed, call(b"{}", provider="openrouter")) is None
    assert allow.judge_call(allowed, call(b"{}", provider="anthropic")) is None
    assert code(allow.judge_call(allowed, call(b"{}", provider="groq"))) == "provider_not_allowed"


MOST = {"max_tokens": {"max": 4096}}


@pytest.mark.parametrize(
    ("rules", "body", "fits"),
    [
        (MOST, {"max_tokens": 4096}, True),
        (MOST, {"max_tokens": 4097}, False),
        (MOST, {"max_tokens": 4096.0}, True),
        (MOST, {"max_tokens": 4096.5}, False),
        (MOST, {"max_tokens": "4096"}, False),
        (MOST, {"max_tokens": True}, False),
        (MOST, {"max_tokens": -1}, False),
        (MOST, {"max_tokens": 0}, False),
        (MOST, {"max_tokens": None}, False),
        (MOST, {"messages": []}, False),
        (MOST, {"max_tokens": [1]}, False),
        (MOST, {"max_completion_tokens": 5000}, False),
        (MOST, {"max_completion_tokens": 5000, "max_tokens": 1}, False),
        (MOST, {"max_output_tokens": 4000}, True),
        (MOST, {"generationConfig": {"maxOutputTokens": 5000}}, False),
        (MOST, {"generation_config": {"max_output_tokens": 5000}}, False),
        (MOST, {"GenerationConfig": {"MaxOutputTokens": 5000}}, False),
        (MOST, {"generationConfig": {"maxOutputTokens": 100}}, True),
        (MOST, {"inferenceConfig": {"maxTokens": 5000}}, False),
        (MOST, {"inferenceConfig": {"maxTokens": 5}}, True),
        (MOST, {"max_tokens": 5, "additionalModelRequestFields": {"max_tokens": 9000}}, False),
        (MOST, {"options": {"num_predict": 9000}}, False),
        (MOST, {"options": {"num_predict": -2}}, False),
        (MOST, {"requests": [{"params": {"max_tokens": 1}}, {"params": {"max_tokens": 9999}}]}, False),
        (MOST, {"messages": [{"max_tokens": 9000}], "max_tokens": 1}, True),
        ({"temperature": {"min": 0, "max": 1}}, {"temperature": 1.5}, False),
        ({"temperature": {"min": 0, "max": 1}}, {"temperature": -0.1}, False),
        ({"temperature": {"min": 0, "max": 1}}, {}, True),
        ({"temperature": {"max": 1}}, {"generationConfig": {"temperature": 2}}, False),
        ({"generationConfig.temperature": {"max": 1}}, {"generationConfig": {"temperature": 2}}, False),
        ({"generationConfig.temperature": {"max": 1}}, {"temperature": 2}, True),
        ({"n": [1]}, {"n": 1}, True),
        ({"n": [1]}, {"n": True}, False),
        ({"n": [1]}, {"n": 2}, False),
        ({"n": {"max": 1}}, {"generationConfig": {"candidateCount": 8}}, False),
        ({"stream": [False]}, {"stream": True}, False),
        ({"stream": [False]}, {"stream": False}, True),
        ({"service_tier": ["auto", "flex"]}, {"service_tier": "priority"}, False),
        ({"service_tier": ["auto", "flex"]}, {"service_tier": "FLEX"}, True),
        ({"service_tier": ["auto"]}, {"service_tier": {"x": 1}}, False),
        ({"reasoning_effort": ["low"]}, {"reasoning": {"effort": "high"}}, False),
        ({"reasoning_effort": ["low"]}, {"reasoning": {"effort": "low"}}, True),
        ({"thinking.budget_tokens": {"max": 1024}}, {"thinking": {"budget_tokens": 2048}}, False),
        ({"modalities": ["text"]}, {"modalities": ["text", "audio"]}, False),
        ({"modalities": ["text"]}, {"modalities": ["text"]}, True),
        ({"model": ["gpt-4o-*"]}, {"model": "gpt-5"}, False),
        ({"model": ["gpt-4o-*"]}, {"model": "gpt-4o-mini"}, True),
    ],
)
def test_parameters(rules: Mapping[str, Any], body: Mapping[str, Any], fits: bool) -> None:
    asked = str(body.get("model", ""))
    found = allow.judge_call(of(parameters=rules), call(json.dumps(body).encode(), asked=asked))
    assert bool(found) is not fits


def test_the_longest_answer_has_to_be_said_only_where_there_is_one() -> None:
    allowed = of(parameters=MOST)
    assert allow.judge_call(allowed, call(b'{"input": "x"}', operation="embeddings")) is not None
    assert allow.judge_call(allowed, call(b'{"name": "x"}', operation="other")) is None
    assert allow.judge_call(allowed, call(b'{"messages": []}', operation="other")) is not None
    assert allow.judge_call(allowed, call(b"", operation="models", method="GET")) is None


FORM = (
    b'--b1\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--b1\r\nContent-Disposition: form-data; name="temperature"\r\n\r\n0.5\r\n'
    b'--b1\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
    b"Content-Type: audio/wav\r\n\r\nRIFF\x00\xff\r\n--b1--\r\n"
)
FORM_TYPE = "multipart/form-data; boundary=b1"


@pytest.mark.parametrize(
    ("body", "content_type", "fits"),
    [
        (FORM, FORM_TYPE, True),
        (FORM, 'Multipart/Form-Data; charset=utf-8; boundary="b1"', True),
        (FORM.replace(b"whisper-1", b"gpt-5"), FORM_TYPE, False),
        (FORM.replace(b"0.5", b"1.5"), FORM_TYPE, False),
        (FORM.replace(b'name="temperature"', b'name="model"'), FORM_TYPE, False),
        (FORM.replace(b'name="file"', b'name="model"'), FORM_TYPE, False),
        (FORM.replace(b'name="model"', b"name=model"), FORM_TYPE, False),
        (FORM.replace(b'name="model"', b'name="x"; name="model"'), FORM_TYPE, False),
        (FORM.replace(b'name="model"', b"name*=utf-8''model"), FORM_TYPE, False),
        (FORM.replace(b"\r\n", b"\n"), FORM_TYPE, False),
        (b'{"model": "whisper-1"}' + FORM, FORM_TYPE, False),
        (FORM + b'--b1\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-5\r\n', FORM_TYPE, False),
        (FORM, "multipart/form-data; boundary=b2", False),
        (FORM, "multipart/form-data; boundary=b1; boundary=b2", False),
        (FORM, "multipart/form-data", False),
        (FORM, JSON, False),
        (b'{"model": "whisper-1", "temperature": 0.5}', FORM_TYPE, False),
        (b'{"model": "whisper-1", "temperature": 0.5}', "application/json; charset=utf-8", True),
        (b'{"model": "whisper-1", "temperature": 0.5}', 'application/json; charset = "UTF-8"', True),
        (b'{"model": "whisper-1", "temperature": 0.5}', "application/json; charset=utf-7", False),
        (b'{"model": "whisper-1", "temperature": 0.5}', "application/json; charset=utf-8; charset=x", False),
        (b'{"model": "whisper-1", "temperature": 0.5}', "text/plain", True),
        (b'{"model": "gpt-5", "temperature": 0.5}', "text/plain", False),
        (b"model=whisper-1", "application/x-www-form-urlencoded", False),
    ],
)
def test_forms_and_content_types(body: bytes, content_type: str, fits: bool) -> None:
    allowed = of(models=["whisper-*"], parameters={"temperature": {"max": 1}})
    found = allow.judge_call(allowed, call(body, content_type, operation="audio"))
    assert bool(found) is not fits


def test_all_policies_have_to_allow() -> None:
    allowed = allowance(
        ("token demo/laptop", parsed({"models": ["gpt-*"]}).text()),
        ("project demo", parsed({"models": ["*-mini"]}).text()),
    )
    assert allowed is not None
    for model, whose in (("gpt-5-mini", ""), ("gpt-5", "The project demo"), ("o3-mini", "The token demo/")):
        found = allow.judge_call(allowed, call(b"{}", asked=model))
        assert (found.sentence if found else "").startswith(whose)
        assert bool(found) is bool(whose)


NAMES = st.sampled_from(
    ["max_tokens", "temperature", "model", "maxTokens", "stream", "generationConfig", "x"]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 9000), st.sampled_from(["gpt-4o-mini", "gpt-5", "é\n"])
)
BODIES = st.dictionaries(NAMES, st.one_of(SCALARS, st.dictionaries(NAMES, SCALARS, max_size=3)), max_size=6)
RULES = {"max_tokens": {"max": 4096}, "temperature": {"min": 0, "max": 2}, "stream": [False]}


@st.composite
def spellings(draw: st.DrawFn, value: Any) -> str:
    """The same JSON, written by somebody else."""
    blank = draw(st.sampled_from(["", " ", "\n\t", "  \r\n"]))
    if isinstance(value, dict):
        names = draw(st.permutations(list(value)))
        members = [
            f"{blank}{draw(spellings(name))}{blank}:{blank}{draw(spellings(value[name]))}{blank}"
            for name in names
        ]
        return "{" + (",".join(members) or blank) + "}"
    if isinstance(value, str):
        escaped = draw(st.lists(st.booleans(), min_size=len(value), max_size=len(value)))
        return '"' + "".join(_character(c, e) for c, e in zip(value, escaped, strict=True)) + '"'
    if isinstance(value, int) and not isinstance(value, bool):
        return draw(st.sampled_from([str(value), f"{value}.0", f"{value}e0", f"{value * 10}E-1"]))
    return json.dumps(value)


def _character(character: str, escaped: bool) -> str:
    return f"\\u{ord(character):04x}" if escaped or character == "\n" else character


@given(st.data(), BODIES, st.sampled_from([JSON, "application/json; charset=utf-8", "", "text/plain"]))
def test_any_spelling_gets_the_same_verdict(data: st.DataObject, body: dict[str, Any], kind: str) -> None:
    allowed = of(models=["gpt-4o-*"], parameters=RULES)
    plain = allow.judge_call(allowed, call(json.dumps(body).encode()))
    respelt = data.draw(spellings(body)).encode()
    again = allow.judge_call(allowed, call(respelt, kind))
    assert code(again) == code(plain)


@given(BODIES, BODIES)
def test_a_second_member_of_a_name_hides_nothing(first: dict[str, Any], second: dict[str, Any]) -> None:
    """What one of two documents is refused for, the document with the members of both is refused for."""
    allowed = of(parameters={"temperature": {"max": 2}, "stream": [False]})
    both = (json.dumps(first)[:-1] + ("," if first and second else "") + json.dumps(second)[1:]).encode()
    alone = [allow.judge_call(allowed, call(json.dumps(body).encode())) for body in (first, second)]
    assert bool(allow.judge_call(allowed, call(both))) is any(alone)


@given(st.binary(max_size=200), st.sampled_from([JSON, FORM_TYPE, "", "multipart/x"]))
def test_reading_never_fails(body: bytes, kind: str) -> None:
    read(body, kind)
