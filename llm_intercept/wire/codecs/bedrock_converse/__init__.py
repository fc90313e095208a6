"""Amazon Bedrock's Converse and ConverseStream, as client and as target.

Structured output is `outputConfig.textFormat`, never a forced tool: a model that does not take it is
asked for it in the system prompt, with a warning, so that the answer is text in either case.
"""

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.bedrock_converse.answer import decode_answer, encode_answer
from llm_intercept.wire.codecs.bedrock_converse.decoder import Decoder
from llm_intercept.wire.codecs.bedrock_converse.encoder import Encoder
from llm_intercept.wire.codecs.bedrock_converse.errors import decode_error, encode_error
from llm_intercept.wire.codecs.bedrock_converse.request import decode_request, encode_request
from llm_intercept.wire.codecs.bedrock_converse.terms import NAME

FRAMING = "eventstream"

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


def decoder() -> Decoder:
    return Decoder()


def encoder(context: Context) -> Encoder:
    return Encoder(context)
