"""Nothing that comes off the wire raises: any JSON for any dialect, every recording cut short or damaged."""

import random
import sqlite3
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_intercept.wire import dialects
from llm_intercept.wire.pipe import Pipe
from llm_intercept.wire.tap import Tap
from tests.wire.recordings import Recording, recordings

ENVELOPES = "id type model choices delta message content candidates parts results response predictions bytes"
COUNTERS = "usage prompt_tokens completion_tokens usageMetadata promptTokenCount metadata tokens billed_units"
OTHERS = (
    "text error status finishReason finish_reason x_groq tool_calls function output event_type promptFeedback"
)
NAMES = st.sampled_from(f"{ENVELOPES} {COUNTERS} {OTHERS}".split())
SCALARS = st.none() | st.booleans() | st.integers(-5, 10**19) | st.floats() | st.text(max_size=3)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)


@pytest.mark.parametrize("dialect", sorted(dialects.names()))
@given(payload=st.dictionaries(NAMES, ANYTHING, max_size=5))
@settings(max_examples=80, deadline=None)
def test_any_json(dialect: str, payload: dict[str, Any]) -> None:
    body = orjson.dumps(payload, option=orjson.OPT_PASSTHROUGH_DATACLASS, default=str)
    for content_type, framed in (
        ("application/json", body),
        ("text/event-stream", b"data: " + body + b"\n\n"),
    ):
        tap = Tap(dialect, "chat", content_type)
        tap.feed(framed, 1.0)
        reading = tap.close()
        assert isinstance(reading.model, str)
        assert isinstance(reading.error_message, str)


@pytest.mark.parametrize("recording", recordings(), ids=lambda r: r.name)
def test_damaged_recordings(recording: Recording) -> None:
    """Cut anywhere, bytes flipped, declared as something else: a reading that SQLite can store comes out."""
    rng = random.Random(len(recording.body))
    whole = bytearray(recording.body)
    for _ in range(min(20, len(whole))):
        whole[rng.randrange(len(whole))] = rng.randrange(256)
    for body in (recording.body[: rng.randrange(len(recording.body) + 1)], bytes(whole)):
        for content_type in (recording.content_type, ""):
            through = Pipe(
                Tap(recording.dialect, recording.surface, content_type), lambda: 1.0, hide_usage=True
            )
            for at in range(0, len(body), 700):
                through(body[at : at + 700])
            through(b"")
            assert not through.fault
            assert through._tap is not None
            _storable(through._tap)


def _storable(tap: Tap) -> None:
    reading = tap.close()
    usage = reading.usage
    with sqlite3.connect(":memory:") as connection:
        connection.execute(
            "SELECT ?, ?, ?, ?, ?, ?",
            (
                reading.model,
                reading.error_message,
                reading.text_parts,
                usage.input,
                usage.output,
                usage.cost_nanos,
            ),
        )
    connection.close()
