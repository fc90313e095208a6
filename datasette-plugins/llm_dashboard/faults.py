"""What a page says when something went wrong in it: what the exception says is for the log alone."""

from collections.abc import Awaitable, Callable

from datasette import Response
from datasette.app import Datasette
from datasette.utils.asgi import Base400, Request
from datasette.views.base import DatasetteError

from llm_dashboard.api import serving

_STATUS = 500
_TEXT = "Something went wrong here; the log of the dashboard says what."


def answer(
    datasette: Datasette, request: Request, exception: Exception
) -> Response | Callable[[], Awaitable[Response]] | None:
    """None for what was said on purpose: Datasette says it."""
    if isinstance(exception, Base400 | DatasetteError):
        return serving.fault(request, exception)
    return serving.fault(request, exception) or (lambda: _page(datasette, request))


async def _page(datasette: Datasette, request: Request) -> Response:
    if request.path.endswith(".json"):
        return Response.json({"ok": False, "error": _TEXT, "status": _STATUS}, status=_STATUS)
    if request.path.endswith(".csv"):
        return Response.text(_TEXT, status=_STATUS)
    # As Datasette makes its own: what the frame of other pages asks for may be what went wrong.
    template = datasette.get_jinja_environment(request).select_template(["500.html", "error.html"])
    context = {"ok": False, "error": _TEXT, "status": _STATUS, "title": None, "urls": datasette.urls}
    html = await template.render_async(context | {"menu_links": list})
    return Response.html(html, status=_STATUS)
