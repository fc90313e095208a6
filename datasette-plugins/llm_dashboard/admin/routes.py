"""Routes: the list in its order, making, changing, moving and removing them, and what a call would meet."""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from datasette import Response

from llm_dashboard.admin import filtering, route_forms
from llm_dashboard.admin.explaining import explained
from llm_dashboard.admin.forms import Form, whole
from llm_dashboard.admin.visit import Visit
from llm_intercept.cli import route_check, route_words
from llm_intercept.cli.route_call import DIALECTS
from llm_intercept.cli.session import Session
from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.policy.routing import Route, read_route
from llm_intercept.policy.targets import target_text
from llm_intercept.store.projects import DEFAULT_PROJECT
from llm_intercept.store.routes import StoredRoute

PATH = "/-/llm/manage/routes"
_BLAME = (
    ("cannot be the name of a route", "name"),
    ("a route named", "name"),
    ("no provider", "targets"),
    ("no dialect", "dialects"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A route in words."""

    stored: StoredRoute
    conditions: str
    targets: list[str]
    longer: list[str]


async def page(visit: Visit) -> Response:
    found = await visit.ask(lambda m: m.routes.list(visit.actor))
    chosen = filtering.chosen(visit, "state")
    return await visit.page(
        "routes",
        lines=[line for line in map(_line, found) if _fits(line, chosen)],
        states=("in use", "off"),
        strategies=route_forms.STRATEGY_LABELS,
        chosen=chosen,
        filtered=any(chosen.values()),
    )


def _fits(line: Line, chosen: Mapping[str, str]) -> bool:
    state = "in use" if line.stored.enabled else "off"
    texts = (line.stored.name, line.conditions, *line.targets, *line.longer)
    return filtering.fits(chosen["state"], state) and filtering.has_words(chosen["q"], *texts)


def _line(stored: StoredRoute) -> Line:
    route = stored.route
    if route is None:
        return Line(stored, "", [], [])
    targets, longer = ([target_text(t) for t in group] for group in (route.targets, route.longer))
    return Line(stored, ", ".join(route_words.conditions(route.match)), targets, longer)


async def new(visit: Visit) -> Response:
    form = Form(route_forms.sections(new=True))
    if visit.posting:
        form.take(await visit.posted())
        route = route_forms.read(form, form.text("name"))
        done = await _set(visit, form, route, new=True) if route else None
        if done is not None:
            return done
    return await visit.form(
        form,
        title="New route",
        about="The first route that is for a call says where it may go: to one target after the other, "
        "until one answers. Calls that no route takes go where they were sent.",
        submit="Create route",
        back=PATH,
        place="Routes",
    )


async def edit(visit: Visit) -> Response:
    name = visit.var("name")
    stored = await visit.ask(lambda m: m.routes.get(visit.actor, name))
    if stored.route is None or not route_forms.is_plain(stored.route):
        return visit.to(f"{PATH}/{stored.name}/document")
    form = Form(route_forms.sections(new=False), route_forms.values(stored.route))
    if visit.posting:
        form.take(await visit.posted())
        route = route_forms.read(form, stored.name)
        done = await _set(visit, form, route) if route else None
        if done is not None:
            return done
    return await visit.form(form, **_editing(stored))


async def document(visit: Visit) -> Response:
    """The route as JSON: for what the fields cannot say."""
    name = visit.var("name")
    stored = await visit.ask(lambda m: m.routes.get(visit.actor, name))
    shown = stored.route.model_dump(mode="json", exclude_defaults=True) if stored.route else {}
    form = Form(route_forms.DOCUMENT, {"document": json.dumps(shown, indent=2)}, problem=stored.problem)
    if visit.posting:
        form.problem = ""
        form.take(await visit.posted())
        route = form.read("document", lambda text: _document(text, stored.name))
        done = await _set(visit, form, route) if route else None
        if done is not None:
            return done
    return await visit.form(form, **_editing(stored))


def _document(text: str, name: str) -> Route:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"this is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError("this is no JSON object")
    return read_route({**found, "name": name})


def _editing(stored: StoredRoute) -> dict[str, object]:
    return {
        "title": stored.name,
        "badge": ("in use", "good") if stored.enabled else ("off", "quiet"),
        "about": f"Number {stored.position}. A change counts from the next call on.",
        "submit": "Save",
        "back": PATH,
        "place": "Routes",
        "also": [
            ("As a document", "All of it as JSON.", f"{PATH}/{stored.name}/document", "Edit as JSON"),
            ("Remove", "For good. To leave it out for a while, disable it in the list.",
             f"{PATH}/{stored.name}/delete", "Remove route"),
        ],
    }  # fmt: skip


async def _set(visit: Visit, form: Form, route: Route, *, new: bool = False) -> Response | None:
    """Checked as the command does: providers have to exist, the rest is told of."""

    def check() -> tuple[Route, list[str]]:
        session = Session({**os.environ, "LLM_INTERCEPT_HOME": str(visit.home.path)})
        try:
            return route_check.checked(session, route)
        finally:
            session.close()

    try:
        checked, warnings = await asyncio.to_thread(check)
        if new and any(s.name.lower() == route.name.lower() for s in await _all(visit)):
            raise Conflict(f"there is a route named {route.name!r} already")
    except (ConfigError, Conflict, NotFound) as error:
        form.refused(error, _BLAME)
        return None
    stored = await visit.submit(form, lambda m: m.routes.set(visit.actor, checked), _BLAME)
    if stored is None:
        return None
    said = f"The route {stored.name} counts from the next call on."
    return visit.to(PATH, " ".join([said, *(f"Note: {text}." for text in warnings)]))


async def _all(visit: Visit) -> list[StoredRoute]:
    return await visit.ask(lambda m: m.routes.list(visit.actor))


async def switch(visit: Visit) -> Response:
    if not visit.posting:
        return visit.to(PATH)
    on, name = visit.var("action") == "enable", visit.var("name")
    stored = await visit.ask(lambda m: (m.routes.enable if on else m.routes.disable)(visit.actor, name))
    return visit.to(PATH, f"The route {stored.name} is {'in use again' if on else 'left out'}.")


async def move(visit: Visit) -> Response:
    if not visit.posting:
        return visit.to(PATH)
    position = whole((await visit.posted()).get("position", [""])[0])
    stored = await visit.ask(lambda m: m.routes.move(visit.actor, visit.var("name"), position))
    return visit.to(PATH, f"The route {stored.name} is number {stored.position} now.")


async def delete(visit: Visit) -> Response:
    stored = await visit.ask(lambda m: m.routes.get(visit.actor, visit.var("name")))
    if visit.posting:
        await visit.ask(lambda m: m.routes.delete(visit.actor, stored.name))
        return visit.to(PATH, f"The route {stored.name} is removed.")
    return await visit.page(
        "confirm",
        title=f"Remove the route {stored.name}?",
        sentences=["Its calls go to the next route that is for them, or where they were sent."],
        button="Remove",
        back=f"{PATH}/{stored.name}/edit",
        place="Routes",
    )


async def explain(visit: Visit) -> Response:
    """A form by GET: nothing is sent and nothing is changed."""
    providers = sorted(visit.stage.registry.providers)
    projects = await visit.ask(lambda m: [p.name for p in m.projects.list(visit.actor)])
    form = Form(
        route_forms.explain_sections(providers, projects, list(DIALECTS)), {"project": DEFAULT_PROJECT}
    )
    found = None
    if visit.request.args.get("model") is not None:
        form.take({name: visit.request.args.getlist(name) for name in visit.request.args})
        found = await explained(visit, form)
    return await visit.page("explain", 400 if form.failed else 200, form=form, found=found)
