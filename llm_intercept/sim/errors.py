"""Errors in each provider's own shape, so that the official SDKs raise their typed exceptions."""

from collections.abc import Callable
from dataclasses import dataclass

from llm_intercept.sim.fate import Failure
from llm_intercept.sim.prompt import Json


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """Status, further headers and JSON body of an error."""

    status: int
    body: Json
    headers: tuple[tuple[str, str], ...] = ()


type ErrorShape = Callable[[Failure, str], ErrorAnswer]
"""(failure, request id) -> the provider's error."""

_OPENAI = {
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "server": ("server_error", None),
    "overloaded": ("server_error", "server_overloaded"),
    "not_found": ("invalid_request_error", "unknown_url"),
    "model": ("invalid_request_error", "model_not_found"),
    "invalid": ("invalid_request_error", None),
}
_ANTHROPIC = {
    "rate_limit": "rate_limit_error",
    "server": "api_error",
    "overloaded": "overloaded_error",
    "not_found": "not_found_error",
    "model": "not_found_error",
    "invalid": "invalid_request_error",
}
_GOOGLE = {
    "rate_limit": "RESOURCE_EXHAUSTED",
    "server": "INTERNAL",
    "overloaded": "UNAVAILABLE",
    "not_found": "NOT_FOUND",
    "model": "NOT_FOUND",
    "invalid": "INVALID_ARGUMENT",
}
_BEDROCK = {
    "rate_limit": "ThrottlingException",
    "server": "InternalServerException",
    "overloaded": "ServiceUnavailableException",
    "not_found": "UnknownOperationException",
    "model": "ResourceNotFoundException",
    "invalid": "ValidationException",
}


def _status(failure: Failure) -> int:
    """529 is Anthropic's own; everybody else says 503."""
    return 503 if failure.status == 529 else failure.status


def openai_error(failure: Failure, request_id: str) -> ErrorAnswer:
    kind, code = _OPENAI[failure.kind]
    error = {"message": failure.message, "type": kind, "param": None, "code": code}
    return ErrorAnswer(_status(failure), {"error": error})


def azure_error(failure: Failure, request_id: str) -> ErrorAnswer:
    code = "429" if failure.kind == "rate_limit" else _OPENAI[failure.kind][1] or _OPENAI[failure.kind][0]
    return ErrorAnswer(_status(failure), {"error": {"code": code, "message": failure.message}})


def anthropic_error(failure: Failure, request_id: str) -> ErrorAnswer:
    error = {"type": _ANTHROPIC[failure.kind], "message": failure.message}
    body = {"type": "error", "error": error, "request_id": request_id}
    return ErrorAnswer(failure.status, body, (("request-id", request_id),))


def google_error(failure: Failure, request_id: str) -> ErrorAnswer:
    status = _status(failure)
    error: Json = {"code": status, "message": failure.message, "status": _GOOGLE[failure.kind]}
    if failure.retry_after is not None:
        retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{failure.retry_after}s"}
        error["details"] = [retry]
    return ErrorAnswer(status, {"error": error})


def bedrock_error(failure: Failure, request_id: str) -> ErrorAnswer:
    kind = _BEDROCK[failure.kind]
    headers = (("x-amzn-ErrorType", f"{kind}:http://internal.amazon.com/coral/com.amazon.coral.service/"),)
    return ErrorAnswer(_status(failure), {"message": failure.message}, headers)


def cohere_error(failure: Failure, request_id: str) -> ErrorAnswer:
    return ErrorAnswer(_status(failure), {"id": request_id, "message": failure.message})


def ollama_error(failure: Failure, request_id: str) -> ErrorAnswer:
    return ErrorAnswer(_status(failure), {"error": failure.message})
