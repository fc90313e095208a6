"""Errors: those of every API of OpenAI."""

from collections.abc import Mapping

from llm_intercept.wire.families.openai_writing import read_failure, write_failure
from llm_intercept.wire.ir import Failure


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    return read_failure(status, headers, body)


def encode_error(failure: Failure, request_id: str) -> tuple[int, Mapping[str, str], bytes]:
    return write_failure(failure, request_id)
