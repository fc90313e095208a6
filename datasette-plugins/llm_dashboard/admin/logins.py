"""The logins of one user, which an admin can end."""

from datasette import Response

from llm_dashboard.admin.visit import Visit
from llm_intercept.manage import Management
from llm_intercept.manage.accounts import Accounts
from llm_intercept.store.sessions import Session
from llm_intercept.store.users import User

PATH = "/-/llm/manage/users"


async def page(visit: Visit) -> Response:
    """Each with its browser; POST ends one of them, or all."""

    def look(m: Management) -> tuple[User, list[Session]]:
        user = m.users.get(visit.actor, visit.var("id"))
        return user, Accounts(m.desk).sessions(visit.actor, user.id)

    user, sessions = await visit.ask(look)
    if visit.posting:
        id_ = ((await visit.posted()).get("session") or [""])[0]
        return await _ended(visit, user, id_, {session.id for session in sessions})
    return await visit.page("logins", user=user, sessions=sessions)


async def _ended(visit: Visit, user: User, id_: str, known: set[str]) -> Response:
    where = f"{PATH}/{user.id}/logins"
    if id_ and id_ not in known:
        return visit.to(where, "That login has ended already.", bad=True)
    if id_:
        await visit.ask(lambda m: Accounts(m.desk).revoke_session(visit.actor, id_))
        return visit.to(where, f"That login of {user.name} has ended.")
    await visit.ask(lambda m: Accounts(m.desk).revoke_sessions(visit.actor, user.id))
    return visit.to(where, f"All logins of {user.name} have ended.")
