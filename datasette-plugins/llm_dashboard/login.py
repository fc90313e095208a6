"""Getting in and out: the owner's link, name and password, the first admin's setup, invites, logging out."""

from collections.abc import Callable

from datasette import Response
from datasette.app import Datasette
from datasette.utils.asgi import Request

from llm_dashboard import access, peers
from llm_intercept.errors import ConfigError, Conflict, InterceptError, NotFound
from llm_intercept.hashing import Hasher, Verdict
from llm_intercept.manage.accounts import Accounts
from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.store.accounts import Attempt, TooManyAttempts
from llm_intercept.store.api_tokens import OWNER
from llm_intercept.store.control import Control
from llm_intercept.store.users import User

LOGIN_PATH = "/-/llm/login"
SETUP_PATH = "/-/llm/setup"
INVITE_PATH = "/-/llm/invite"
WRONG = "The name or the password is wrong."
USED = "That link was used before, or is older than ten minutes."
NO_SETUP = "That setup link was used before, or is older than an hour, or somebody exists already."
NO_INVITE = "That invite was used before, or is too old. Ask an admin for another."


def accounts(control: Control) -> Accounts:
    return Accounts(Desk(control, control.audit))


async def login(datasette: Datasette, request: Request) -> Response:
    """GET with a code from the terminal: the code is used up. POST: name and password."""
    if request.method == "POST":
        return await _with_password(datasette, request)
    code = request.args.get("code", "")
    if not code:
        return await login_page(datasette, request)
    opened, ip = access.opened(datasette), peers.client_ip(request)
    good = await opened.ask(lambda control: _redeemed(control, code, ip))
    return (
        await enter(datasette, request, None, "link") if good else await login_page(datasette, request, USED)
    )


def _redeemed(control: Control, code: str, ip: str) -> bool:
    good = control.sessions.redeem_link(code)
    owner = Actor("session", OWNER, "admin" if good else "viewer", source=ip)
    detail = "one-time link" if good else "a link that does not work (any more)"
    control.audit.event("login", owner, outcome="ok" if good else "failed", detail=detail)
    return good


async def _with_password(datasette: Datasette, request: Request) -> Response:
    opened, ip, form = access.opened(datasette), peers.client_ip(request), await request.post_vars()
    who, password = form.get("name", ""), form.get("password", "")
    try:
        attempt = await opened.ask(lambda control: control.accounts.attempt(who, ip))
        verdict = await opened.hash(lambda hasher: hasher.verify(attempt.hash, password))
    except TooManyAttempts as error:
        return await _too_many(datasette, request, error, who)
    await opened.ask(lambda control: _settled(control, attempt, verdict, ip))
    if not verdict.right or attempt.user is None:
        return await login_page(datasette, request, WRONG, name=who)
    return await enter(datasette, request, attempt.user, "password", form.get("next", ""))


def _settled(control: Control, attempt: Attempt, verdict: Verdict, ip: str) -> None:
    control.accounts.settle(attempt, verdict.right, verdict.rehashed)
    accounts(control).attempted(attempt, ip, right=verdict.right)


async def _too_many(datasette: Datasette, request: Request, error: TooManyAttempts, who: str) -> Response:
    opened, ip = access.opened(datasette), peers.client_ip(request)
    await opened.ask(lambda control: accounts(control).attempted(None, ip, right=False, detail=str(error)))
    response = await login_page(datasette, request, sentence(error), 429, name=who)
    response.headers["retry-after"] = str(error.seconds)
    return response


async def enter(
    datasette: Datasette, request: Request, user: User | None, method: str, where: str = ""
) -> Response:
    """Opens a session in this browser, for a user or for the local administrator (None)."""
    opened = access.opened(datasette)
    old, hours = request.cookies.get(access.COOKIE, ""), opened.settings.session_hours
    agent, ip = request.headers.get("user-agent", ""), peers.client_ip(request)

    def begin(control: Control) -> str:
        if old:
            control.sessions.close(old)  # nobody else's login stays behind in this browser
        name, role, user_id = (user.name, user.role, user.id) if user else (OWNER, "admin", "")
        return control.sessions.open(
            name, role, hours=hours, user_agent=agent, client_ip=ip, user_id=user_id, method=method
        )

    cookie = await opened.ask(begin)
    response = Response.redirect(_inside(where) or datasette.urls.instance())
    set_cookie(datasette, request, response, access.COOKIE, cookie, hours * 3600)
    return response


def _inside(where: str) -> str:
    """A path of ours to go on to; "" for anything that could lead elsewhere."""
    odd = any(character in where for character in "\\\r\n\t") or not where.isprintable()
    return where if where.startswith("/") and not where.startswith("//") and not odd else ""


async def logout(datasette: Datasette, request: Request) -> Response:
    """POST only; a link that logs people out could be planted anywhere."""
    cookie = request.cookies.get(access.COOKIE)
    if request.method != "POST":
        return Response.redirect(datasette.urls.instance())
    if cookie:
        await access.opened(datasette).ask(lambda control: control.sessions.close(cookie))
    response = Response.redirect(datasette.urls.path(LOGIN_PATH))
    set_cookie(datasette, request, response, access.COOKIE, "", 0)
    return response


def set_cookie(
    datasette: Datasette, request: Request, response: Response, name: str, value: str, age: int
) -> None:
    path = datasette.setting("base_url") or "/"
    secure = request.scheme == "https" or bool(datasette.setting("force_https_urls"))
    response.set_cookie(name, value, max_age=age, path=path, secure=secure, httponly=True, samesite="lax")


async def login_page(
    datasette: Datasette,
    request: Request,
    problem: str = "",
    status: int | None = None,
    *,
    name: str = "",
    where: str = "",
) -> Response:
    """The form, where there is anybody who could fill it in; else how to get a link."""
    opened = access.opened(datasette)
    nobody = await opened.ask(lambda control: control.accounts.without_users())
    oidc = opened.login.oidc
    context = {
        "problem": problem,
        "name": name,
        "where": where,
        "has_users": not nobody,
        "oidc": oidc.title if oidc else "",
    }
    html = await datasette.render_template("llm/login.html", context, request=request)
    return Response.html(html, status=status or (403 if problem else 200))


async def setup(datasette: Datasette, request: Request) -> Response:
    """The first admin, by the setup link, or by the owner who is logged in. Nobody may exist yet."""
    opened = access.opened(datasette)
    form = await request.post_vars() if request.method == "POST" else {}
    code = form.get("code") or request.args.get("code", "")
    owner = access.is_admin(request)

    def allowed(control: Control) -> bool:
        return control.accounts.without_users() and (owner or control.sessions.is_link(code, "setup"))

    if not await opened.ask(allowed):
        return await login_page(datasette, request, NO_SETUP)
    if not form:
        return await _form(datasette, request, "setup", code)
    name, email = form.get("name", "").strip(), form.get("email", "").strip()
    ip = peers.client_ip(request)
    actor = Actor("session", OWNER, "admin" if owner else "viewer", source=ip)
    used = "" if owner else code

    def make(control: Control, hashed: str) -> User:
        return accounts(control).create_first(actor, name, email, hashed, used)

    return await _new_password(datasette, request, form, "setup", make)


async def invite(datasette: Datasette, request: Request) -> Response:
    """An invited user sets a password, and is logged in with it."""
    opened, ip = access.opened(datasette), peers.client_ip(request)
    form = await request.post_vars() if request.method == "POST" else {}
    code = form.get("code") or request.args.get("code", "")
    user = await opened.ask(lambda control: control.invites.find(code))
    if user is None:
        return await login_page(datasette, request, NO_INVITE)
    if not form:
        return await _form(datasette, request, "invite", code, user=user)
    return await _new_password(
        datasette,
        request,
        form,
        "invite",
        lambda control, hashed: accounts(control).accept_invite(code, hashed, ip),
        user,
    )


async def _new_password(
    datasette: Datasette,
    request: Request,
    form: dict[str, str],
    kind: str,
    make: Callable[[Control, str], User],
    user: User | None = None,
) -> Response:
    opened, code = access.opened(datasette), form.get("code", "")
    try:
        hashed = await opened.hash(lambda hasher: chosen(hasher, form))
        made = await opened.ask(lambda control: make(control, hashed))
    except (ConfigError, Conflict, NotFound, TooManyAttempts) as error:
        return await _form(datasette, request, kind, code, sentence(error), form, user)
    return await enter(datasette, request, made, kind)


def chosen(hasher: Hasher, form: dict[str, str]) -> str:
    """The hash of a new password that was typed twice."""
    if form.get("password", "") != form.get("again", ""):
        raise ConfigError("the two passwords are not the same")
    return hasher.new(form.get("password", ""))


async def _form(
    datasette: Datasette,
    request: Request,
    kind: str,
    code: str,
    problem: str = "",
    form: dict[str, str] | None = None,
    user: User | None = None,
) -> Response:
    given = {name: (form or {}).get(name, "") for name in ("name", "email")}
    context = {"kind": kind, "code": code, "problem": problem, "user": user, **given}
    html = await datasette.render_template("llm/new_password.html", context, request=request)
    return Response.html(html, status=400 if problem else 200)


def sentence(error: InterceptError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
