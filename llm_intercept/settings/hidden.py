"""Types of settings that may hold secrets although they are no passwords: what is shown of them to people."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import PlainSerializer

STARS = "**********"


def origin(url: str) -> str:
    """Without path and query, which are the secret of many web hooks, and without a password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/..."


def _starred(values: dict[str, str]) -> dict[str, str]:
    return dict.fromkeys(values, STARS)


HiddenUrl = Annotated[str, PlainSerializer(origin, when_used="json")]
HiddenValues = Annotated[dict[str, str], PlainSerializer(_starred, when_used="json")]
