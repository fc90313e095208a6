"""Chat completions, as OpenAI defined them and most of the trade speaks them: as client and as target.

What followers do differently is read whoever sends it, and written only where `Target` says so.
"""

from llm_intercept.wire.codec import Context, EventDecoder, EventEncoder
from llm_intercept.wire.codecs.openai_chat.answer import decode_answer, encode_answer
from llm_intercept.wire.codecs.openai_chat.errors import decode_error, encode_error
from llm_intercept.wire.codecs.openai_chat.request_in import decode_request
from llm_intercept.wire.codecs.openai_chat.request_out import encode_request
from llm_intercept.wire.codecs.openai_chat.stream_in import ChatDecoder
from llm_intercept.wire.codecs.openai_chat.stream_out import ChatEncoder
from llm_intercept.wire.codecs.openai_chat.terms import NAME

FRAMING = "sse"


def decoder() -> EventDecoder:
    return ChatDecoder()


def encoder(context: Context) -> EventEncoder:
    return ChatEncoder(context)


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
