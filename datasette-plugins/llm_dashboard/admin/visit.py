"""One visit of a page of administration: who it is, what may be asked, and how it is answered."""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from datasette import Forbidden, NotFound, Response
from datasette.app import Datasette
from datasette.utils.asgi import Request

from llm_dashboard import access, authentication, clock
from llm_dashboard.admin import sections
from llm_dashboard.admin.forms import Form, worded
from llm_dashboard.api import stage
from llm_intercept import errors
from llm_intercept.home import Home
from llm_intercept.manage import Actor, Management

type Handler = Callable[["Visit"], Awaitable[Response]]
type Posted = Mapping[str, Sequence[str]]

_STATUS: tuple[tuple[type[errors.InterceptError], int], ...] = (
    (errors.Conflict, 409),
    (errors.ConfigError, 400),
)


@dataclass(frozen=True, slots=True)
class Visit:
    """`actor` is whoever is logged in, with the address that the request came from."""

    datasette: Datasette
    request: Request
    stage: stage.Stage
    actor: Actor

    @property
    def posting(self) -> bool:
        return bool(self.request.method == "POST")

    @property
    def login(self) -> str:
        """Told apart from all others: what is shown once is shown to it alone."""
        return str(self.request.cookies.get(access.COOKIE) or self.actor.label)

    @property
    def home(self) -> Home:
        return self.stage.home

    def arg(self, name: str) -> str:
        """Of the query string."""
        return str(self.request.args.get(name, "")).strip()

    def var(self, name: str) -> str:
        """Of the path."""
        return str(self.request.url_vars[name])

    async def posted(self) -> Posted:
        body = await self.request.post_body()
        return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=5000)

    async def ask[T](self, question: Callable[[Management], T]) -> T:
        """In the one thread that has `control.db` open."""
        return await self.stage.manage(question)

    async def usage[T](self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Of `usage.db`, read-only."""
        return await self.stage.usage(question)

    async def submit[T](
        self, form: Form, question: Callable[[Management], T], blame: Sequence[tuple[str, str]] = ()
    ) -> T | None:
        """None when it was refused: the form then says why."""
        if form.failed:
            return None
        try:
            return await self.ask(question)
        except (errors.ConfigError, errors.Conflict, errors.NotFound) as error:
            form.refused(error, blame)
            return None

    async def page(self, template: str, status: int = 200, **context: Any) -> Response:
        html = await self.datasette.render_template(
            f"llm/admin/{template}.html",
            {"actor_role": self.actor.role, "now": clock.now(), **context},
            request=self.request,
        )
        # Pages about tokens and people are nobody else's, and not to be found with the back button.
        return Response.html(html, status=status, headers={"cache-control": "private, no-store"})

    async def form(self, form: Form, **context: Any) -> Response:
        return await self.page("form", 400 if form.failed else 200, form=form, **context)

    def path(self, path: str) -> str:
        return str(self.datasette.urls.path(path))

    def to(self, path: str, message: str = "", *, bad: bool = False) -> Response:
        """Goes on to another page, which says what was done."""
        if message:
            kind = self.datasette.ERROR if bad else self.datasette.INFO
            self.datasette.add_message(self.request, message, kind)
        return Response.redirect(self.path(path), status=303)


def view(handler: Handler, *, admin: bool = True) -> Callable[..., Awaitable[Response]]:
    """A page as Datasette calls it. `admin`: for admins alone."""

    async def opened(datasette: Datasette, request: Request) -> Response:
        access.require(request)
        found = stage.of(datasette)
        if found is None:
            return Response.redirect(datasette.urls.instance())
        visit = Visit(datasette, request, found, authentication.actor_of(request))
        if admin and visit.actor.role != "admin":
            raise Forbidden(f"Only admins see this page; {visit.actor.name} is a {visit.actor.role}.")
        return await _answered(visit, handler)

    return opened


async def _answered(visit: Visit, handler: Handler) -> Response:
    """What the management refuses becomes a page for people."""
    try:
        return await handler(visit)
    except errors.Forbidden as error:
        raise Forbidden(worded(error)) from error
    except errors.NotFound as error:
        raise NotFound(worded(error)) from error
    except errors.InterceptError as error:
        if visit.posting and not isinstance(error, errors.StoreError):
            return visit.to(sections.index_of(visit.request.path), worded(error), bad=True)
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 503)
        back = sections.index_of(visit.request.path)
        context = {"title": "That did not work", "error": worded(error), "status": status, "back": back}
        html = await visit.datasette.render_template("error.html", context, request=visit.request)
        return Response.html(html, status=status)
