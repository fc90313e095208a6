"""The parts of pages that are pure: formats, pictures, cells, conversations out of bodies."""

import json
import sys
from typing import Any

import pytest

from llm_intercept.store.reports import Series
from tests.dashboard.conftest import Visitor


@pytest.fixture
def parts(anonymous: Visitor) -> Any:
    return lambda name: sys.modules[f"llm_dashboard.{name}"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("money", None, "–"),
        ("money", 0, "$0.00"),
        ("money", 1, "$0.000000001"),
        ("money", 558_250, "$0.000558"),
        ("money", 9_460_000, "$0.00946"),
        ("money", 999_600_000, "$1.00"),
        ("money", 18_000, "$0.000018"),
        ("money", 100_000_000, "$0.10"),
        ("money", 1_234_567_890_123, "$1,234.57"),
        ("exact_money", 558_250, "$0.000558250"),
        ("short", 9_999, "9,999"),
        ("short", 12_345, "12.3k"),
        ("short", 2_049_000, "2.05M"),
        ("short", 109_000_000, "109M"),
        ("short", 3_200_000_000, "3.20B"),
        ("duration", None, "–"),
        ("duration", 0.078, "78 µs"),
        ("duration", 1.26, "1.3 ms"),
        ("duration", 718.4, "718 ms"),
        ("duration", 2520, "2.52 s"),
        ("duration", 13_240, "13.2 s"),
        ("duration", 185_000, "3 min 5 s"),
        ("size", 999, "999 B"),
        ("size", 2_800, "2.8 kB"),
        ("size", 5_400_000, "5.4 MB"),
        ("percent", 0.0, "0%"),
        ("percent", 0.0042, "0.42%"),
        ("percent", 0.125, "12.5%"),
        ("outcome", "client_gone", "Client left"),
        ("outcome", "brand_new", "Brand new"),
        ("tone", "ok", "good"),
        ("tone", "client_gone", "quiet"),
        ("tone", "timeout", "bad"),
        ("column_title", "cache_read_tokens", "Cache read tokens"),
    ],
)
def test_formats(parts: Any, name: str, value: object, expected: str) -> None:
    assert getattr(parts("formats"), name)(value) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-20T12:00:00.000000Z", "just now"),
        ("2026-11-20T12:00:30.000000Z", "in a moment"),
        ("2026-11-20T11:59:00.000000Z", "1 minute ago"),
        ("2026-11-20T14:10:00.000000Z", "in 2 hours"),
        ("2026-12-20T12:00:00.000000Z", "in 30 days"),
        ("2025-11-20T12:00:00.000000Z", "365 days ago"),
    ],
)
def test_how_far_a_time_is(parts: Any, at: str, expected: str) -> None:
    now = 1_795_176_000_000_000  # 2026-11-20 12:00
    assert parts("formats").away(at, now) == expected
    assert parts("formats").stamp(at) == f"{at[:10]} {at[11:16]} UTC"


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36", "Chrome on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Safari/604.1",
            "Safari on iPhone",
        ),
        ("Mozilla/5.0 (Windows NT 10.0; rv:148.0) Firefox/148.0", "Firefox on Windows"),
        ("curl/8.5.0", "curl"),
        ("something else", "something else"),
        ("", "–"),
    ],
)
def test_browsers_by_their_names(parts: Any, agent: str, expected: str) -> None:
    assert parts("formats").browser(agent) == expected


@pytest.mark.parametrize(
    ("now", "before", "expected", "tone"),
    [
        (125, 100, "+25%", "worse"),
        (104, 100, "+4%", ""),
        (75, 100, "−25%", "better"),
        (100, 100, "as yesterday", ""),
        (3, 0, "none yesterday", ""),
        (0, 0, "none yesterday", ""),
        (None, 5, "", ""),
    ],
)
def test_changes_since_yesterday(parts: Any, now: float, before: float, expected: str, tone: str) -> None:
    formats = parts("formats")
    assert formats.delta(now, before) == expected
    assert formats.clearly(expected) == tone


def test_a_chart_adds_up_what_it_does_not_show(parts: Any) -> None:
    values = {f"p{number}": [number, 0] for number in range(9, 0, -1)}
    chart = parts("charts").chart(
        "requests", "Requests", "count", Series("day", ["2026-11-19", "2026-11-20"], values)
    )
    names = [series["name"] for series in chart.data["series"]]
    assert names == ["p9", "p8", "p7", "p6", "p5", "p4", "3 more"]
    assert chart.data["series"][-1]["values"] == [6, 0]
    assert chart.total == 45


def test_two_charts_share_their_colours(parts: Any) -> None:
    series = Series("day", ["2026-11-20"], {"b": [5], "a": [1]})
    chart = parts("charts").chart("cost", "Cost", "usd", series, ["a", "b"])
    assert [one["name"] for one in chart.data["series"]] == ["a", "b"]


def test_the_waterfall_shows_what_was_reached(parts: Any) -> None:
    charts = parts("charts")
    phases = {"received": 0, "authenticated": 100, "admitted": 150, "sent": 1150, "recorded": 2000}
    bars = charts.phase_bars(phases)
    assert [(bar.start, bar.length) for bar in bars] == [(0, 100), (100, 50), (150, 1000), (1150, 850)]
    recalled = charts.phase_bars({"received": 0, "authenticated": 9, "first_byte": 20}, recalled=True)
    assert [(bar.label, bar.kind) for bar in recalled][1:] == [("Look up", "own")]
    rows = charts.waterfall(bars)
    assert rows[2].milliseconds == 1
    assert 'x="7.500%"' in rows[2].picture
    assert charts.waterfall([]) == []


def test_small_lines(parts: Any) -> None:
    sparkline = parts("charts").sparkline
    assert 'points="0.0,26.0 60.0,2.0 120.0,14.0"' in sparkline([0, 4, 2])
    assert sparkline([0, 0, 0]) == ""


CONVERSATIONS: dict[str, tuple[object, list[tuple[str, list[tuple[str, str, str]]]]]] = {
    "openai chat": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {}}],
                }
            ]
        },
        [
            (
                "user",
                [
                    ("text", "Hi", ""),
                    ("media", '{\n  "type": "image_url",\n  "image_url": {}\n}', "image_url"),
                ],
            )
        ],
    ),
    "openai answer": (
        {"choices": [{"message": {"reasoning_content": "hm", "content": "Hello"}}]},
        [("assistant", [("thinking", "hm", ""), ("text", "Hello", "")])],
    ),
    "responses": (
        {
            "instructions": "Be kind",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                {"type": "function_call", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "output": "42"},
            ],
        },
        [
            ("system", [("text", "Be kind", "")]),
            ("user", [("text", "Hi", "")]),
            ("assistant", [("call", "{}", "f")]),
            ("tool", [("result", "42", "")]),
        ],
    ),
    "responses answer": (
        {
            "output": [
                {"type": "reasoning", "summary": []},
                {"type": "message", "content": [{"type": "output_text", "text": "Yes"}]},
            ]
        },
        [("assistant", [("thinking", "(not shown)", ""), ("text", "Yes", "")])],
    ),
    "anthropic": (
        {
            "system": [{"type": "text", "text": "Sys"}],
            "messages": [{"role": "user", "content": [{"type": "tool_result", "content": "done"}]}],
        },
        [("system", [("text", "Sys", "")]), ("user", [("result", "done", "")])],
    ),
    "anthropic answer": (
        {
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t"},
                {"type": "tool_use", "name": "g", "input": {}},
            ],
        },
        [("assistant", [("thinking", "t", ""), ("call", "{}", "g")])],
    ),
    "gemini": (
        {
            "systemInstruction": {"parts": [{"text": "S"}]},
            "contents": [{"role": "user", "parts": [{"text": "Q"}]}, {"parts": [{"text": "R"}]}],
        },
        [("system", [("text", "S", "")]), ("user", [("text", "Q", "")]), ("user", [("text", "R", "")])],
    ),
    "gemini answer": (
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": "h", "args": {"a": 1}}}]}}]},
        [("assistant", [("call", '{\n  "a": 1\n}', "h")])],
    ),
    "bedrock": (
        {"system": [{"text": "S"}], "messages": [{"role": "user", "content": [{"text": "Q"}]}]},
        [("system", [("text", "S", "")]), ("user", [("text", "Q", "")])],
    ),
    "bedrock answer": (
        {"output": {"message": {"role": "assistant", "content": [{"text": "A"}]}}},
        [("assistant", [("text", "A", "")])],
    ),
    "an error": ({"error": {"message": "no"}}, [("error", [("text", "no", "")])]),
    "embeddings": ({"input": ["a", "b"]}, [("user", [("text", "a", "")]), ("user", [("text", "b", "")])]),
    "something else": ({"object": "list", "data": []}, []),
    "a streamed array": (
        [
            {"candidates": [{"content": {"parts": [{"text": "Hel"}]}}]},
            {"candidates": [{"content": {"parts": [{"text": "lo"}]}}]},
        ],
        [("assistant", [("text", "Hello", "")])],
    ),
}


@pytest.mark.parametrize(("body", "expected"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_conversations_of_every_dialect(parts: Any, body: object, expected: object) -> None:
    found = parts("conversation").read(json.dumps(body))
    assert [(m.role, [(p.kind, p.text, p.title) for p in m.parts]) for m in found] == expected


STREAMS = {
    "chat": (
        [
            {"choices": [{"delta": {"content": "Hel"}}]},
            {"choices": [{"delta": {"content": "lo"}}]},
            {"choices": [{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}}]},
            {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "}"}}]}}]},
        ],
        [("text", "Hello", ""), ("call", "{}", "f")],
    ),
    "anthropic": (
        [
            {"type": "content_block_delta", "delta": {"thinking": "hm"}},
            {"type": "content_block_delta", "delta": {"text": "A"}},
            {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "g"}},
            {"type": "content_block_delta", "delta": {"partial_json": "{}"}},
        ],
        [("thinking", "hm", ""), ("text", "A", ""), ("call", "{}", "g")],
    ),
    "responses": ([{"type": "response.output_text.delta", "delta": "Y"}], [("text", "Y", "")]),
}


@pytest.mark.parametrize(("events", "expected"), STREAMS.values(), ids=STREAMS)
def test_conversations_of_streams(parts: Any, events: list[object], expected: object) -> None:
    body = "".join(f"event: x\ndata: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    (message,) = parts("conversation").read(body)
    assert [(p.kind, p.text, p.title) for p in message.parts] == expected


@pytest.mark.parametrize(
    "body",
    [
        "",
        "plain text",
        "[1, 2]",
        "null",
        "data: {broken",
        '{"messages": 5}',
        '{"input": {"a": 1}}',
        '{"choices": [null, {}]}',
    ],
)
def test_bodies_that_are_no_conversation(parts: Any, body: str) -> None:
    assert parts("conversation").read(body) == []
    assert isinstance(parts("conversation").pretty(body), str)


@pytest.mark.parametrize(
    ("column", "value", "part"),
    [
        ("cost_nanos", 558_250, "$0.000558"),
        ("duration_ms", 2520.5, "2.52 s"),
        ("outcome", "timeout", "Timeout"),
        ("outcome", "<b>", "&lt;b&gt;"),
        ("changes", '["model", "<i>"]', "&lt;i&gt;"),
        ("changes", "", ""),
        ("request_sha256", "ab" * 32, "abababababab"),
        ("input_tokens", 12345, "12,345"),
        ("ts", "2026-11-20T07:44:38.786Z", "2026-11-20 07:44:38"),
        ("project", "", "none"),
    ],
)
def test_cells(parts: Any, anonymous: Visitor, column: str, value: object, part: str) -> None:
    assert part in str(parts("cells").render(anonymous.datasette, column, value))


@pytest.mark.parametrize(
    ("column", "value"),
    [("client", "curl"), ("cost_nanos", "text"), ("warnings", "{}"), ("warnings", "broken")],
)
def test_cells_that_are_left_to_datasette(parts: Any, anonymous: Visitor, column: str, value: object) -> None:
    assert parts("cells").render(anonymous.datasette, column, value) is None
