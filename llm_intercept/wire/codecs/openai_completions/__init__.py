"""OpenAI's legacy text completions: a prompt is one user message, an answer is text; there are no tools."""

from llm_intercept.wire.codec import Context, EventDecoder, EventEncoder
from llm_intercept.wire.codecs.openai_completions.answer import decode_answer, encode_answer
from llm_intercept.wire.codecs.openai_completions.errors import decode_error, encode_error
from llm_intercept.wire.codecs.openai_completions.request import decode_request, encode_request
from llm_intercept.wire.codecs.openai_completions.stream import CompletionDecoder, CompletionEncoder
from llm_intercept.wire.codecs.openai_completions.terms import NAME

FRAMING = "sse"


def decoder() -> EventDecoder:
    return CompletionDecoder()


def encoder(context: Context) -> EventEncoder:
    return CompletionEncoder(context)


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
