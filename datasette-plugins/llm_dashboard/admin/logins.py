"""The logins and API tokens of one user, which an admin can end."""

from datasette import Response

from llm_dashboard.admin.visit import Visit
from llm_intercept.manage import Management
from llm_intercept.manage.accounts import Accounts
from llm_intercept.store.api_tokens import ApiToken
from llm_intercept.store.sessions import Session
from llm_intercept.store.users import User

PATH = "/-/llm/manage/users"


async def page(visit: Visit) -> Response:
    """Logins with their browsers; POST ends one of them, or all, or an API token."""

    def look(m: Management) -> tuple[User, list[Session], list[ApiToken]]:
        user, accounts = m.users.get(visit.actor, visit.var("id")), Accounts(m.desk)
        tokens = [t for t in accounts.api_tokens(visit.actor, everybody=True) if t.user_id == user.id]
        return user, accounts.sessions(visit.actor, user.id), tokens

    user, sessions, tokens = await visit.ask(look)
    if visit.posting:
        posted = await visit.posted()
        if "token" in posted:
            return await _revoked(visit, user, posted["token"][0], tokens)
        id_ = (posted.get("session") or [""])[0]
        return await _ended(visit, user, id_, {session.id for session in sessions})
    return await visit.page("logins", user=user, sessions=sessions, api_tokens=tokens)


async def _revoked(visit: Visit, user: User, id_: str, tokens: list[ApiToken]) -> Response:
    where, token = f"{PATH}/{user.id}/logins", next((each for each in tokens if each.id == id_), None)
    if token is None or token.state == "revoked":
        return visit.to(where, "That API token does not work any more.", bad=True)
    await visit.ask(lambda m: Accounts(m.desk).revoke_api_token(visit.actor, token.id))
    return visit.to(where, f"The API token {token.name} of {user.name} is revoked.")


async def _ended(visit: Visit, user: User, id_: str, known: set[str]) -> Response:
    where = f"{PATH}/{user.id}/logins"
    if id_ and id_ not in known:
        return visit.to(where, "That login has ended already.", bad=True)
    if id_:
        await visit.ask(lambda m: Accounts(m.desk).revoke_session(visit.actor, id_))
        return visit.to(where, f"That login of {user.name} has ended.")
    await visit.ask(lambda m: Accounts(m.desk).revoke_sessions(visit.actor, user.id))
    return visit.to(where, f"All logins of {user.name} have ended.")
