"""Anthropic's Messages API as a client's dialect and as a provider's, on whatever host it is.

The same bodies travel on Bedrock (invoke) and Vertex (rawPredict) in another envelope: `envelope.py`.
"""

from llm_intercept.wire.codecs.anthropic.answer import decode_answer, encode_answer
from llm_intercept.wire.codecs.anthropic.attribution import abroad
from llm_intercept.wire.codecs.anthropic.decoder import Decoder as decoder
from llm_intercept.wire.codecs.anthropic.encoder import Encoder as encoder
from llm_intercept.wire.codecs.anthropic.errors import decode_error, encode_error
from llm_intercept.wire.codecs.anthropic.members import NAME
from llm_intercept.wire.codecs.anthropic.request_in import decode_request
from llm_intercept.wire.codecs.anthropic.request_out import encode_request

FRAMING = "sse"

__all__ = [
    "FRAMING",
    "NAME",
    "abroad",
    "decode_answer",
    "decode_error",
    "decode_request",
    "decoder",
    "encode_answer",
    "encode_error",
    "encode_request",
    "encoder",
]
