"""Ollama's own `/api/chat`, client and target: JSON lines, arguments as objects, images beside the text."""

from llm_intercept.wire.codec import Context, EventDecoder, EventEncoder
from llm_intercept.wire.codecs.ollama.answer import decode_answer, encode_answer
from llm_intercept.wire.codecs.ollama.errors import decode_error, encode_error
from llm_intercept.wire.codecs.ollama.request import decode_request, encode_request
from llm_intercept.wire.codecs.ollama.stream_in import LineDecoder
from llm_intercept.wire.codecs.ollama.stream_out import LineEncoder
from llm_intercept.wire.codecs.ollama.terms import NAME

FRAMING = "lines"


def decoder() -> EventDecoder:
    return LineDecoder()


def encoder(context: Context) -> EventEncoder:
    return LineEncoder(context)


__all__ = [
    "FRAMING",
    "NAME",
    "decode_answer",
    "decode_error",
    "decode_request",
    "decoder",
    "encode_answer",
    "encode_error",
    "encode_request",
    "encoder",
]
