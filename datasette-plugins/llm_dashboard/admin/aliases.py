"""Aliases: names of models that lead to others. Those of the settings are shown as well."""

from urllib.parse import urlencode

from datasette import Response

from llm_dashboard.admin import filtering
from llm_dashboard.admin.forms import Field, Form, Section, plain_options
from llm_dashboard.admin.visit import Visit
from llm_intercept.store.aliases import Alias

PATH = "/-/llm/manage/aliases"
_BLAME = (("no project", "project"), ("loop", "target"), ("provider", "target"))


async def page(visit: Visit) -> Response:
    found, settings = await visit.ask(lambda m: (m.aliases.list(visit.actor), m.aliases.settings))
    chosen = filtering.chosen(visit, "project")
    projects = filtering.different([*(alias.project for alias in found), *settings])

    def fits(name: str, target: str, project: str) -> bool:
        return filtering.has_words(chosen["q"], name, target) and filtering.fits(chosen["project"], project)

    lines = [
        (alias, urlencode({"name": alias.name, "project": alias.project}))
        for alias in found
        if fits(alias.name, alias.target, alias.project)
    ]
    kept = {
        project: {name: target for name, target in names.items() if fits(name, target, project)}
        for project, names in settings.items()
    }
    return await visit.page(
        "aliases",
        lines=lines,
        settings={project: names for project, names in kept.items() if names},
        projects=projects,
        chosen=chosen,
        filtered=any(chosen.values()),
    )


async def edit(visit: Visit) -> Response:
    """A new one, or with a name another target for one that exists."""
    name, project = visit.arg("name"), visit.arg("project")
    known: Alias | None = None
    if name:
        known = await visit.ask(lambda m: m.aliases.get(visit.actor, name, project))
    projects = await visit.ask(lambda m: [one.name for one in m.projects.list(visit.actor)])
    target = Field(
        "target",
        "Leads to",
        help="Another name, with the provider before a slash if another one shall answer.",
        placeholder="openai/gpt-5-mini",
        required=True,
    )
    first = (
        Field(
            "name",
            "Name",
            help="As clients ask for it; * stands for anything.",
            placeholder="fast",
            required=True,
        ),
        Field("project", "Project", "select", options=plain_options(projects, "All of them")),
    )
    form = Form([Section("Alias", (target,) if known else (*first, target))])
    form.values = {"target": known.target} if known else {}
    if visit.posting:
        form.take(await visit.posted())
        name, project = (known.name, known.project) if known else (form.text("name"), form.text("project"))
        wanted = form.text("target")
        blame = _BLAME if known else ((repr(name), "name"), *_BLAME)
        done = await visit.submit(form, lambda m: m.aliases.set(visit.actor, name, wanted, project), blame)
        if done is not None:
            return visit.to(PATH, f"{done.name} leads to {done.target}, from the next call on.")
    return await visit.form(
        form,
        title=known.name if known else "New alias",
        about="Calls for this name are made for another one. An alias of a project goes before one of all.",
        submit="Save" if known else "Create alias",
        back=PATH,
        place="Aliases",
    )


async def delete(visit: Visit) -> Response:
    name, project = visit.arg("name"), visit.arg("project")
    alias = await visit.ask(lambda m: m.aliases.get(visit.actor, name, project))
    if visit.posting:
        await visit.ask(lambda m: m.aliases.delete(visit.actor, name, project))
        return visit.to(PATH, f"The alias {alias.name} is removed.")
    return await visit.page(
        "confirm",
        title=f"Remove the alias {alias.name}?",
        sentences=[f"Calls for it are not made for {alias.target} any more: nobody may know the name then."],
        button="Remove",
        back=PATH,
        place="Aliases",
    )
