"""OpenAI's SDK as oracle: its types judge every frame, its accumulator reads our streams."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import httpx2
import openai
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from llm_intercept.wire.codec import Context, Frame
from llm_intercept.wire.codecs import openai_responses as codec
from llm_intercept.wire.ir import Event

ANSWER: TypeAdapter[Any] = TypeAdapter(Response)


@cache
def event_type() -> TypeAdapter[Any]:
    return TypeAdapter(ResponseStreamEvent)


def frames(events: Iterable[Event], context: Context | None = None) -> list[Frame]:
    encoder = codec.encoder(context or Context(now=1_700_000_000.0))
    found = [frame for event in events for frame in encoder.feed(event)]
    return [*found, *encoder.close()]


def check(found: list[Frame]) -> list[Any]:
    """The frames as the SDK's event types, numbered without a gap; raises where one is not of its type."""
    events = [event_type().validate_json(payload) for _, payload in found]
    assert [event.type for event in events] == [name for name, _ in found]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return events


def wire(found: list[Frame]) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (name.encode(), payload) for name, payload in found)


def accumulated(found: list[Frame]) -> Any:
    """What the user of `client.responses.stream` has at the end."""
    headers, body = {"content-type": "text/event-stream"}, wire(found)
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=headers, content=body))
    with httpx2.Client(transport=transport) as http:
        client = openai.OpenAI(api_key="none", max_retries=0, http_client=http)
        with client.responses.stream(model="any", input="any") as stream:
            last = list(stream)[-1]
            return stream.get_final_response() if last.type == "response.completed" else last.response
