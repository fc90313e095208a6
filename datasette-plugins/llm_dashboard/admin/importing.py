"""Many at once out of a table that is pasted: projects, tokens or users, all of them or none."""

from collections.abc import Sequence
from typing import cast

from datasette import Response

from llm_dashboard.admin import tokens
from llm_dashboard.admin.forms import Field, Form, Section, number_of
from llm_dashboard.admin.sections import BASE
from llm_dashboard.admin.visit import Visit
from llm_intercept.manage import Management
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.tokens import NewToken
from llm_intercept.tools import tables
from llm_intercept.tools.importing import Importer, Kind, Made

_POLICY = "models, providers, endpoints, ips, origins"
_COLUMNS: dict[Kind, tuple[str, str]] = {
    "projects": (
        f"name, owner, members, capture, hangup, active, {_POLICY}",
        "name,owner,members\nteam-a,ada,grace;linus\nteam-b,grace,",
    ),
    "tokens": (
        f"project, name, user, expires (30d), max_requests, aws, {_POLICY}",
        "project,name,user,expires\nteam-a,laptop,grace,30d\nteam-a,ci,,12h",
    ),
    "users": (
        "name, email, role (admin, member or viewer), active",
        "name,email,role\nada,ada@example.com,admin\ngrace,grace@example.com,member",
    ),
}


async def page(visit: Visit) -> Response:
    kind = cast(Kind, visit.var("kind"))
    form, note = Form(_sections(kind)), ""
    if visit.posting:
        posted = await visit.posted()
        form.take(posted)
        checking = "check" in posted
        made = await visit.submit(form, lambda m: _made(m, visit, kind, form.text("table"), checking))
        if made is not None and not checking:
            return _done(visit, kind, made)
        if made is not None:
            note = f"Nothing is wrong with it: {number_of(len(made), kind[:-1])} can be made."
        elif form.problem:
            form.errors["table"], form.problem = form.problem, ""
    return await visit.form(
        form,
        title=f"Import {kind}",
        about="Out of a spreadsheet or another program: all of them are made, or none and every reason why.",
        submit="Import",
        second=("check", "Only check"),
        note=note,
        back=f"{BASE}/{kind}",
        place=kind.capitalize(),
    )


def _made(m: Management, visit: Visit, kind: Kind, text: str, checking: bool) -> list[Made]:
    m.desk.check(visit.actor, f"import.{kind}", kind, Thing("home"))
    records = tables.read(text, is_csv=not text.startswith(("[", "{")))
    return Importer(m, visit.actor).run(kind, records, dry_run=checking)


def _done(visit: Visit, kind: Kind, made: Sequence[Made]) -> Response:
    """The texts of tokens are shown once, on their own page."""
    new = [each for each in made if isinstance(each, NewToken)]
    if new:
        return tokens.shown_once(visit, new)
    return visit.to(f"{BASE}/{kind}", f"Imported {number_of(len(made), kind[:-1])}.")


def _sections(kind: Kind) -> list[Section]:
    columns, example = _COLUMNS[kind]
    about = f"Columns: {columns}. In CSV the first line names those that you have, and several words in a "
    about += "cell are separated by semicolons. JSON is an array of objects, or one object on each line."
    field = Field("table", "CSV or JSON", "area", about, placeholder=example, required=True, wide=True)
    return [Section(kind.capitalize(), (field,))]
