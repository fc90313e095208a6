"""The sections of the pages of administration: what the menu shows to whom."""

from dataclasses import dataclass

BASE = "/-/llm/manage"


@dataclass(frozen=True, slots=True)
class Place:
    """`everybody`: members and viewers have it too, with what is theirs."""

    slug: str
    title: str
    about: str
    everybody: bool = False
    path: str = ""

    @property
    def href(self) -> str:
        return self.path or f"{BASE}/{self.slug}"


PLACES = (
    Place("projects", "Projects", "What calls and tokens belong to, and what they may do", True),
    Place("tokens", "Tokens", "Make, restrict, refresh and revoke the keys that you hand out", True),
    Place("users", "Users", "Who may log in, with which role"),
    Place("limits", "Limits", "How many calls, tokens and dollars, for whom, in which time", True),
    Place("keys", "Keys", "The providers' keys, their pools and how they are doing"),
    Place("routes", "Routes", "Which target answers which call, and what is tried next"),
    Place("aliases", "Aliases", "Names of models that lead to others"),
    Place("listeners", "Listeners", "More ports, with defaults of their own", path="/-/llm/listeners"),
    Place("failures", "Failures", "Errors, delays and broken streams on purpose"),
    Place("audit", "Audit", "Who changed what, from where, and what it was before"),
    Place("maintenance", "Maintenance", "Backups, and what a cleanup would remove"),
    Place("settings", "Settings", "What is configured, and where each value comes from"),
)


def of_role(role: str) -> tuple[Place, ...]:
    """What somebody may open."""
    return tuple(place for place in PLACES if role == "admin" or (role and place.everybody))


def index_of(path: str) -> str:
    """The list that a page belongs to."""
    inside = path[path.find("/-/llm/") :]
    found = next((place for place in PLACES if inside.startswith(place.href)), None)
    return found.href if found else BASE
