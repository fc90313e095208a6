"""Google's generateContent and streamGenerateContent, of AI Studio and of Vertex. A `Codec`.

    request.py    a whole request: messages.py, tools.py with schema*.py, config.py, reasoning.py
    answer.py     a whole answer: finish.py, logprobs.py
    decoder.py    a stream read (partial.py: arguments in pieces); encoder.py: a stream written
    reading.py    Google's parts to parts of the IR; writing.py: back
    signatures.py what `thoughtSignature` holds; ids.py: ids of calls that have none; errors.py

What a round trip through the IR changes: snake_case and numbered enumerations become camelCase words,
neighbouring contents of one role and declarations of functions are joined, empty texts are dropped,
the role "function" is "user", and responses stand before other parts of their turn.
"""

from llm_intercept.wire.codecs.gemini.answer import decode as decode_answer
from llm_intercept.wire.codecs.gemini.answer import encode as encode_answer
from llm_intercept.wire.codecs.gemini.decoder import Decoder as decoder
from llm_intercept.wire.codecs.gemini.encoder import Encoder as encoder
from llm_intercept.wire.codecs.gemini.errors import decode as decode_error
from llm_intercept.wire.codecs.gemini.errors import encode as encode_error
from llm_intercept.wire.codecs.gemini.request import check_translatable
from llm_intercept.wire.codecs.gemini.request import decode as decode_request
from llm_intercept.wire.codecs.gemini.request import encode as encode_request
from llm_intercept.wire.codecs.gemini.shapes import NAME

FRAMING = "sse"

__all__ = (
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
)
