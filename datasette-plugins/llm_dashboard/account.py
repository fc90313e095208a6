"""My account: one's own password, sessions and API tokens, and what one may take."""

import time
from contextlib import closing
from typing import Any

from datasette import NotFound, Response
from datasette.app import Datasette
from datasette.utils.asgi import Request

from llm_dashboard import access, clock, login
from llm_dashboard.admin.once import Once
from llm_dashboard.authentication import actor_of
from llm_intercept import errors
from llm_intercept.home import Home
from llm_intercept.manage.limit_usage import UsageLine
from llm_intercept.manage.quota import quota
from llm_intercept.policy.actor import Actor
from llm_intercept.policy.apitokens import SCOPES
from llm_intercept.store.accounts import TooManyAttempts
from llm_intercept.store.api_tokens import parsed_lifetime
from llm_intercept.store.control import Control
from llm_intercept.store.reservations import Counters

PATH = "/-/llm/account"
_made: Once[str] = Once()


async def page(datasette: Datasette, request: Request) -> Response:
    access.require(request)
    return await _page(datasette, request)


def _login(request: Request) -> str:
    """Told apart from all others: a token is shown to the login that made it."""
    return str(request.cookies.get(access.COOKIE) or actor_of(request).label)


async def _page(datasette: Datasette, request: Request, status: int = 200, **more: object) -> Response:
    opened, actor = access.opened(datasette), actor_of(request)
    found = await opened.ask(lambda control: _facts(control, actor))
    current = await _current(datasette, request)
    context = {"actor_": actor, "current": current, "scopes": SCOPES, "now": clock.now(), **found, **more}
    html = await datasette.render_template("llm/account.html", context, request=request)
    response = Response.html(html, status=status)
    response.headers["cache-control"] = "private, no-store"
    return response


def _facts(control: Control, actor: Actor) -> dict[str, Any]:
    mine = login.accounts(control)
    user = control.users.find(actor.user_id) if actor.user_id else None
    return {
        "user": user,
        "has_password": bool(user) and control.accounts.has_password(actor.user_id),
        "nobody": control.accounts.without_users(),
        "sessions": mine.sessions(actor),
        "api_tokens": mine.api_tokens(actor),
        "quota": _quota(control, actor),
    }


def _quota(control: Control, actor: Actor) -> list[UsageLine]:
    with closing(Counters(Home(control.path.parent).limits_db)) as counters:
        return quota(control, counters.read(), actor, time.time())


async def _current(datasette: Datasette, request: Request) -> str:
    """The id of the session that asks."""
    cookie = request.cookies.get(access.COOKIE, "")
    found = await access.opened(datasette).ask(lambda control: control.sessions.find(cookie))
    return found.id if found else ""


async def password(datasette: Datasette, request: Request) -> Response:
    """The old one is asked for, and all other sessions end."""
    access.require(request)
    opened, actor = access.opened(datasette), actor_of(request)
    if request.method != "POST":
        return Response.redirect(datasette.urls.path(PATH))
    form = await request.post_vars()
    try:
        await _change_password(opened, actor, form)
    except errors.InterceptError as error:
        status = 429 if isinstance(error, TooManyAttempts) else 400
        return await _page(datasette, request, status, password_problem=login.sentence(error))
    user = await opened.ask(lambda control: control.users.get(actor.user_id))
    return await login.enter(datasette, request, user, "password", datasette.urls.path(PATH) + "?changed=1")


async def _change_password(opened: access.Doors, actor: Actor, form: dict[str, str]) -> None:
    if not actor.user_id:
        raise errors.ConfigError(
            "the local administrator has no password; it comes in by links from the shell"
        )
    attempt = await opened.ask(lambda control: control.accounts.attempt(actor.name, actor.source))
    old = form.get("old", "")
    verdict = await opened.hash(lambda hasher: hasher.verify(attempt.hash, old))
    await opened.ask(lambda control: control.accounts.settle(attempt, verdict.right))
    has_one = await opened.ask(lambda control: control.accounts.has_password(actor.user_id))
    if has_one and not verdict.right:
        raise errors.ConfigError("the old password is wrong")
    hashed = await opened.hash(lambda hasher: login.chosen(hasher, form))
    await opened.ask(lambda control: login.accounts(control).set_password(actor, actor.user_id, hashed))


async def sessions(datasette: Datasette, request: Request) -> Response:
    """Ends one session, or all but this one."""
    access.require(request)
    opened, actor = access.opened(datasette), actor_of(request)
    if request.method == "POST":
        form, cookie = await request.post_vars(), request.cookies.get(access.COOKIE, "")
        id_ = form.get("session", "")

        def end(control: Control) -> None:
            mine = login.accounts(control)
            if form.get("others"):
                mine.revoke_sessions(actor, but=cookie)
            elif id_ not in {session.id for session in mine.sessions(actor)}:
                raise errors.NotFound("There is no such session.")
            else:
                mine.revoke_session(actor, id_)

        await _done(opened, end)
    return Response.redirect(datasette.urls.path(PATH))


async def tokens(datasette: Datasette, request: Request) -> Response:
    """Makes an API token; the page that follows shows it, and loading that again makes no other."""
    access.require(request)
    opened, actor = access.opened(datasette), actor_of(request)
    if request.method != "POST":
        return await _shown(datasette, request)
    form = await request.post_vars()
    name, scope, days = (form.get(field, "") for field in ("name", "scope", "days"))
    try:
        lifetime = parsed_lifetime(days)
        made = await opened.ask(
            lambda control: login.accounts(control).create_api_token(actor, name, scope, lifetime)
        )
    except (errors.ConfigError, errors.Conflict) as error:
        given = {"token_name": name, "token_scope": scope, "token_days": days}
        return await _page(datasette, request, 400, token_problem=login.sentence(error), **given)
    code = _made.put(_login(request), made.text)
    return Response.redirect(datasette.urls.path(f"{PATH}/tokens?once={code}"), status=303)


async def _shown(datasette: Datasette, request: Request) -> Response:
    once = str(request.args.get("once", ""))
    if not once:
        return Response.redirect(datasette.urls.path(PATH))
    made = _made.take(_login(request), once)
    return await _page(datasette, request, 200 if made else 410, made=made, shown=True)


async def revoke(datasette: Datasette, request: Request) -> Response:
    """Makes one of one's own API tokens useless."""
    access.require(request)
    opened, actor = access.opened(datasette), actor_of(request)
    if request.method == "POST":
        id_ = (await request.post_vars()).get("token", "")

        def end(control: Control) -> None:
            mine = login.accounts(control)
            if id_ not in {token.id for token in mine.api_tokens(actor)}:
                raise errors.NotFound("There is no such API token.")
            mine.revoke_api_token(actor, id_)

        await _done(opened, end)
    return Response.redirect(datasette.urls.path(PATH))


async def _done(opened: access.Doors, work: Any) -> None:
    try:
        await opened.ask(work)
    except errors.NotFound as error:
        raise NotFound(str(error)) from None
