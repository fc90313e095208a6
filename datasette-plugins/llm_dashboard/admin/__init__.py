"""The pages of administration, under `/-/llm/manage`: one module for each kind of object, and their routes.

Every change goes through `llm_intercept.manage`, which checks the right to it and leaves a row in the audit
log. Pages are plain forms: GET shows, POST changes and goes on to another page.
"""

from collections.abc import Awaitable, Callable

from datasette import Response

from llm_dashboard.admin import keys, limits, projects, tokens, users
from llm_dashboard.admin.sections import BASE
from llm_dashboard.admin.visit import Handler, Visit, view

type Page = Callable[..., Awaitable[Response]]

_NAME = r"(?P<name>[^/]+)"
_ID = r"(?P<id>[^/]+)"
_KEY = rf"(?P<provider>[^/]+)/{_NAME}"


async def home(visit: Visit) -> Response:
    return await visit.page("home")


# (path below BASE, page, whether members and viewers have it)
_PAGES: tuple[tuple[str, Handler, bool], ...] = (
    ("", home, True),
    ("/projects", projects.page, True),
    ("/projects/new", projects.new, False),
    (f"/projects/{_NAME}/edit", projects.edit, False),
    (f"/projects/{_NAME}/revoke", projects.revoke, False),
    ("/tokens", tokens.page, True),
    ("/tokens/new", tokens.new, True),
    ("/tokens/secret", tokens.secret, True),
    ("/tokens/revoke", tokens.revoke, True),
    (f"/tokens/{_ID}/edit", tokens.edit, True),
    (f"/tokens/{_ID}/refresh", tokens.refresh, True),
    (f"/tokens/{_ID}/(?P<action>suspend|resume)", tokens.switch, True),
    ("/users", users.page, False),
    ("/users/new", users.new, False),
    ("/users/invited", users.invited, False),
    (f"/users/{_ID}/edit", users.edit, False),
    (f"/users/{_ID}/invite", users.invite, False),
    (f"/users/{_ID}/delete", users.delete, False),
    ("/limits", limits.page, True),
    ("/limits/new", limits.new, False),
    (f"/limits/{_ID}/edit", limits.edit, False),
    (f"/limits/{_ID}/delete", limits.delete, False),
    (f"/limits/{_ID}/(?P<action>enable|disable)", limits.switch, False),
    ("/keys", keys.page, False),
    ("/keys/new", keys.new, False),
    (f"/keys/{_KEY}/edit", keys.edit, False),
    (f"/keys/{_KEY}/delete", keys.delete, False),
    (f"/keys/{_KEY}/(?P<action>enable|disable|test)", keys.switch, False),
)


def routes() -> list[tuple[str, Page]]:
    """As Datasette takes them."""
    return [(rf"^{BASE}{path}$", view(handler, admin=not everybody)) for path, handler, everybody in _PAGES]
