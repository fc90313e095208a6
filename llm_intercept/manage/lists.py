"""Long lists in pages, of what an actor may see: read by tables on pages and by the management API."""

from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.store.paging import Pages, Seen, TokenQuery
from llm_intercept.store.projects import Project
from llm_intercept.store.tokens import Token
from llm_intercept.store.users import User


class Lists:
    """`after` is where the page before ended; None for the first one."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pages = Pages(desk.control.database)

    def tokens(
        self, actor: Actor, asked: TokenQuery, after: tuple[str, str] | None = None, limit: int = 50
    ) -> list[Token]:
        """Oldest first: members see what their projects have, viewers what is theirs."""
        mine = self._desk.projects_of(actor) if actor.role == "member" else frozenset()
        return self._pages.tokens(self._seen(actor, mine), asked, after, limit)

    def users(
        self, actor: Actor, search: str = "", role: str = "", after: str | None = None, limit: int = 50
    ) -> list[User]:
        """By name; who is no admin sees only who he or she is."""
        return self._pages.users(self._seen(actor), search, role, after, limit)

    def projects(
        self,
        actor: Actor,
        search: str = "",
        active: bool | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> list[Project]:
        """By name: those that the actor owns or is a member of."""
        seen = self._seen(actor, self._desk.projects_of(actor))
        return self._pages.projects(seen, search, active, after, limit)

    def _seen(self, actor: Actor, projects: frozenset[str] = frozenset()) -> Seen:
        return Seen(actor.role == "admin", actor.user_id, projects)
