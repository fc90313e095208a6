"""OpenAI's Responses API, as client and as target. The parts of the codec are the modules beside this one.

terms, names     the shared words; tools inside namespaces and their flat names
content, items   parts of messages; items of inputs and outputs read into parts and turns
writing          turns written as input items
tools, controls  tools and choice; sampling, reasoning, structured output, identity
request          a whole request, and whether it can be translated
pieces, output   items of an answer while they are written
answer           a whole answer
decoder, encoder streams
errors           error answers and failures in streams
"""

from llm_intercept.wire.codecs.openai_responses.answer import decode_answer, encode_answer
from llm_intercept.wire.codecs.openai_responses.decoder import StreamDecoder as decoder
from llm_intercept.wire.codecs.openai_responses.encoder import StreamEncoder as encoder
from llm_intercept.wire.codecs.openai_responses.errors import decode_error, encode_error
from llm_intercept.wire.codecs.openai_responses.request import (
    check_translatable,
    decode_request,
    encode_request,
)
from llm_intercept.wire.codecs.openai_responses.terms import NAME

FRAMING = "sse"

__all__ = [
    "FRAMING",
    "NAME",
    "check_translatable",
    "decode_answer",
    "decode_error",
    "decode_request",
    "decoder",
    "encode_answer",
    "encode_error",
    "encode_request",
    "encoder",
]
