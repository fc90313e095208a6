"""What goes wrong, in one shape and with a code for each cause."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from llm_intercept.errors import ConfigError, Conflict, Forbidden, InterceptError, NotFound, StoreError
from llm_intercept.secrecy import said

# code -> (status, when it is said); the document and docs/api.md are made from this table.
CODES: dict[str, tuple[int, str]] = {
    "invalid_json": (400, "The body is not JSON."),
    "invalid_cursor": (400, "The cursor is not one that this list gave."),
    "invalid_path": (400, "The path cannot be read."),
    "invalid_header": (400, "A header has a value that it cannot have; `field` names it."),
    "unauthenticated": (401, "No login and no token, or one that does not work."),
    "forbidden": (403, "Whoever asks has no right to it."),
    "scope_missing": (403, "The API token is not for this: its scope is too small."),
    "not_found": (404, "There is nothing of that name, or nothing that whoever asks may see."),
    "no_such_operation": (404, "No operation has this path."),
    "method_not_allowed": (405, "The path has other methods; `Allow` lists them."),
    "conflict": (409, "It exists already, its state forbids it, or a name stands for several."),
    "idempotency_conflict": (409, "The Idempotency-Key was used for another body."),
    "precondition_failed": (412, "It is not as If-Match says any more."),
    "too_large": (413, "The body is larger than it may be."),
    "unsupported_media_type": (415, "The body is not sent as application/json."),
    "invalid_value": (422, "A value cannot be used; `field` names it."),
    "missing_field": (422, "A field is missing; `field` names it."),
    "unknown_field": (422, "A field is not known; `field` names it."),
    "unusable": (422, "The values are readable and make no sense together, or name what cannot be."),
    "provider_failed": (424, "The provider was asked, and refused or could not be reached."),
    "rate_limited": (429, "Too many requests; `Retry-After` says how long to wait."),
    "internal": (500, "A fault of ours; the log has it under the request_id."),
    "unavailable": (503, "A database is locked, full or missing; try again."),
}


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(
        description="for programs; docs/api.md lists them", json_schema_extra={"enum": list(CODES)}
    )
    message: str = Field(description="a sentence for people")
    field: str | None = Field(
        None, description="what it is about: a field of the body, a parameter or a header"
    )
    request_id: str = Field(description="the same as in the header `x-request-id`")


class Error(BaseModel):
    """The shape of every error."""

    error: ErrorDetail


class Problem(Exception):
    """Raised to be answered."""

    def __init__(
        self, code: str, message: str, field: str | None = None, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.message = said(message)  # what was sent may have a key in the wrong place
        super().__init__(self.message)
        self.code = code
        self.field = None if field is None else said(field)
        self.headers = headers

    @property
    def status(self) -> int:
        return CODES[self.code][0]

    def document(self, request_id: str) -> dict[str, Any]:
        detail = ErrorDetail(code=self.code, message=self.message, field=self.field, request_id=request_id)
        return Error(error=detail).model_dump(exclude_none=True)


_BY_KIND: tuple[tuple[type[InterceptError], str], ...] = (
    (NotFound, "not_found"),
    (Forbidden, "forbidden"),
    (Conflict, "conflict"),
    (ConfigError, "unusable"),
    (StoreError, "unavailable"),
)


def of_error(error: InterceptError) -> Problem:
    """What the rest of the package raises, by its kind."""
    code = next((code for kind, code in _BY_KIND if isinstance(error, kind)), "unusable")
    headers = (("retry-after", "1"),) if code == "unavailable" else ()
    text = str(error) if code == "forbidden" else _capital(str(error))  # that one begins with a name
    return Problem(code, text if text.endswith((".", "!", "?")) else f"{text}.", headers=headers)


def of_validation(error: ValidationError) -> Problem:
    """The first thing that is wrong with what was sent. The value is not repeated: it may be a secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    # Of a field that may be one of several kinds the kinds stand there as well: `literal['a','b']`.
    field = ".".join(str(part) for part in first["loc"] if "[" not in str(part)) or None
    text = _sentence(first)
    if first["type"] == "json_invalid":
        return Problem("invalid_json", f"The body is not JSON: {text.removeprefix('Invalid JSON: ')}.")
    if first["type"] == "extra_forbidden":
        return Problem("unknown_field", f"The field {field} is not known here.", field)
    if first["type"] == "missing":
        return Problem("missing_field", f"The field {field} is missing.", field)
    return Problem("invalid_value", f"{field}: {text}." if field else f"{_capital(text)}.", field)


# What a pattern means, where fields have one.
_PATTERNS = {
    r"^[A-Za-z0-9._-]{1,64}$": "takes 1 to 64 of A-Z a-z 0-9 . _ -",
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$": "write a day as 2026-11-01",
    r"^([1-5][0-9]{2}|[1-5]xx)?$": "write a status as 429, or several as 4xx",
}


def _sentence(first: Mapping[str, Any]) -> str:
    """pydantic's words, or better ones."""
    context = first.get("ctx", {})
    match first["type"]:
        case "string_pattern_mismatch":
            return _PATTERNS.get(context["pattern"], str(first["msg"]))
        case "too_short" | "too_long":
            text = context["field_type"] == "Value"  # of a secret
            most = first["type"] == "too_long"
            number = context["max_length" if most else "min_length"]
            return f"takes at {'most' if most else 'least'} {number} {'characters' if text else 'entries'}"
    return str(first["msg"]).removeprefix("Value error, ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
