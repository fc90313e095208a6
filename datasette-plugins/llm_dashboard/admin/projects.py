"""Projects: the list, making one, changing one."""

from typing import Any

from datasette import Response

from llm_dashboard.admin import policies
from llm_dashboard.admin.forms import (
    NAMES,
    STORED_ANSWERS,
    Field,
    Form,
    Section,
    number_of,
    plain_options,
)
from llm_dashboard.admin.visit import Visit
from llm_intercept.manage import Management
from llm_intercept.manage.lists import Lists
from llm_intercept.store.projects import Project

PATH = "/-/llm/manage/projects"
PAGE = 50
_BLAME = (
    ("cannot be the name", "name"),
    ("exists already", "name"),
    ("user", "owner"),
    ("cache answers", "cache"),
)
_HANGUP = (
    ("cut", "Cut: end the call at the provider"),
    ("drain", "Drain: read it to its end"),
)
_CAPTURE = (
    ("default", "As in settings"),
    ("none", "No bodies"),
    ("errors", "Bodies of calls that failed"),
    ("all", "All bodies"),
)
_CACHE = (("default", "As in settings"), *STORED_ANSWERS)


async def page(visit: Visit) -> Response:
    search, active = visit.arg("q"), {"yes": True, "no": False}.get(visit.arg("active"))
    after = visit.arg("after")

    def look(m: Management) -> list[Project]:
        return Lists(m.desk).projects(visit.actor, search, active, after or None, PAGE + 1)

    found = await visit.ask(look)
    return await visit.page(
        "projects",
        projects=found[:PAGE],
        summaries={p.id: policies.summary(p.policy) for p in found[:PAGE]},
        next=found[PAGE - 1].name if len(found) > PAGE else "",
        q=search,
        active=visit.arg("active"),
        paging=bool(after),
    )


async def new(visit: Visit) -> Response:
    form = Form(
        _sections(await _names(visit), new=True), {"hangup": "cut", "capture": "default", "cache": "default"}
    )
    if visit.posting:
        form.take(await visit.posted())
        options = _options(form)
        made = await visit.submit(form, lambda m: m.projects.create(visit.actor, **options), _BLAME)
        if made is not None:
            return visit.to(PATH, f"The project {made.name} is made. Next: a token for it, or a limit.")
    return await visit.form(
        form,
        title="New project",
        about="Calls, tokens, limits and budgets belong to projects. A name cannot be changed later, "
        "because old calls are counted under it.",
        submit="Create project",
        back=PATH,
        place="Projects",
    )


async def edit(visit: Visit) -> Response:
    name = visit.var("name")
    project = await visit.ask(lambda m: m.projects.get(visit.actor, name))
    form = Form(_sections(await _names(visit), new=False), _values(project))
    if visit.posting:
        form.take(await visit.posted())
        changes = _changes(form, project)
        if await visit.submit(form, lambda m: m.projects.change(visit.actor, name, **changes), _BLAME):
            return visit.to(PATH, f"The project {project.name} is changed, from the next call on.")
    return await visit.form(
        form,
        title=project.name,
        badge=("in use", "good") if project.active else ("off", "quiet"),
        about=f"{number_of(project.tokens, 'working token')}, made {project.created_at[:10]} (UTC).",
        submit="Save",
        back=PATH,
        place="Projects",
        also=[
            (
                "Take it along",
                "Everything of it in one file: tokens (no secrets), limits, routes, calls, bodies.",
                f"/-/api/projects/{project.name}/export",
                "Export project",
            ),
            (
                "Its tokens",
                "Revoking all of them ends every program that uses one, for good.",
                f"{PATH}/{project.name}/revoke",
                "Revoke all tokens",
            ),
            (
                "Delete",
                "For good, with its tokens, limits and what was captured of its calls.",
                f"{PATH}/{project.name}/delete",
                "Delete project",
            ),
        ],
    )


async def revoke(visit: Visit) -> Response:
    """Every token of it, after its name was typed."""
    name = visit.var("name")
    project = await visit.ask(lambda m: m.projects.get(visit.actor, name))
    form = Form((Section("", (_typed(project.name),)),))
    if visit.posting:
        form.take(await visit.posted())
        if not form.failed and form.text("typed") != project.name:
            form.errors["typed"] = f"Type {project.name} to go on."
        done = await visit.submit(form, lambda m: m.tokens.revoke_all(visit.actor, name))
        if done is not None:
            return visit.to(f"{PATH}/{name}/edit", f"Revoked {number_of(len(done), 'token')} of {name}.")
    return await visit.page(
        "confirm",
        400 if form.failed else 200,
        form=form,
        title=f"Revoke all tokens of {project.name}?",
        sentences=[
            f"{number_of(project.tokens, 'working token')}: refused from the next call on. Nobody can bring "
            "them back; programs that use them need new ones.",
            "Calls that were made with them stay in the reports.",
        ],
        button="Revoke all",
        back=f"{PATH}/{project.name}/edit",
        place="Projects",
    )


def _typed(name: str) -> Field:
    return Field("typed", f"Type {name} to confirm", required=True)


async def _names(visit: Visit) -> list[str]:
    return await visit.ask(lambda m: [user.name for user in m.users.list(visit.actor)])


def _sections(users: list[str], *, new: bool) -> list[Section]:
    name = Field("name", "Name", help=NAMES, placeholder="team-a", required=True)
    known = Field(
        "owner",
        "Owner",
        "select",
        "Its owner and members may make tokens for it, viewers may not.",
        options=plain_options(users, "Nobody"),
    )
    members = Field("members", "Members", "area", "Names of users, one on each line.")
    hangup = Field(
        "hangup",
        "When a client hangs up",
        "select",
        "Cut pays for what was streamed; drained calls have exact usage.",
        _HANGUP,
    )
    capture = Field("capture", "Bodies that are kept", "select", options=_CAPTURE)
    cache = Field(
        "cache",
        "Stored answers",
        "select",
        "Calls of this project that ask the same again can be answered out of the cache, for nothing.",
        _CACHE,
    )
    active = Field("active", "In use; when off, all its tokens are refused until it is on again", "check")
    first = [name, known] if new else [known]
    return [
        Section("Project", [*first, members, *([] if new else [active])]),
        Section("Its calls", [hangup, capture, cache]),
        policies.section("What its calls may be", "nothing said: anything"),
    ]


def _values(project: Project) -> dict[str, str]:
    return {
        "owner": project.owner,
        "members": "\n".join(project.members),
        "hangup": project.hangup,
        "capture": project.capture or "default",
        "cache": project.cache or "default",
        "active": "yes" if project.active else "",
        **policies.values(project.policy),
    }


def _options(form: Form) -> dict[str, Any]:
    capture, cache = form.text("capture"), form.text("cache")
    return {
        "name": form.text("name"),
        "owner": form.text("owner"),
        "members": form.words("members"),
        "hangup": form.text("hangup") or "cut",
        "capture": None if capture in ("", "default") else capture,
        "cache": None if cache in ("", "default") else cache,
        "policy": policies.read(form),
    }


def _changes(form: Form, project: Project) -> dict[str, Any]:
    wanted, had = set(form.words("members")), set(project.members)
    return {
        "owner": form.text("owner"),
        "add": sorted(wanted - had),
        "remove": sorted(had - wanted),
        "hangup": form.text("hangup") or None,
        "capture": form.text("capture") or None,
        "cache": form.text("cache") or None,
        "active": form.ticked("active"),
        "policy": policies.read(form),
    }
