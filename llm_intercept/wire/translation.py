"""One call between two dialects: request there, answer, stream or error back.

Whichever side streams: a whole answer can become a stream and a stream a whole answer. What comes
back to the client is always well-formed in its dialect; a fault inside becomes its error.
"""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace

import orjson

from llm_intercept.errors import Reply
from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Codec, Context, Encoded, Frame
from llm_intercept.wire.codecs import anthropic
from llm_intercept.wire.codecs.anthropic import envelope
from llm_intercept.wire.encoding import Decoder
from llm_intercept.wire.fields import mapping, parse_object
from llm_intercept.wire.fold import fold, unfold
from llm_intercept.wire.framing import Framing
from llm_intercept.wire.framing.choose import choose
from llm_intercept.wire.framing.whole import Whole
from llm_intercept.wire.framing.write import FrameWriter
from llm_intercept.wire.halves import Halves, may_have
from llm_intercept.wire.ir import Event, Failed, Failure, Finished, Json, PartStarted, Request
from llm_intercept.wire.lint import Lint
from llm_intercept.wire.unshown import Unshown
from llm_intercept.wire.usage import Usage

WHOLE = "application/json"


@dataclass(frozen=True, slots=True)
class Side:
    """A dialect and how its streams are framed on the wire ("" for the codec's own framing)."""

    dialect: str
    framing: str = ""


class Translation:
    """Belongs to one exchange. `context.warnings` gathers what was dropped or changed."""

    def __init__(self, client: Side, upstream: Side, context: Context, *, stream: bool) -> None:
        self.context = context
        self.upstream_dialect = upstream.dialect
        self.stream = stream
        self._unshown: Unshown | None = None
        self.lint: Lint | None = None  # sees every frame that we write; to be set before `relay`
        self.client: Codec = codecs.get(client.dialect)
        self.upstream: Codec = codecs.get(upstream.dialect)
        self.framing = client.framing or self.client.FRAMING

    def read(self, body: bytes, model: str, stream: bool) -> Request:
        """The client's request; raises Untranslatable."""
        document = parse_object(body)
        if self.client.NAME == self.upstream.NAME:
            return self.client.decode_request(document, model, stream)
        if check := getattr(self.client, "check_translatable", None):
            check(document)  # what only the client's own provider could look up
        request = self.client.decode_request(document, model, stream)
        leave = getattr(self.client, "abroad", None)  # what is for the client's own provider alone
        return leave(request, self.context) if leave is not None else request

    def encode(self, request: Request) -> Encoded:
        """The request for the provider; raises Untranslatable."""
        if request.reasoning is not None and request.reasoning.visible is False:
            self._unshown = Unshown()
        return self.upstream.encode_request(request, self.context)

    @property
    def content_type(self) -> str:
        """Of a successful answer to the client."""
        return FrameWriter(self.framing).content_type if self.stream else WHOLE

    def answer(self, body: bytes, content_type: str) -> bytes:
        """A whole answer of the provider in the client's dialect; a stream if the client wants one."""
        relay = self.relay(content_type)
        return b"".join((*relay.feed(body), *relay.close()))

    def reply(self, body: bytes, content_type: str, request_id: str) -> Reply:
        """A whole answer of the provider as one for the client; a failure inside has its own status."""
        source = _Source(self.upstream, content_type, "")
        return self.folded([*source.feed(body), *source.close()], request_id)

    def retold(self, body: bytes, content_type: str) -> bytes | None:
        """An answer from before as the client wants it; None for one that cannot be told to its end.

        Leaves everything as it was: then the provider's new answer comes this way.
        """
        again = copy(self)
        again.context = replace(self.context, warnings=[*self.context.warnings])
        again.lint, again._unshown = None, Unshown() if self._unshown is not None else None
        source = _Source(self.upstream, content_type, "")
        events = [*source.feed(body), *source.close()]
        if isinstance(fold(events), Failure):
            return None
        if self.stream:
            sink = _Streaming(again)
            told = sink.feed(events) + sink.close()
        else:
            told = again.folded(events, "").body
        self.context.warnings = again.context.warnings
        return told

    def shown(self, events: Iterable[Event]) -> Iterable[Event]:
        """What of the answer the client wants to see."""
        return self._unshown.over(events) if self._unshown is not None else events

    def folded(self, events: Iterable[Event], request_id: str) -> Reply:
        found = fold(self.shown(events))
        if isinstance(found, Failure):
            return self.failure(found, request_id)
        answer = orjson.dumps(self.client.encode_answer(found, self.context))
        return Reply(200, (("content-type", WHOLE),), answer)

    def relay(self, content_type: str, content_encoding: str = "") -> "Relay":
        """Takes the provider's bytes and gives the client's."""
        source = _Source(self.upstream, content_type, content_encoding)
        return Relay(source, _Streaming(self) if self.stream else _Whole(self))

    def error(self, status: int, headers: Mapping[str, str], body: bytes, request_id: str) -> Reply:
        """The provider's error in the client's dialect."""
        return self.failure(self.upstream.decode_error(status, headers, body), request_id)

    def failure(self, failure: Failure, request_id: str) -> Reply:
        status, headers, body = self.client.encode_error(failure, request_id)
        return Reply(status, tuple(headers.items()), body)


_ENVELOPES = {"": envelope.for_anthropic, "bedrock": envelope.for_bedrock, "vertex": envelope.for_vertex}


type Body = Mapping[str, Json]


def enveloped(body: Body, dialect: str, kind: str) -> tuple[Body, tuple[str, ...]]:
    """The body as its host wants it, and Anthropic's betas for the header; `kind` is `Serving.envelope`."""
    if dialect != anthropic.NAME:
        return body, ()
    betas = () if kind == "bedrock" else envelope.betas(body)
    return _ENVELOPES[kind](body), betas


class _Source:
    """The provider's bytes as events; a whole document is unfolded into those of a stream."""

    def __init__(self, codec: Codec, content_type: str, content_encoding: str) -> None:
        self._codec = codec
        self._decoder = codec.decoder()
        self._content_type = content_type
        self._inflate = Decoder(content_encoding) if content_encoding else None
        self._framing: Framing | None = None
        self._is_whole = self._answered = False  # a whole document
        self._halves = Halves()
        self._said = False  # something of the answer was there

    def feed(self, chunk: bytes) -> Iterable[Event]:
        if self._inflate is not None:
            chunk = self._inflate.feed(chunk)
        if self._framing is None:
            self._framing = choose(self._content_type, chunk)
            self._is_whole = isinstance(self._framing, Whole)
        if self._framing is None:
            return []
        return self._events(self._framing.feed(chunk))

    def close(self) -> Iterable[Event]:
        late = self._events(self._framing.close()) if self._framing is not None else []
        return late if self._answered else [*late, *self._honest([*self._decoder.close()])]

    def _events(self, frames: list[Frame]) -> list[Event]:
        # No generator: this is called for every chunk.
        events: list[Event] = []
        for name, data in frames:
            if self._is_whole:
                self._answered = True
                events += self._unfolded(data)
            else:
                if b"\\" in data and may_have(data):
                    data = self._halves.joined(data)
                events += self._decoder.feed(name, data)
        return events if self._said else self._honest(events)

    def _honest(self, events: list[Event]) -> list[Event]:
        """An answer that ended in an error before it said anything is that error, as a whole one is."""
        self._said = self._said or any(isinstance(event, PartStarted) for event in events)
        last = events[-1] if events else None
        if self._said or not isinstance(last, Finished) or last.finish != "error":
            return events
        return [*events[:-1], Failed(Failure("upstream", "the model failed before it said anything", 502))]

    def _unfolded(self, data: bytes) -> Iterable[Event]:
        """A document that holds an error and nothing else is a failure, whatever its status said."""
        document = parse_object(data)
        answer = self._codec.decode_answer(document)
        if not answer.parts and (answer.finish == "error" or document.get("error")):
            return [Failed(self._codec.decode_error(_status(document), {}, data))]
        return unfold(answer)


def _status(document: Mapping[str, object]) -> int:
    """What an error that came as a success says of itself (OpenRouter, Google)."""
    code = mapping(document.get("error")).get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 502


class _Streaming:
    """Events to the client's frames."""

    def __init__(self, translation: Translation) -> None:
        self._shown = translation.shown
        self._encoder = translation.client.encoder(translation.context)
        self._writer = FrameWriter(translation.framing)
        self._lint = translation.lint

    def feed(self, events: Iterable[Event]) -> bytes:
        frames: list[Frame] = []
        for event in self._shown(events):
            frames += self._encoder.feed(event)
        return self._written(frames)

    def close(self) -> bytes:
        return self._written(list(self._encoder.close())) + self._writer.end()

    def _written(self, frames: list[Frame]) -> bytes:
        if self._lint is not None:
            for event, data in frames:
                self._lint.frame(event, data)
        return self._writer.write(frames)


class _Whole:
    """Events to one document, given at the end."""

    def __init__(self, translation: Translation) -> None:
        self._translation = translation
        self._events: list[Event] = []

    def feed(self, events: Iterable[Event]) -> bytes:
        self._events.extend(events)
        return b""

    def close(self) -> bytes:
        return self._translation.folded(self._events, "").body


class Relay:
    """The stream's middle: `feed` chunks, then `close` once. A fault gives the client its dialect's error."""

    def __init__(self, source: _Source, sink: _Streaming | _Whole) -> None:
        self._source = source
        self._sink = sink
        self._broken = False

    def feed(self, chunk: bytes) -> list[bytes]:
        if self._broken:
            return []
        written = self._sink.feed(self._source.feed(chunk))
        return [written] if written else []

    def close(self) -> list[bytes]:
        """The rest, and the end that the client's dialect asks for."""
        if self._broken:
            return []
        return _some(self._sink.feed(self._source.close()) + self._sink.close())

    def finish(self, usage: Usage) -> list[bytes]:
        """Ends the client's stream where it is: its length was used up. Encoders close what is open."""
        if self._broken:
            return []
        self._broken = True
        return _some(self._sink.feed([Finished("length", usage)]) + self._sink.close())

    def abort(self, message: str, late: bool = False) -> list[bytes]:
        """Ends the client's stream with an error of its dialect; nothing comes after it."""
        if self._broken:
            return []
        self._broken = True
        failure = Failure("timeout", message, 504) if late else Failure("upstream", message, 502)
        return _some(self._sink.feed([Failed(failure)]) + self._sink.close())


def _some(data: bytes) -> list[bytes]:
    return [data] if data else []
