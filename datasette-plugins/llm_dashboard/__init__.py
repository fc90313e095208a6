"""The dashboard, a Datasette plugin: which hook is answered by which module.

The plugin does nothing in a Datasette whose configuration does not name a home for it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from datasette import Response, hookimpl
from datasette.app import Datasette
from datasette.permissions import PermissionSQL
from datasette.utils.asgi import Request
from markupsafe import Markup

from llm_dashboard import (
    access,
    account,
    admin,
    authentication,
    cells,
    config,
    downloads,
    faults,
    formats,
    headers,
    listeners,
    listing,
    login,
    messages,
    oidc,
    overview,
    peers,
    single,
    targets,
)
from llm_dashboard.admin import sections
from llm_dashboard.api import docs, serving

headers.quiet_access_log()
headers.no_variables_in_errors()


@hookimpl
def register_routes(datasette: Datasette) -> list[tuple[str, Callable[..., Any]]]:
    if config.read(datasette) is None:
        return []
    return [
        (r"^/$", overview.page),
        (r"^/-/llm/live\.json$", overview.live),
        (r"^/-/llm/summary\.json$", overview.summary_json),
        (r"^/-/llm/timeseries\.json$", overview.timeseries_json),
        (r"^/-/llm/requests$", listing.page),
        (r"^/-/llm/requests/(?P<request_id>[0-9a-fA-F-]+)$", single.page),
        (r"^/-/llm/listeners$", listeners.page),
        (r"^/-/llm/targets$", targets.page),
        (r"^/-/llm/targets/reset$", targets.reset),
        (docs.SHORT_ROUTE, docs.short),
        (docs.ROUTE, docs.docs),
        (serving.ROUTE, serving.serve),
        (r"^/-/llm/export\.(?P<kind>csv|ndjson|json)$", downloads.export_view),
        (r"^/-/llm/login$", login.login),
        (r"^/-/llm/logout$", login.logout),
        (r"^/-/llm/oidc/start$", oidc.start),
        (r"^/-/llm/oidc/callback$", oidc.callback),
        (r"^/-/llm/setup$", login.setup),
        (r"^/-/llm/invite$", login.invite),
        (r"^/-/llm/account$", account.page),
        (r"^/-/llm/account/password$", account.password),
        (r"^/-/llm/account/sessions$", account.sessions),
        (r"^/-/llm/account/tokens$", account.tokens),
        (r"^/-/llm/account/tokens/revoke$", account.revoke),
        *admin.routes(),
    ]


@hookimpl
def actor_from_request(
    datasette: Datasette, request: Request
) -> Callable[[], Awaitable[dict[str, str] | None]]:
    async def look_up() -> dict[str, str] | None:
        found = await authentication.identify(datasette, request)
        return found.document() if found else None

    return look_up


@hookimpl
def permission_resources_sql(
    datasette: Datasette, actor: dict[str, str] | None, action: str
) -> PermissionSQL | None:
    return None if config.read(datasette) is None else access.permission(actor, action)


@hookimpl
def forbidden(datasette: Datasette, request: Request) -> Callable[[], Awaitable[Response | None]] | None:
    if config.read(datasette) is None or request.actor or not access.wants_html(request):
        return None

    async def ask_to_log_in() -> Response:
        return await login.login_page(datasette, request, status=403, where=request.full_path)

    return ask_to_log_in


@hookimpl
def handle_exception(datasette: Datasette, request: Request, exception: Exception) -> object:
    """The API answers in one shape, whatever goes wrong, and pages say nothing of it."""
    return faults.answer(datasette, request, exception)


@hookimpl
def asgi_wrapper(datasette: Datasette) -> Callable[[headers.App], headers.App]:
    if config.read(datasette) is None:
        return lambda app: app
    opened, base = access.opened(datasette), datasette.setting("base_url") or "/"
    return lambda app: peers.wrap(headers.wrap(messages.wrap(app), base), lambda: opened.trusted_proxies)


@hookimpl
def prepare_jinja2_environment(env: Any) -> None:
    env.filters.update(formats.FILTERS)


@hookimpl
def extra_template_vars(datasette: Datasette, request: Request | None) -> dict[str, object]:
    """What the frame of every page needs, core's pages included."""
    if config.read(datasette) is None:
        return {}
    theme = request.cookies.get("llm_theme", "") if request else ""
    path = request.path if request else ""
    places = sections.of_role(((request.actor if request else None) or {}).get("role", ""))
    return {
        # Everything here is private: a padlock on every name would say nothing.
        "private": False,
        "llm_reports": config.REPORTS,
        "llm_is_report": any(path.endswith(f"/{config.DATABASE}/{name}") for name, _ in config.REPORTS),
        "llm_admin": access.is_admin(request),
        "llm_theme": theme if theme in ("light", "dark") else "",
        "llm_path": path,
        "llm_table_columns": cells.TABLE_COLUMNS,
        "llm_places": places,
        "llm_place_groups": sections.grouped(places),
    }


@hookimpl
def render_cell(
    value: object, column: str, table: str | None, database: str, datasette: Datasette, row: Any
) -> object:
    if database != config.DATABASE or value is None:
        return None
    return cells.render(datasette, column, value)


@hookimpl
def top_row(datasette: Datasette, database: str, table: str, row: Any) -> Markup | None:
    if database != config.DATABASE or table != "requests" or config.read(datasette) is None:
        return None
    href = datasette.urls.path(f"/-/llm/requests/{row['request_id']}")
    return Markup('<p><a class="button" href="{}">Open the page of this call</a></p>').format(href)


@hookimpl
def shutdown(datasette: Datasette) -> Callable[[], Awaitable[None]] | None:
    opened = getattr(datasette, "_llm_doors", None)
    return opened.close if opened else None
