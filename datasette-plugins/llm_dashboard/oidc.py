"""Logging in at an OpenID provider: there, and back again."""

import os
import secrets
import time
from dataclasses import asdict

import orjson
from datasette import Response
from datasette.app import Datasette
from datasette.utils.asgi import Request
from pydantic import SecretStr

from llm_dashboard import access, login, peers
from llm_intercept.errors import ConfigError, StoreError
from llm_intercept.manage.desk import Desk
from llm_intercept.manage.signon import SignOn
from llm_intercept.oidc import Client
from llm_intercept.policy.oidc import Asked, SignOnError, check_return, identity_of
from llm_intercept.store.control import Control
from llm_intercept.store.users import User

COOKIE = "llm_intercept_signon"
CALLBACK = "/-/llm/oidc/callback"
_SECONDS = 600
_MOST_USED = 10_000


class SignOns:
    """What one running dashboard keeps of it: the client, and which logins have come back already."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._used: dict[str, int] = {}

    def use(self, asked: Asked) -> bool:
        """False the second time."""
        now = int(time.time())
        self._used = {state: until for state, until in self._used.items() if until >= now}
        if asked.state in self._used or len(self._used) >= _MOST_USED:
            return False
        self._used[asked.state] = asked.until
        return True


def _sign_ons(datasette: Datasette) -> SignOns | None:
    """None when it is not configured."""
    found: SignOns | None = getattr(datasette, "_llm_signon", None)
    settings = access.opened(datasette).login.oidc
    if found is None and settings is not None:
        name = settings.client_secret_env
        secret = os.environ.get(name, "") if name else ""
        if name and not secret:
            raise ConfigError(
                f"{name} (dashboard.oidc.client_secret_env) is not set where the dashboard runs"
            )
        client = Client(settings, SecretStr(secret) if secret else None)
        found = datasette._llm_signon = SignOns(client)
    return found


async def start(datasette: Datasette, request: Request) -> Response:
    """Sends the browser to the provider, with what it needs to prove that it was this browser."""
    try:
        sign_ons = _sign_ons(datasette)
        if sign_ons is None:
            return Response.redirect(datasette.urls.path(login.LOGIN_PATH))
        where, until = request.args.get("next", "")[:1000], int(time.time()) + _SECONDS
        asked = Asked(*(secrets.token_urlsafe(32) for _ in range(3)), where, until)
        url = await sign_ons.client.begin(_redirect_uri(datasette, request), asked)
    except (SignOnError, ConfigError) as error:
        return await login.login_page(datasette, request, str(error), 502)
    sealed = await access.opened(datasette).ask(lambda control: _sealed(control, asked))
    response = Response.redirect(url)
    login.set_cookie(datasette, request, response, COOKIE, sealed, _SECONDS)
    return response


async def callback(datasette: Datasette, request: Request) -> Response:
    """The browser is back, with a code or with an error."""
    try:
        user, where = await _user(datasette, request)
    except (SignOnError, ConfigError) as error:
        response = await login.login_page(datasette, request, str(error))
    else:
        response = await login.enter(datasette, request, user, "oidc", where)
    login.set_cookie(datasette, request, response, COOKIE, "", 0)
    return response


async def _user(datasette: Datasette, request: Request) -> tuple[User, str]:
    opened, sign_ons, ip = access.opened(datasette), _sign_ons(datasette), peers.client_ip(request)
    if sign_ons is None:
        raise SignOnError("There is no provider to log in at.")
    settings, cookie = sign_ons.client.settings, request.cookies.get(COOKIE, "")
    asked = await opened.ask(lambda control: _unsealed(control, cookie))
    args = {name: request.args.get(name, "") for name in request.args}
    code = check_return(args, asked, settings.issuer, time.time())
    if asked is None or not sign_ons.use(asked):
        raise SignOnError("This answer was used before. Begin again.")
    claims = await sign_ons.client.finish(code, _redirect_uri(datasette, request), asked)
    identity = identity_of(claims, settings)
    user = await opened.ask(
        lambda control: SignOn(Desk(control, control.audit)).admit(identity, settings, ip)
    )
    return user, asked.where


def _redirect_uri(datasette: Datasette, request: Request) -> str:
    """As it is registered at the provider, who refuses any other."""
    base = access.opened(datasette).login.url.rstrip("/") or f"{request.scheme}://{request.host}"
    return base + str(datasette.urls.path(CALLBACK))


def _sealed(control: Control, asked: Asked) -> str:
    return control.database.vault.encrypt(SecretStr(orjson.dumps(asdict(asked)).decode())).decode()


def _unsealed(control: Control, cookie: str) -> Asked | None:
    try:
        text = control.database.vault.decrypt(cookie.encode("ascii"))
        return Asked(**orjson.loads(text.get_secret_value()))
    except (ConfigError, StoreError, ValueError, TypeError):
        return None
