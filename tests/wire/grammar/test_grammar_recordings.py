"""What real providers sent: no violations but those named here, each of them theirs."""

import pytest

from llm_intercept.wire import grammar
from llm_intercept.wire.codec import Frame
from llm_intercept.wire.framing.choose import choose
from tests.wire.grammar.checked import sentences
from tests.wire.recordings import ROOT, Recording, successes

STREAMS = [r for r in successes() if r.stream and r.dialect in grammar.names() and r.surface != "completions"]
FIXTURES = sorted((ROOT / "anthropic-sdk-fixtures").glob("*.txt"))

# Azure's first chunk has filters in place of choices, and nothing else.
AZURE = {
    "a chunk has no id",
    "a chunk has no model",
    "a chunk has the object , not chat.completion.chunk",
    "chunks have different times in created",
}
THEIRS: dict[str, set[str]] = {
    "bedrock-mantle/responses.stream.openai.gpt-oss-20b.thinking.json": {
        # It announces reasoning with `response.reasoning_part.added`, which OpenAI does not have.
        "response.reasoning_text.delta for content_index 0, which was not added",
        "response.reasoning_text.done for content_index 0, which was not added",
        "response.content_part.added has the content_index 1, but 0 comes next",
    },
    "openai/chat.completions.stream.gpt-4.1-mini.tool-call.json": {"choice 0 has no finish_reason"},
    "openai/chat.completions.stream.muse-spark-1.1.tool-call.json": {
        "the arguments of tool call 0 (llm_version) do not add up to a JSON object"
    },
    "perplexity/chat.completions.stream.llama-3.1-sonar-small-128k-online.citations.json": {
        "a chunk has the object chat.completion, not chat.completion.chunk",
        "usage comes in more than one chunk",
        "the stream ended without [DONE]",
    },
    "perplexity/chat.completions.stream.sonar.citations.json": {
        "a chunk has the object chat.completion.done, not chat.completion.chunk",
        "usage comes in more than one chunk",
        "the stream ended without [DONE]",
    },
}
# By provider: what some of their streams have.
SOMETIMES: dict[tuple[str, str], set[str]] = {
    ("azure", "openai_chat"): AZURE,
    ("openrouter", "openai_responses"): {"[DONE], which this dialect does not have"},
    ("openrouter", "openai_chat"): {"choice 0 has a second finish_reason"},
    ("groq", "openai_chat"): {"usage comes in more than one chunk"},
    ("huggingface", "openai_chat"): {"usage comes in more than one chunk"},
    ("xai", "openai_chat"): {"chunks have different times in created"},
}


def frames(content_type: str, body: bytes) -> list[Frame]:
    framing = choose(content_type, body)
    assert framing is not None
    return [*framing.feed(body), *framing.close()]


@pytest.mark.parametrize("recording", STREAMS, ids=lambda r: r.name)
def test_recorded_streams(recording: Recording) -> None:
    found = set(sentences(recording.dialect, frames(recording.content_type, recording.body)))
    sometimes = SOMETIMES.get((recording.provider, recording.dialect), set())
    assert found - sometimes == THEIRS.get(recording.name, set()) - sometimes


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.name)
def test_fixtures_of_the_sdk(path) -> None:  # type: ignore[no-untyped-def]
    found = sentences("anthropic", frames("text/event-stream", path.read_bytes() + b"\n\n"))
    incomplete = {f"{event} while index 1 is open" for event in ("message_delta", "message_stop")}
    assert set(found) == (incomplete if "incomplete" in path.name else set())


def test_the_lists_are_not_longer_than_what_is_found() -> None:
    """A name in the lists stands for a recording that still shows it."""
    if not STREAMS:
        pytest.skip("no recordings here")
    said: dict[tuple[str, str], set[str]] = {}
    for recording in STREAMS:
        found = said.setdefault((recording.provider, recording.dialect), set())
        found.update(sentences(recording.dialect, frames(recording.content_type, recording.body)))
    for who, expected in SOMETIMES.items():
        assert expected <= said[who], who
    assert set(THEIRS) <= {recording.name for recording in STREAMS}
