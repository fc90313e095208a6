"""What a client asks of the cache, under each mode."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_intercept.policy.cachecontrol import MODES, Terms, Wish, chosen, is_whole, wish

TERMS = Terms(ttl=300.0, max_ttl=86_400.0)
BOTH = Wish(read=True, store=True, ttl=300.0)
NEITHER = Wish(read=False, store=False, ttl=0.0)


def aged(seconds: float, ttl: float | None = None) -> Wish:
    return Wish(read=True, store=True, ttl=seconds if ttl is None else ttl, max_age=seconds)


@pytest.mark.parametrize(
    ("header", "opt_in", "on"),
    [
        ("", None, BOTH),
        ("max-age=60", aged(60), aged(60, 300)),
        ("Max-Age = 600", aged(600), aged(600)),
        ('max-age="600"', aged(600), aged(600)),
        ("max-age=999999999", aged(999_999_999, 86_400), aged(999_999_999, 86_400)),
        ("max-age=60, s-maxage=900", aged(900), aged(900)),
        ("s-maxage=0, max-age=60", None, Wish(read=False, store=True, ttl=300.0, max_age=0.0)),
        ("max-age=0", None, Wish(read=False, store=True, ttl=300.0, max_age=0.0)),
        ("no-cache", None, Wish(read=False, store=True, ttl=300.0)),
        ("no-cache, max-age=60", Wish(False, True, 60.0, 60.0), Wish(False, True, 300.0, 60.0)),
        ("public", BOTH, BOTH),
        ("PUBLIC, max-age=600", aged(600), aged(600)),
        ("no-store", None, NEITHER),
        ("private", None, NEITHER),
        ("max-age=60, no-store", NEITHER, NEITHER),
        ("only-if-cached", Wish(True, False, 300.0, only=True), Wish(True, False, 300.0, only=True)),
        ("only-if-cached, no-store", *[Wish(False, False, 0.0, only=True)] * 2),
        ("only-if-cached, max-age=60", *[Wish(True, False, t, 60.0, True) for t in (60.0, 300.0)]),
        ("max-age=soon", None, BOTH),
        ("max-age=-1", None, BOTH),
        ("max-age", None, BOTH),
        ("max-age=1e3", None, BOTH),
        ("max-age=\u0663", None, BOTH),
        ("max-age=9999999999999", None, BOTH),
        ("max-stale=5, x-of-mine=1", None, BOTH),
        (";;,=,", None, BOTH),
    ],
)
def test_wishes(header: str, opt_in: Wish | None, on: Wish | None) -> None:
    assert wish("off", header, TERMS) is None
    assert wish("opt-in", header, TERMS) == opt_in
    assert wish("on", header, TERMS) == on


@settings(deadline=None)
@given(st.sampled_from(MODES), st.text(max_size=40))
def test_any_header_is_understood_somehow(mode: str, header: str) -> None:
    found = wish(mode, header, TERMS)
    assert found is None or 0.0 <= found.ttl <= TERMS.max_ttl


@pytest.mark.parametrize(
    ("listener", "project", "settings", "mode"),
    [
        ("", None, "opt-in", "opt-in"),
        ("", "off", "on", "off"),
        ("on", "off", "on", "off"),
        ("on", "opt-in", "off", "on"),
        ("off", "on", "on", "off"),
        ("", "on", "off", "on"),
    ],
)
def test_the_nearest_mode_counts(listener: str, project: str | None, settings: str, mode: str) -> None:
    assert chosen(listener, project, settings) == mode


@pytest.mark.parametrize(
    "reason",
    [
        *("stop", "tool_calls", "function_call", "end_turn", "stop_sequence", "tool_use", "completed"),
        *("STOP", "COMPLETE", "TOOL_CALL", "FINISH"),
    ],
)
def test_answers_that_are_whole(reason: str) -> None:
    assert is_whole(reason, b"{}", generated=True)


@pytest.mark.parametrize(
    "reason",
    [
        *("", "length", "max_tokens", "MAX_TOKENS", "content_filter", "SAFETY", "RECITATION", "refusal"),
        *("pause_turn", "incomplete", "failed", "cancelled", "guardrail_intervened", "error", "ERROR_TOXIC"),
        *("model_context_window_exceeded", "malformed_model_output", "MALFORMED_FUNCTION_CALL", "load"),
    ],
)
def test_answers_that_are_not(reason: str) -> None:
    assert not is_whole(reason, b"{}", generated=True)
    assert is_whole(reason, b"{}", generated=False)  # vectors have no reason to end


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (b'{"choices":[{"finish_reason":"stop"},{"finish_reason":"stop"}]}', True),
        (b'{"choices":[{"finish_reason":"length"},{"finish_reason":"stop"}]}', False),
        (b'{"candidates":[{"finishReason": "MAX_TOKENS"},{"finishReason" : "STOP"}]}', False),
        (b'{"choices":[{"finish_reason":null}]}\n{"choices":[{"finish_reason":"stop"}]}', True),
        (b'{"content":"say \\"finish_reason\\":\\"length\\""}', True),
    ],
)
def test_each_of_several_answers_counts(body: bytes, whole: bool) -> None:
    assert is_whole("stop", body, generated=True) is whole
