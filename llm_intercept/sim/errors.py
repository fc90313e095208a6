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
    "authentication": ("invalid_request_error", "invalid_api_key"),
    "permission": ("invalid_request_error", None),
    "billing": ("insufficient_quota", "insufficient_quota"),
    "conflict": ("invalid_request_error", None),
    "too_large": ("invalid_request_error", "request_too_large"),
    "timeout": ("server_error", "timeout"),
    "overflow": ("invalid_request_error", "context_length_exceeded"),
    "signature": ("invalid_request_error", "invalid_encrypted_content"),
}
_ANTHROPIC = {
    "rate_limit": "rate_limit_error",
    "server": "api_error",
    "overloaded": "overloaded_error",
    "not_found": "not_found_error",
    "model": "not_found_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "billing": "billing_error",
    "too_large": "request_too_large",
    "timeout": "timeout_error",
}
_GOOGLE = {
    "rate_limit": "RESOURCE_EXHAUSTED",
    "server": "INTERNAL",
    "overloaded": "UNAVAILABLE",
    "not_found": "NOT_FOUND",
    "model": "NOT_FOUND",
    "authentication": "UNAUTHENTICATED",
    "permission": "PERMISSION_DENIED",
    "billing": "FAILED_PRECONDITION",
    "conflict": "ABORTED",
    "timeout": "DEADLINE_EXCEEDED",
}
_BEDROCK = {
    "rate_limit": "ThrottlingException",
    "server": "InternalServerException",
    "overloaded": "ServiceUnavailableException",
    "not_found": "UnknownOperationException",
    "model": "ResourceNotFoundException",
    "authentication": "UnrecognizedClientException",
    "permission": "AccessDeniedException",
    "billing": "ServiceQuotaExceededException",
    "conflict": "ConflictException",
    "timeout": "ModelTimeoutException",
}


def _status(failure: Failure) -> int:
    """529 is Anthropic's own; everybody else says 503, unless a scenario wants just that."""
    return 503 if failure.status == 529 and not failure.exact else failure.status


def openai_error(failure: Failure, request_id: str) -> ErrorAnswer:
    kind, code = _OPENAI[failure.kind]
    error = {"message": failure.message, "type": kind, "param": None, "code": code}
    return ErrorAnswer(_status(failure), {"error": error})


def azure_error(failure: Failure, request_id: str) -> ErrorAnswer:
    code = "429" if failure.kind == "rate_limit" else _OPENAI[failure.kind][1] or _OPENAI[failure.kind][0]
    return ErrorAnswer(_status(failure), {"error": {"code": code, "message": failure.message}})


def anthropic_error(failure: Failure, request_id: str) -> ErrorAnswer:
    error = {"type": _ANTHROPIC.get(failure.kind, "invalid_request_error"), "message": failure.message}
    body = {"type": "error", "error": error, "request_id": request_id}
    return ErrorAnswer(failure.status, body, (("request-id", request_id),))


def google_status(kind: str) -> str:
    return _GOOGLE.get(kind, "INVALID_ARGUMENT")


def google_error(failure: Failure, request_id: str) -> ErrorAnswer:
    status = _status(failure)
    error: Json = {"code": status, "message": failure.message, "status": google_status(failure.kind)}
    if failure.retry_after is not None:
        retry = {
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": f"{failure.retry_after:g}s",
        }
        error["details"] = [retry]
    return ErrorAnswer(status, {"error": error})


def bedrock_exception(kind: str) -> str:
    return _BEDROCK.get(kind, "ValidationException")


def bedrock_error(failure: Failure, request_id: str) -> ErrorAnswer:
    kind = bedrock_exception(failure.kind)
    headers = (("x-amzn-ErrorType", f"{kind}:http://internal.amazon.com/coral/com.amazon.coral.service/"),)
    return ErrorAnswer(_status(failure), {"message": failure.message}, headers)


def cohere_error(failure: Failure, request_id: str) -> ErrorAnswer:
    return ErrorAnswer(_status(failure), {"id": request_id, "message": failure.message})


def ollama_error(failure: Failure, request_id: str) -> ErrorAnswer:
    return ErrorAnswer(_status(failure), {"error": failure.message})
