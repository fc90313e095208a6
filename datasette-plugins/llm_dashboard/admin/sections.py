"""The sections of the pages of administration: what the menu shows to whom."""

from collections.abc import Sequence
from dataclasses import dataclass

BASE = "/-/llm/manage"


@dataclass(frozen=True, slots=True)
class Place:
    """`everybody`: members and viewers have it too, with what is theirs."""

    slug: str
    title: str
    about: str
    group: str
    everybody: bool = False
    path: str = ""

    @property
    def href(self) -> str:
        return self.path or f"{BASE}/{self.slug}"


_ACCESS, _TRAFFIC, _SYSTEM = "Access", "Traffic", "System"
PLACES = (
    Place("projects", "Projects", "What calls and tokens belong to, and what they may do", _ACCESS, True),
    Place("tokens", "Tokens", "Make, restrict, refresh and revoke the keys that you hand out", _ACCESS, True),
    Place("limits", "Limits", "How many calls, tokens and dollars, for whom, in which time", _ACCESS, True),
    Place("users", "Users", "Who may log in, with which role", _ACCESS),
    Place("keys", "Keys", "The providers' keys, their pools and how they are doing", _TRAFFIC),
    Place("routes", "Routes", "Which target answers which call, and what is tried next", _TRAFFIC),
    Place("aliases", "Aliases", "Names of models that lead to others", _TRAFFIC),
    Place("listeners", "Listeners", "More ports, with their own defaults", _TRAFFIC, path="/-/llm/listeners"),
    Place("cache", "Cache", "Answers that are given again, and what they save", _TRAFFIC, True),
    Place("failures", "Failures", "Errors, delays and broken streams on purpose", _TRAFFIC),
    Place("audit", "Audit", "Who changed what, from where, and what it was before", _SYSTEM),
    Place("maintenance", "Maintenance", "Backups, cleanups, and how large the databases are", _SYSTEM),
    Place("settings", "Settings", "What is configured, and where each value comes from", _SYSTEM),
)


def of_role(role: str) -> tuple[Place, ...]:
    """What somebody may open."""
    return tuple(place for place in PLACES if role == "admin" or (role and place.everybody))


def grouped(places: Sequence[Place]) -> dict[str, list[Place]]:
    """As the side of the pages shows them."""
    found: dict[str, list[Place]] = {}
    for place in places:
        found.setdefault(place.group, []).append(place)
    return found


def index_of(path: str) -> str:
    """The list that a page belongs to."""
    inside = path[path.find("/-/llm/") :]
    found = next((place for place in PLACES if inside.startswith(place.href)), None)
    return found.href if found else BASE
