"""The pages of administration, under `/-/llm/manage`: one module for each kind of object, and their routes.

Every change goes through `llm_intercept.manage`, which checks the right to it and leaves a row in the audit
log. Pages are plain forms: GET shows, POST changes and goes on to another page.
"""

from collections.abc import Awaitable, Callable

from datasette import Response

from llm_dashboard.admin import (
    aliases,
    audit,
    cache,
    configuration,
    failures,
    home,
    importing,
    keys,
    limits,
    listeners,
    logins,
    maintenance,
    projects,
    removal,
    tokens,
    users,
)
from llm_dashboard.admin import routes as routing
from llm_dashboard.admin.sections import BASE
from llm_dashboard.admin.visit import Handler, view

type Page = Callable[..., Awaitable[Response]]

_NAME = r"(?P<name>[^/]+)"
_ID = r"(?P<id>[^/]+)"
_KEY = rf"(?P<provider>[^/]+)/{_NAME}"


# (path below BASE, page, whether members and viewers have it)
_PAGES: tuple[tuple[str, Handler, bool], ...] = (
    ("", home.page, True),
    ("/projects", projects.page, True),
    ("/projects/new", projects.new, False),
    (f"/projects/{_NAME}/edit", projects.edit, False),
    (f"/projects/{_NAME}/revoke", projects.revoke, False),
    (f"/projects/{_NAME}/delete", removal.delete, False),
    ("/tokens", tokens.page, True),
    ("/tokens/new", tokens.new, True),
    ("/tokens/secret", tokens.secret, True),
    ("/tokens/revoke", tokens.revoke, True),
    ("/tokens/(?P<action>suspend|resume)", tokens.switch_many, True),
    (f"/tokens/{_ID}/edit", tokens.edit, True),
    (f"/tokens/{_ID}/refresh", tokens.refresh, True),
    (f"/tokens/{_ID}/(?P<action>suspend|resume)", tokens.switch, True),
    ("/users", users.page, False),
    ("/users/new", users.new, False),
    ("/users/invited", users.invited, False),
    (f"/users/{_ID}/edit", users.edit, False),
    (f"/users/{_ID}/invite", users.invite, False),
    (f"/users/{_ID}/withdraw", users.withdraw, False),
    (f"/users/{_ID}/logins", logins.page, False),
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
    ("/routes", routing.page, False),
    ("/routes/new", routing.new, False),
    ("/routes/explain", routing.explain, False),
    (f"/routes/{_NAME}/edit", routing.edit, False),
    (f"/routes/{_NAME}/document", routing.document, False),
    (f"/routes/{_NAME}/move", routing.move, False),
    (f"/routes/{_NAME}/delete", routing.delete, False),
    (f"/routes/{_NAME}/(?P<action>enable|disable)", routing.switch, False),
    ("/aliases", aliases.page, False),
    ("/aliases/edit", aliases.edit, False),
    ("/aliases/delete", aliases.delete, False),
    ("/cache", cache.page, True),
    ("/cache/purge", cache.purge, True),
    (f"/cache/{_ID}", cache.entry, True),
    ("/failures", failures.page, False),
    ("/failures/choose", failures.choose, False),
    (rf"/failures/(?P<scope>[^/]+)/{_NAME}/edit", failures.edit, False),
    (rf"/failures/(?P<scope>[^/]+)/{_NAME}/reset", failures.reset, False),
    ("/audit", audit.page, False),
    ("/audit/verify", audit.verify, False),
    (r"/audit/export\.(?P<kind>csv|ndjson)", audit.export, False),
    (r"/audit/(?P<id>[0-9]{1,18})", audit.row, False),
    ("/maintenance", maintenance.page, False),
    ("/maintenance/backup", maintenance.make_backup, False),
    ("/maintenance/cleanup", maintenance.clean_up, False),
    ("/import/(?P<kind>projects|tokens|users)", importing.page, False),
    (f"/maintenance/backups/{_NAME}/verify", maintenance.verify, False),
    ("/settings", configuration.page, False),
)
# Beside the list of listeners, which was there before.
_LISTENERS: tuple[tuple[str, Handler], ...] = (
    ("/new", listeners.new),
    (f"/{_NAME}/edit", listeners.edit),
    (f"/{_NAME}/delete", listeners.delete),
    (f"/{_NAME}/(?P<action>start|stop)", listeners.switch),
)


def routes() -> list[tuple[str, Page]]:
    """As Datasette takes them."""
    found = [(f"^{BASE}{path}$", view(handler, admin=not everybody)) for path, handler, everybody in _PAGES]
    return found + [(f"^{listeners.PATH}{path}$", view(handler)) for path, handler in _LISTENERS]
