"""Laws over everything recorded in Anthropic's dialect: on its own host, on Bedrock and on Vertex.

Normalisations on the way through the neutral model, and no others: null members and `stream: false` and
empty lists at the top of a request are left out.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.codecs import anthropic
from llm_intercept.wire.codecs.anthropic import envelope
from llm_intercept.wire.fold import fold, unfold
from llm_intercept.wire.ir import Answer, Failure, Part, ToolCall
from tests.wire import cuts
from tests.wire.codecs.anthropic_sdk import MESSAGES, accumulated, decoded, encoded, messages
from tests.wire.recordings import ROOT, Recording, sdk_usage

RECORDED = messages()
REQUESTS = [r for r in RECORDED if "Invalid content" not in r.request.decode()]
ANSWERS = [r for r in RECORDED if r.status == 200 and not r.stream]
STREAMS = [r for r in RECORDED if r.status == 200 and r.stream]
ERRORS = [r for r in RECORDED if r.status != 200]
FIXTURES = sorted((ROOT / "anthropic-sdk-fixtures").glob("*.txt"))
CAPTURES = ROOT.parent / "captures"


def by_name(value: object) -> str:
    return value.name if isinstance(value, Recording | Path) else ""


def plain(body: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in body.items() if value is not None and value != []}
    return {name: value for name, value in kept.items() if (name, value) != ("stream", False)}


def there_and_back(body: dict[str, Any], counting: bool = False) -> dict[str, Any]:
    """Through the neutral model, and into the envelope it came in."""
    context = Context()
    new = dict(anthropic.encode_request(anthropic.decode_request(body, "", False), context).body)
    assert context.warnings == []
    if counting:
        del new["max_tokens"]
    version = body.get("anthropic_version", "")
    if version.startswith("bedrock"):
        return envelope.for_bedrock(new)
    return envelope.for_vertex(new) if version.startswith("vertex") else new


@pytest.mark.parametrize("recording", REQUESTS, ids=by_name)
def test_requests_come_back_as_they_were(recording: Recording) -> None:
    body = json.loads(recording.request)
    assert there_and_back(body) == plain(body)
    request = anthropic.decode_request(body, "", False)
    again = anthropic.encode_request(request, Context()).body
    assert anthropic.decode_request(again, "", False) == request


def captured() -> list[tuple[str, dict[str, Any]]]:
    calls = [(p, call) for p in sorted(CAPTURES.glob("claude-code*")) for call in json.loads(p.read_text())]
    bodies = [(call["path"], _body(call["body"])) for _, call in calls]
    return [(path, body) for path, body in bodies if "messages" in body]


def _body(stored: Any) -> dict[str, Any]:
    try:
        body = json.loads(stored) if isinstance(stored, str) else stored
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


@pytest.mark.parametrize(("path", "body"), captured())
def test_claude_code_comes_back_as_it_was(path: str, body: dict[str, Any]) -> None:
    assert there_and_back(body, counting="count_tokens" in path) == plain(body)


def test_what_is_no_message_is_refused() -> None:
    wrong = [r for r in RECORDED if r not in REQUESTS]
    for recording in wrong:
        with pytest.raises(Untranslatable, match=r"messages\[0\]"):
            anthropic.decode_request(json.loads(recording.request), "", False)


@pytest.mark.parametrize("recording", ANSWERS, ids=by_name)
def test_answers_come_back_as_they_were(recording: Recording) -> None:
    body = json.loads(recording.body)
    answer = anthropic.decode_answer(body)
    assert anthropic.encode_answer(answer, Context()) == body
    assert fold(unfold(answer)) == answer
    streamed = accumulated(encoded(unfold(answer)))
    told = anthropic.decode_answer(json.loads(streamed.to_json()))
    assert same_parts(told.parts, answer.parts)
    assert counted(told) == counted(answer)
    assert told.finish == answer.finish


@pytest.mark.parametrize("recording", STREAMS, ids=by_name)
def test_streams_do_not_depend_on_the_cut(recording: Recording) -> None:
    once = decoded(recording.content_type, [recording.body])
    assert once == decoded(recording.content_type, cuts.at_random(recording.body, 7))
    if len(recording.body) < 20_000:
        assert once == decoded(recording.content_type, cuts.by_byte(recording.body))


@pytest.mark.parametrize("recording", STREAMS, ids=by_name)
def test_streams_are_accepted_by_the_sdk(recording: Recording) -> None:
    events = decoded(recording.content_type, [recording.body])
    answer = fold(events)
    assert isinstance(answer, Answer)
    for frames in (encoded(events), encoded(unfold(answer))):
        message = accumulated(frames)
        told = anthropic.decode_answer(json.loads(message.to_json()))
        assert same_parts(told.parts, answer.parts)
        assert told.finish == answer.finish
        assert told.stop_sequence == answer.stop_sequence
        assert counted(told) == counted(answer)
    _as_the_sdk_counts(recording, answer)


def _as_the_sdk_counts(recording: Recording, answer: Answer) -> None:
    expected = sdk_usage().get(recording.name)
    if expected is None or "chunks" in expected:  # there the SDK counted chunks, not tokens
        return
    usage = answer.usage
    plain_input = (usage.input or 0) - (usage.cache_read or 0) - (usage.cache_write or 0)
    assert [plain_input, usage.output] == [number or 0 for number in expected]


def counted(answer: Answer) -> list[int]:
    """What is 0 to a client and what was not said are the same."""
    usage = answer.usage
    counters = (usage.input, usage.output, usage.cache_read, usage.cache_write, usage.web_searches)
    return [counter or 0 for counter in counters]


def same_parts(one: tuple[Part, ...], other: tuple[Part, ...]) -> bool:
    """Equal, but for blanks between the arguments of calls: whole answers have objects there."""
    return [_parsed(part) for part in one] == [_parsed(part) for part in other]


def _parsed(part: Part) -> object:
    if not isinstance(part, ToolCall):
        return part
    return replace(part, arguments=""), json.loads(part.arguments)


@pytest.mark.parametrize("recording", ANSWERS, ids=by_name)
def test_whole_answers_satisfy_the_types(recording: Recording) -> None:
    body = json.loads(recording.body)
    if "web_fetch_requests" not in json.dumps(body.get("usage")) and body["usage"].get("server_tool_use"):
        pytest.skip("older than the types")
    MESSAGES.validate_python(anthropic.encode_answer(anthropic.decode_answer(body), Context()))


@pytest.mark.parametrize("recording", STREAMS[:12], ids=by_name)
def test_a_stream_that_breaks_off_never_looks_whole(recording: Recording) -> None:
    for share in (0.1, 0.4, 0.7, 0.95):
        events = decoded(recording.content_type, [recording.body[: int(len(recording.body) * share)]])
        assert isinstance(fold(events), Failure)
        frames = encoded(events)
        assert frames[-1][0] == "error"


@pytest.mark.parametrize("path", FIXTURES, ids=by_name)
def test_the_sdk_s_own_fixtures(path: Path) -> None:
    events = decoded("text/event-stream", [path.read_bytes() + b"\n\n"])
    answer = fold(events)
    assert isinstance(answer, Answer)
    told = anthropic.decode_answer(json.loads(accumulated(encoded(events)).to_json()))
    assert told.finish == answer.finish
    if "incomplete" not in path.name:
        assert same_parts(told.parts, answer.parts)


@pytest.mark.parametrize("recording", ERRORS, ids=by_name)
def test_errors(recording: Recording) -> None:
    failure = anthropic.decode_error(recording.status, recording.headers, recording.body)
    status, headers, body = anthropic.encode_error(failure, "req_1")
    told = json.loads(recording.body)["error"]
    assert (status, headers["request-id"]) == (recording.status, "req_1")
    assert json.loads(body) == {"type": "error", "error": told, "request_id": "req_1"}
