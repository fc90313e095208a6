"""How a call is carried: its bytes untouched, one value spliced, or translated. One function decides."""

from typing import Literal

type Mode = Literal["passthrough", "splice", "translate"]


def choose(client: str, upstream: str, *, top_level: bool, deep: bool) -> Mode:
    """`client` and `upstream` are dialects; `top_level`: top-level values change; `deep`: anything else."""
    if client != upstream or deep:
        return "translate"
    return "splice" if top_level else "passthrough"
