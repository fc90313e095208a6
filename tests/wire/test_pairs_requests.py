"""Recorded requests of every dialect, written for every other: valid there, and nothing lost in silence."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Target, Untranslatable
from llm_intercept.wire.translation import Side, Translation
from tests.wire.pair_laws import PAIRS
from tests.wire.pair_requests import differences, valid
from tests.wire.pair_sources import Source, asked, context

pytestmark = pytest.mark.skipif(not asked("openai_chat"), reason="no recordings")

KEPT_BY_THE_PROVIDER = ("prompt", "previous_response_id", "cachedContent")


@pytest.mark.parametrize(("dialect", "target"), PAIRS, ids=lambda name: name)
def test_requests(dialect: str, target: str) -> None:
    faults = [fault for source in asked(dialect) for fault in _faults(source, target)]
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(faults[:12])


def _faults(source: Source, target: str) -> Iterator[str]:
    found = context(target=Target(model="some-model"))
    one = Translation(Side(source.dialect), Side(target), found, stream=source.streamed)
    try:
        request = found.request = one.read(source.recording.request, source.model, source.streamed)
        body = one.encode(request).body
    except Untranslatable as error:
        if error.field not in KEPT_BY_THE_PROVIDER:
            yield f"{source.name}: {error}"
        return
    try:
        valid(target, body)
    except (AssertionError, ValueError) as error:
        yield f"{source.name}: not valid: {str(error)[:300]}"
        return
    again = _read(target, body, request.model, source.streamed)
    faults = differences(request, again, target, found.warnings)
    yield from (f"{source.name}: {fault} {found.warnings}" for fault in faults)


def _read(target: str, body: Any, model: str, stream: bool) -> Any:
    return codecs.get(target).decode_request(orjson.loads(orjson.dumps(body)), model, stream)
