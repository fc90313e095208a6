"""Who acts: on control.db, and at the doors."""

from dataclasses import dataclass
from typing import Literal

type ActorKind = Literal["cli", "session", "api_token", "system", "proxy"]
type Role = Literal["admin", "member", "viewer"]

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` is a person's, an OS user's or a token's; `user_id` is "" for whoever is no stored user."""

    kind: ActorKind
    name: str
    role: Role = "viewer"
    user_id: str = ""
    source: str = LOCAL  # the client's IP address
    request_id: str = ""  # by what it acts: the id of a request to the management API, or of a call

    @property
    def label(self) -> str:
        return f"{self.name} ({self.kind.replace('_', ' ')}, {self.source})"


SYSTEM = Actor("system", "system", "admin")
PROXY = Actor("proxy", "proxy", "admin")
