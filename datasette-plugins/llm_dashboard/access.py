"""Who may see what: one-time login links, sessions in control.db, permissions of Datasette's own pages.

control.db is never attached to Datasette. It is opened here, in one thread of its own, so that no
URL and no SQL typed by anybody can reach it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from datasette import Forbidden, Response
from datasette.app import Datasette
from datasette.permissions import PermissionSQL
from datasette.utils.asgi import Request

from llm_dashboard import config
from llm_intercept.home import Home
from llm_intercept.store.control import Control
from llm_intercept.store.sessions import Session
from llm_intercept.vault import Vault

COOKIE = "llm_intercept_session"
LOGIN_PATH = "/-/llm/login"
_ON_DATABASE = frozenset({"view-database", "view-table", "view-query", "execute-sql"})


class Doors:
    """The sessions of one running dashboard."""

    def __init__(self, settings: config.Config) -> None:
        self.settings = settings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="control-db")
        self._control: Control | None = None

    async def ask[T](self, question: Callable[[Control], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: question(self._opened()))

    def _opened(self) -> Control:
        if self._control is None:
            home = Home(self.settings.home)
            self._control = Control(home.control_db, Vault.load(home.secret_key))
        return self._control

    async def close(self) -> None:
        if self._control is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._control.close)
            self._control = None
        self._thread.shutdown(wait=True)


def doors(datasette: Datasette) -> Doors | None:
    """None when the dashboard is not configured."""
    found: Doors | None = getattr(datasette, "_llm_doors", None)
    settings = config.read(datasette)
    if found is None and settings is not None:
        found = datasette._llm_doors = Doors(settings)
    return found


async def actor(datasette: Datasette, request: Request) -> dict[str, str] | None:
    """The person behind the cookie."""
    opened, cookie = doors(datasette), request.cookies.get(COOKIE)
    if opened is None or not cookie:
        return None
    session: Session | None = await opened.ask(lambda control: control.sessions.find(cookie))
    return {"id": session.actor, "role": session.role} if session else None


def require(request: Request) -> None:
    """At the top of every page and endpoint of ours."""
    if not (request.actor or {}).get("role"):
        raise Forbidden("You are not logged in.")


def permission(actor: dict[str, str] | None, action: str) -> PermissionSQL | None:
    """People who are logged in may look at usage.db, and ask it in SQL. Nothing is writable."""
    if not (actor or {}).get("role"):
        return None
    if action == "view-instance":
        return PermissionSQL.allow(reason="logged in")
    if action in _ON_DATABASE:
        sql = "SELECT :llm_database AS parent, NULL AS child, 1 AS allow, 'logged in' AS reason"
        return PermissionSQL(sql=sql, params={"llm_database": config.DATABASE})
    return None


async def login(datasette: Datasette, request: Request) -> Response:
    """GET with a code from the terminal: the code is used up, the browser gets a session."""
    opened, code = doors(datasette), request.args.get("code", "")
    if opened is None or not code:
        return await login_page(datasette, request)
    if not await opened.ask(lambda control: control.sessions.redeem_link(code)):
        return await login_page(
            datasette, request, "That link was used before, or is older than ten minutes."
        )
    session_id = await opened.ask(
        lambda control: control.sessions.open(
            "owner",
            "admin",
            hours=opened.settings.session_hours,
            user_agent=request.headers.get("user-agent", ""),
            client_ip=(request.scope.get("client") or [""])[0],
        )
    )
    response = Response.redirect(datasette.urls.instance())
    _set_cookie(datasette, request, response, session_id, opened.settings.session_hours * 3600)
    return response


async def logout(datasette: Datasette, request: Request) -> Response:
    """POST only; a link that logs people out could be planted anywhere."""
    opened, cookie = doors(datasette), request.cookies.get(COOKIE)
    if request.method != "POST" or opened is None:
        return Response.redirect(datasette.urls.instance())
    if cookie:
        await opened.ask(lambda control: control.sessions.close(cookie))
    response = Response.redirect(datasette.urls.path(LOGIN_PATH))
    _set_cookie(datasette, request, response, "", 0)
    return response


def _set_cookie(datasette: Datasette, request: Request, response: Response, value: str, age: int) -> None:
    path = datasette.setting("base_url") or "/"
    secure = request.scheme == "https" or bool(datasette.setting("force_https_urls"))
    response.set_cookie(COOKIE, value, max_age=age, path=path, secure=secure, httponly=True, samesite="lax")


async def login_page(
    datasette: Datasette, request: Request, problem: str = "", status: int | None = None
) -> Response:
    html = await datasette.render_template("llm/login.html", {"problem": problem}, request=request)
    return Response.html(html, status=status or (403 if problem else 200))


def wants_html(request: Request) -> bool:
    path = request.path.split("?")[0]
    return not path.endswith((".json", ".csv", ".ndjson")) and "text/html" in request.headers.get(
        "accept", ""
    )
