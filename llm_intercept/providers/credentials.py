"""How a secret is put on a request: the schemes that more than one provider uses.

A scheme replaces the client's own credential in place (same header, same spelling, same position) when
the provider wants it where the client put one. Otherwise it is appended, the client's is dropped, and
`Outgoing.changes` says so. Every other place that can carry a credential is emptied, so that what a
client sent for us never reaches a provider beside the real key.
"""

from dataclasses import dataclass

from pydantic import SecretStr

from llm_intercept.providers.base import Outgoing

CREDENTIAL_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
AWS_HEADERS = ("x-amz-date", "x-amz-security-token", "x-amz-content-sha256")


def place(request: Outgoing, name: str, value: str) -> None:
    """Sets the one credential header of a request and empties all other places."""
    given = {field.lower() for field, _ in request.headers}
    present = [header for header in CREDENTIAL_HEADERS if header in given]
    if name.lower() not in present:
        origin = ", ".join(present)
        request.changes.append(
            f"credential moved: {origin} -> {name}" if present else f"credential added: {name}"
        )
    request.set_header(name, value)
    if others := [header for header in present if header != name.lower()]:
        request.drop_header(*others)


def drop_query(request: Outgoing, name: str) -> bool:
    """Removes a query parameter, leaving the bytes of the others as they are."""
    path, mark, query = request.path.partition("?")
    if not mark:
        return False
    pairs = query.split("&")
    kept = [pair for pair in pairs if pair.partition("=")[0] != name]
    if len(kept) == len(pairs):
        return False
    request.path = f"{path}?{'&'.join(kept)}" if kept else path
    return True


def drop_signature(request: Outgoing) -> None:
    """Removes what a client's SigV4 signature leaves beside its Authorization header."""
    request.drop_header(*AWS_HEADERS)


def bearer(request: Outgoing, secret: SecretStr, now: float) -> None:
    """`Authorization: Bearer`, as most of the world does."""
    place(request, "Authorization", f"Bearer {secret.get_secret_value()}")


@dataclass(frozen=True, slots=True)
class Header:
    """The bare secret in a header of this name."""

    name: str

    def __call__(self, request: Outgoing, secret: SecretStr, now: float) -> None:
        place(request, self.name, secret.get_secret_value())


def google(request: Outgoing, secret: SecretStr, now: float) -> None:
    """An API key in `x-goog-api-key`; a `?key=` of the client goes. OAuth access tokens are bearers."""
    if drop_query(request, "key"):
        request.changes.append("query removed: key")
    if secret.get_secret_value().startswith("ya29."):
        bearer(request, secret, now)
        return
    place(request, "x-goog-api-key", secret.get_secret_value())
