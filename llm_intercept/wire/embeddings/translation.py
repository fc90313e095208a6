"""One call for embeddings between two shapes: the sibling of `wire.translation.Translation`.

There are no streams of embeddings: request and answer are whole, and a model is translated even
within one shape where the provider is called at another endpoint than the client has.
"""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

import orjson

from llm_intercept.errors import Refusal, RefusalKind, Reply
from llm_intercept.wire import codecs, dialects, embeddings
from llm_intercept.wire.codec import Context
from llm_intercept.wire.embeddings import openai_embeddings
from llm_intercept.wire.embeddings.model import EmbedRequest
from llm_intercept.wire.encoding import Decoder
from llm_intercept.wire.families import failures
from llm_intercept.wire.fields import parse_object
from llm_intercept.wire.ir import Failure

WHOLE = "application/json"
# Whose errors a shape has, where it is not a codec's own name.
_ERRORS_OF = {openai_embeddings.NAME: "openai_chat"}
_KINDS: Mapping[str, RefusalKind] = {"overflow": "invalid_request"}


def alike(dialect: str, client_path: str, upstream_dialect: str, upstream_path: str) -> bool:
    """Whether one body says the same at both endpoints, but for the model's name."""
    if dialect != upstream_dialect:
        return False
    return dialect == openai_embeddings.NAME or _endpoint(client_path) == _endpoint(upstream_path)


class EmbeddingTranslation:
    """Belongs to one exchange. `context.warnings` gathers what was dropped or changed."""

    content_type = WHOLE
    stream = False

    def __init__(self, client: str, upstream: str, context: Context) -> None:
        self.context = context
        self.upstream_dialect = upstream
        self._client_dialect = client
        self._client = embeddings.get(client)
        self._upstream = embeddings.get(upstream)
        self._request = EmbedRequest("", ())

    def write(self, body: bytes, client_path: str, model: str, upstream_path: str) -> bytes:
        """The request in the provider's shape, for its `model`; raises Untranslatable."""
        asked = self._client.decode_request(
            parse_object(body), self.context.requested_model, _endpoint(client_path)
        )
        self._request = asked
        written = self._upstream.encode_request(
            replace(asked, model=model), self.context, _endpoint(upstream_path)
        )
        return orjson.dumps(written.body)

    def relay(self, content_type: str, content_encoding: str = "") -> "EmbeddingRelay":
        """Takes the provider's bytes and gives the client's, at their end."""
        return EmbeddingRelay(self, content_encoding)

    def answer(self, body: bytes, content_type: str) -> bytes:
        """A whole answer of the provider in the client's shape."""
        return self.reply(body, content_type, "").body

    def reply(self, body: bytes, content_type: str, request_id: str) -> Reply:
        """The same with its status: an answer without embeddings is a failure."""
        answer = self._upstream.decode_answer(parse_object(body))
        if len(answer.vectors) != len(self._request.inputs) or not all(answer.vectors):
            wanted, got = len(self._request.inputs), sum(map(bool, answer.vectors))
            self.context.warn(f"answer: {got} embeddings for {wanted} inputs")
            nothing = Failure("upstream", "The provider's answer has no embeddings.", 502)
            return self.failure(nothing, request_id)
        written = orjson.dumps(self._client.encode_answer(answer, self._request, self.context))
        return Reply(200, (("content-type", WHOLE),), written)

    def error(self, status: int, headers: Mapping[str, str], body: bytes, request_id: str) -> Reply:
        """The provider's error in the client's dialect."""
        name = _ERRORS_OF.get(self.upstream_dialect, self.upstream_dialect)
        if name in codecs.names():
            return self.failure(codecs.get(name).decode_error(status, headers, body), request_id)
        kind, message = dialects.get(name).read_error(status, body)
        found = failures.failure(status, kind, "", message, failures.retry_after(headers))
        return self.failure(found, request_id)

    def failure(self, failure: Failure, request_id: str) -> Reply:
        name = _ERRORS_OF.get(self._client_dialect, self._client_dialect)
        if name in codecs.names():
            status, headers, body = codecs.get(name).encode_error(failure, request_id)
            return Reply(status, tuple(headers.items()), body)
        kind: RefusalKind = _KINDS.get(failure.kind, failure.kind)  # type: ignore[arg-type]
        refusal = Refusal(kind, failure.code or failure.kind, failure.message, failure.retry_after)
        return dialects.get(name).refusal(refusal, request_id)


class EmbeddingRelay:
    """Gathers the provider's answer; what the client gets comes with `close`."""

    def __init__(self, translation: EmbeddingTranslation, content_encoding: str) -> None:
        self._translation = translation
        self._inflate = Decoder(content_encoding)
        self._body = bytearray()
        self._broken = False

    def feed(self, chunk: bytes) -> list[bytes]:
        if not self._broken:
            self._body += chunk if self._inflate.idle else self._inflate.feed(chunk)
        return []

    def close(self) -> list[bytes]:
        return [] if self._broken else [self._translation.answer(bytes(self._body), WHOLE)]

    def abort(self, message: str, late: bool = False) -> list[bytes]:
        if self._broken:
            return []
        self._broken = True
        failure = Failure("timeout", message, 504) if late else Failure("upstream", message, 502)
        return [self._translation.failure(failure, "").body]


def _endpoint(path: str) -> str:
    return unquote(path.partition("?")[0])
