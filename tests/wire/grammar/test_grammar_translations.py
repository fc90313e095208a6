"""Every recorded stream, translated to every dialect: what we write has no violations."""

import pytest

from llm_intercept.wire import codecs, grammar, lint
from llm_intercept.wire.codec import Context
from llm_intercept.wire.translation import Side, Translation
from tests.wire.recordings import successes

STREAMS = [r for r in successes() if r.stream and r.dialect in codecs.names() and r.surface != "complete"]
# Arguments that are no JSON in the provider's stream are none in ours.
THEIRS = {"openai/chat.completions.stream.muse-spark-1.1.tool-call.json"}


@pytest.mark.parametrize("target", sorted(grammar.names()))
def test_translated_recordings(target: str) -> None:
    wrong = {}
    for recording in STREAMS:
        context = Context(now=7.0, include_usage=True, input_estimate=3, requested_model="m")
        translation = Translation(Side(target), Side(recording.dialect), context, stream=True)
        found = translation.lint = lint.watch("ours", target, asks_usage=False)
        translation.answer(recording.body, recording.content_type)
        assert found is not None
        found.close()
        if found.violations and recording.name not in THEIRS:
            wrong[recording.name] = [violation.sentence for violation in found.violations]
    assert wrong == {}
