"""The page /-/api/docs, and the way to it."""

from datasette import Forbidden, Response
from datasette.app import Datasette
from datasette.utils.asgi import Request

from llm_dashboard.api import document, operations, page
from llm_dashboard.api.caller import caller_of
from llm_dashboard.api.problem import CODES

ROUTE = r"^/-/api/docs$"
SHORT_ROUTE = r"^/-/api/?$"


async def docs(datasette: Datasette, request: Request) -> Response:
    if caller_of(request) is None:
        raise Forbidden("You are not logged in.")
    described = document.of(operations.TABLES)
    base = datasette.absolute_url(request, datasette.urls.path("/-/api"))
    context = {
        "tables": page.entries(operations.TABLES, described, base),
        "about": described["info"]["description"],
        "codes": CODES,
    }
    return Response.html(await datasette.render_template("llm/api.html", context, request=request))


async def short(datasette: Datasette, request: Request) -> Response:
    return Response.redirect(datasette.urls.path("/-/api/docs"))
