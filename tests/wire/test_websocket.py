"""One reading for each response inside a WebSocket, whoever began it and however it ended."""

import orjson
import pytest

from llm_intercept.wire.reading import Reading
from llm_intercept.wire.usage import Usage
from llm_intercept.wire.websocket import OPEN_LIMIT, FrameMeter

type Talk = list[tuple[bool, dict[str, object]]]

USAGE = {
    "input_tokens": 40,
    "input_tokens_details": {"cached_tokens": 8},
    "output_tokens": 6,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 46,
}
CODEX: Talk = [
    (True, {"type": "response.create", "model": "gpt-5", "stream": True, "input": []}),
    (
        False,
        {"type": "response.created", "response": {"id": "resp_1", "model": "gpt-5", "status": "in_progress"}},
    ),
    (False, {"type": "response.output_item.added", "output_index": 0, "item": {}}),
    (False, {"type": "response.output_text.delta", "item_id": "m", "delta": "Hel"}),
    (False, {"type": "response.output_text.delta", "item_id": "m", "delta": "lo"}),
    (False, {"type": "response.output_text.done", "item_id": "m", "text": "Hello"}),
    (
        False,
        {
            "type": "response.completed",
            "response": {"id": "resp_1", "model": "gpt-5-2025", "status": "completed", "usage": USAGE},
        },
    ),
]
REALTIME: Talk = [
    (True, {"type": "input_audio_buffer.append", "audio": "AAAA"}),
    (False, {"type": "response.created", "response": {"id": "r1", "status": "in_progress"}}),
    (False, {"type": "response.output_audio.delta", "response_id": "r1", "delta": "AAAA"}),
    (False, {"type": "response.output_audio_transcript.delta", "response_id": "r1", "delta": "Hi"}),
    (False, {"type": "conversation.item.input_audio_transcription.delta", "delta": "what the user said"}),
    (
        False,
        {
            "type": "response.done",
            "response": {
                "id": "r1",
                "status": "cancelled",
                "status_details": {"type": "cancelled", "reason": "turn_detected"},
                "usage": {
                    "total_tokens": 150,
                    "input_tokens": 100,
                    "output_tokens": 50,
                    "input_token_details": {
                        "text_tokens": 20,
                        "audio_tokens": 80,
                        "cached_tokens": 64,
                        "cached_tokens_details": {"text_tokens": 4, "audio_tokens": 60},
                    },
                    "output_token_details": {"text_tokens": 10, "audio_tokens": 40},
                },
            },
        },
    ),
]


def talk(meter: FrameMeter, frames: Talk, start: float = 1.0) -> list[Reading]:
    return [
        reading
        for at, (from_client, payload) in enumerate(frames)
        for reading in meter.feed(from_client, orjson.dumps(payload), start + at)
    ]


def test_responses_over_websocket() -> None:
    meter = FrameMeter("openai_responses")
    first, second = talk(meter, CODEX) + talk(meter, CODEX, 50.0)
    assert first.usage == second.usage == Usage(40, 6, cache_read=8, reasoning=2)
    assert (first.model_requested, first.model, first.response_id) == ("gpt-5", "gpt-5", "resp_1")
    assert (first.started, first.first_token, first.ended) == (1.0, 4.0, 7.0)
    assert (second.started, second.ended) == (50.0, 56.0)
    assert first.complete
    assert first.text_parts == "Hello"
    assert meter.close() == []


def test_realtime() -> None:
    (reading,) = talk(FrameMeter("openai_responses"), REALTIME)
    assert reading.usage == Usage(
        100, 50, cache_read=64, audio_input=80, audio_output=40, audio_cache_read=60
    )
    assert (reading.started, reading.first_token) == (2.0, 3.0)
    assert (reading.finish_reason, reading.text_parts) == ("turn_detected", "Hi")


def test_a_connection_that_is_cut() -> None:
    meter = FrameMeter("openai_responses")
    assert talk(meter, CODEX[:5]) == []
    (reading,) = meter.close()
    assert not reading.complete
    assert reading.text_parts == "Hello"


FAILURE: Talk = [
    (False, {"type": "error", "status": 400, "error": {"type": "invalid_request_error", "message": "no"}})
]


@pytest.mark.parametrize("frames", [CODEX[:1] + FAILURE, CODEX[:4] + FAILURE])
def test_errors_end_a_response(frames: Talk) -> None:
    meter = FrameMeter("openai_responses")
    (reading,) = talk(meter, frames)
    assert (reading.error_type, reading.error_message) == ("invalid_request_error", "no")
    assert meter.close() == []


def test_errors_of_nothing_are_nobodys() -> None:
    assert talk(FrameMeter("openai_responses"), FAILURE) == []


def test_interleaved_responses_are_told_apart() -> None:
    meter = FrameMeter("openai_responses")
    created: Talk = [(False, {"type": "response.created", "response": {"id": name}}) for name in "ab"]
    deltas: Talk = [
        (False, {"type": "response.text.delta", "response_id": name, "delta": name}) for name in "aba"
    ]
    done: Talk = [(False, {"type": "response.done", "response": {"id": name}}) for name in "ab"]
    assert [r.text_parts for r in talk(meter, created + deltas + done)] == ["aa", "b"]


def test_memory_is_bounded() -> None:
    meter = FrameMeter("openai_responses")
    for number in range(3 * OPEN_LIMIT):
        talk(meter, [CODEX[0], (False, {"type": "response.created", "response": {"id": str(number)}})])
        talk(meter, [CODEX[0]])
    assert len(meter.close()) == OPEN_LIMIT


@pytest.mark.parametrize(
    "frame", [b"", b"{", b"[]", b"\xff", b'{"type":3}', b'{"type":"response.created"}', '"\ud800"']
)
@pytest.mark.parametrize("from_client", [True, False])
def test_nonsense(from_client: bool, frame: bytes | str) -> None:
    assert FrameMeter("no such dialect").feed(from_client, frame, 1.0) == []
