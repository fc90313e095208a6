"""The tap over every recorded answer, however it is cut and encoded, and over answers that go wrong."""

import gzip
import re
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from llm_intercept.wire import dialects
from llm_intercept.wire.tap import Reading, Tap
from llm_intercept.wire.usage import Usage
from tests.wire import cuts
from tests.wire.recordings import Recording, recordings, sdk_usage, successes

ANSWERS = [r for r in successes() if r.dialect in dialects.names()]


def read(recording: Recording, pieces: list[bytes], encoding: str = "") -> Reading:
    tap = Tap(
        recording.dialect, recording.surface, recording.content_type, encoding, headers=recording.headers
    )
    for at, piece in enumerate(pieces):
        tap.feed(piece, 1.0 + at)
    return tap.close()


def as_sdk(recording: Recording, usage: Usage) -> list[int] | None:
    """Our one convention, turned back into what the provider's own SDK calls its counters."""
    if not usage.known:
        return None
    sent, received = usage.input or 0, usage.output or 0
    if recording.dialect in ("anthropic", "bedrock_converse") or _anthropic_inside(recording):
        sent -= (usage.cache_read or 0) + (usage.cache_write or 0)
    if recording.dialect == "gemini":
        received -= usage.reasoning or 0
        sent -= _tool_use(recording)
    if recording.provider == "xai" and recording.surface == "chat.completions":
        received -= usage.reasoning or 0
    return [sent, received]


def _anthropic_inside(recording: Recording) -> bool:
    return recording.dialect == "bedrock_invoke" and "anthropic" in recording.path


def _tool_use(recording: Recording) -> int:
    found = re.findall(rb'"toolUsePromptTokenCount":\s*(\d+)', recording.body)
    return int(found[-1]) if found else 0


# Here the providers themselves report more cached than prompt tokens, or more reasoning than
# completion tokens, with a total that does not settle it; we report what they say.
SELF_CONTRADICTORY = (
    "azure/chat.completions.json.grok-4-1-fast",
    "azure/chat.completions.stream.grok-4-1-fast",
    "openrouter/chat.completions.stream.minimax-m2-free",
    "vercel-gw/chat.completions.json.gemini-2.5-flash",
    "vercel-gw/chat.completions.stream.gemini",
)


@pytest.mark.parametrize("recording", ANSWERS, ids=lambda r: r.name)
def test_usage_is_what_the_sdk_reports(recording: Recording) -> None:
    reading = read(recording, [recording.body])
    expected = sdk_usage().get(recording.name)
    if expected is not None and "chunks" not in expected:  # there the SDK counted chunks, not tokens
        assert as_sdk(recording, reading.usage) == [number or 0 for number in expected]
    assert reading.complete or reading.error_type
    if reading.usage.known and not recording.name.startswith(SELF_CONTRADICTORY):
        _plausible(reading.usage)


def _plausible(usage: Usage) -> None:
    assert (usage.cache_read or 0) + (usage.cache_write or 0) <= (usage.input or 0)
    assert (usage.cache_write_1h or 0) <= (usage.cache_write or 0)
    assert (usage.reasoning or 0) <= (usage.output or 0)


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda body: brotli.compress(body, quality=3),
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("recording", ANSWERS, ids=lambda r: r.name)
def test_cuts_and_encodings_change_nothing(recording: Recording) -> None:
    once = read(recording, [recording.body])
    body = recording.body
    assert same(once, read(recording, cuts.by_event(body)))
    assert same(once, read(recording, cuts.at_random(body, len(body))))
    for name, encode in CODINGS.items():
        assert same(once, read(recording, cuts.at_random(encode(body), 3), name))


SMALL = [r for r in ANSWERS if len(r.body) < 20_000]


@pytest.mark.parametrize("recording", SMALL, ids=lambda r: r.name)
def test_byte_by_byte(recording: Recording) -> None:
    assert same(read(recording, [recording.body]), read(recording, cuts.by_byte(recording.body)))


def same(one: Reading, other: Reading) -> bool:
    """Equal but for the time of the first token, which depends on the cut."""
    other.first_token = one.first_token
    return one == other


def test_recordings_are_complete() -> None:
    """Every surface has a dialect, so that none is left out unnoticed."""
    assert len(ANSWERS) == len(list(successes()))
    assert not recordings() or len(recordings()) > 800
