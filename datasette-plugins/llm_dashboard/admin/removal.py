"""Deleting a project with all it has, after its name was typed."""

import asyncio
import os

from datasette import Response

from llm_dashboard.admin.forms import Field, Form, Section, number_of
from llm_dashboard.admin.projects import PATH
from llm_dashboard.admin.visit import Visit
from llm_intercept.cli.session import Session
from llm_intercept.manage import Management
from llm_intercept.manage.removal import Books, Removal, Removed
from llm_intercept.store.projects import Project


async def delete(visit: Visit) -> Response:
    project, limits, routes = await visit.ask(lambda m: _look(m, visit))
    form = Form((Section("", (_typed(project.name), _CALLS)),))
    if visit.posting:
        form.take(await visit.posted())
        if not form.failed and form.text("typed") != project.name:
            form.errors["typed"] = f"Type {project.name} to go on."
        if not form.failed:
            with_calls = form.ticked("calls")
            done = await asyncio.to_thread(_delete, visit, project.name, with_calls)
            fate = "deleted" if with_calls else "left without a name"
            calls = number_of(done.calls, "call")
            return visit.to(PATH, f"The project {done.project} is deleted, {calls} {fate}.")
    return await visit.page(
        "confirm",
        400 if form.failed else 200,
        form=form,
        title=f"Delete the project {project.name}?",
        sentences=[
            f"With it go {number_of(project.tokens, 'working token')} and those that have ended, "
            f"{number_of(limits, 'limit')}, {number_of(routes, 'route')} for it alone, and what was captured "
            "of its calls.",
            "Its calls stay without a name, unless you want them deleted too. "
            "The audit log keeps who did this.",
            "To keep everything and refuse its calls, switch it off instead.",
        ],
        button="Delete",
        back=f"{PATH}/{project.name}/edit",
        place="Projects",
    )


_CALLS = Field("calls", "Delete its calls as well", "check")


def _typed(name: str) -> Field:
    return Field("typed", f"Type {name} to confirm", required=True)


def _look(m: Management, visit: Visit) -> tuple[Project, int, int]:
    """Refused here already if it cannot be."""
    removal = Removal(m.desk, _books(visit))
    project = removal.check(visit.actor, visit.var("name"))
    routes = [r for r in removal.routes(project) if r.route and len(r.route.match.projects) == 1]
    return project, len(removal.limits(project)), len(routes)


def _books(visit: Visit) -> Books:
    return Books.of(visit.home)


def _delete(visit: Visit, name: str, with_calls: bool) -> Removed:
    """In a thread, on connections of its own: it may take a while, and other pages do not wait for it."""
    session = Session({**os.environ, "LLM_INTERCEPT_HOME": str(visit.home.path)})
    try:
        removal = Removal(session.manage.desk, _books(visit))
        return removal.delete(visit.actor, name, with_calls=with_calls, progress=lambda _: None)
    finally:
        session.close()
