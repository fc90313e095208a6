"""Types of settings that may hold secrets although they are no passwords: what is shown of them to people."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, PlainSerializer

from llm_intercept.secrecy import suspicious

STARS = "**********"


def origin(url: str) -> str:
    """Without path and query, which are the secret of many web hooks, and without a password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/..."


def _starred(values: dict[str, str]) -> dict[str, str]:
    return dict.fromkeys(values, STARS)


def _named(variable: str) -> str:
    if suspicious(variable):
        raise ValueError("names a variable that holds the key, and is not the key itself")
    return variable


VariableName = Annotated[str, AfterValidator(_named)]
HiddenUrl = Annotated[str, PlainSerializer(origin, when_used="json")]
HiddenValues = Annotated[dict[str, str], PlainSerializer(_starred, when_used="json")]
