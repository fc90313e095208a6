"""Everything of one project as a file."""

import asyncio
import tempfile
from contextlib import closing
from pathlib import Path

from datasette.utils.asgi import Request

from llm_dashboard.api.exporting import Send, send_file
from llm_dashboard.api.operation import Call, Nothing, View
from llm_dashboard.api.projects import table
from llm_intercept.home import Home
from llm_intercept.manage import Management
from llm_intercept.manage.desk import Desk
from llm_intercept.manage.projects import thing_of
from llm_intercept.manage.removal import Books, Removal
from llm_intercept.store.control import Control
from llm_intercept.store.projects import Project
from llm_intercept.store.report_terms import Scope
from llm_intercept.tools import project_archive
from llm_intercept.vault import Vault

_ACTION = "project.export"


class ProjectArchive(View):
    """A file; see the content type."""


@table.get(
    "/projects/{project}/export",
    "Export a project",
    ProjectArchive,
    where="stream",
    command="project export",
    files={"application/gzip": {"type": "string"}},
)
async def export(call: Call[Nothing, Nothing], scope: Scope, request: Request, send: Send, id_: str) -> None:
    """The project with its members, tokens (without their texts), limits, routes, calls with their tries,
    sums and captured bodies, as JSON in a .tar.gz. Leaves a row in the audit log. Admins only."""
    home = call.stage.home
    project, vault = await call.stage.manage(lambda management: _allowed(management, call))
    with tempfile.TemporaryDirectory(prefix=".export.", dir=home.path) as folder:
        name = f"{project.name}.tar.gz"
        done = await asyncio.to_thread(_write, home, vault, project, Path(folder) / name, call.now_us / 1e6)
        await call.stage.manage(
            lambda management: management.audit.record(
                call.actor, _ACTION, thing_of(project), after=done.counts
            )
        )
        await send_file(request, send, done.path, name, "application/gzip", id_)


def _allowed(management: Management, call: Call[Nothing, Nothing]) -> tuple[Project, Vault]:
    project = management.projects.get(call.actor, call.path["project"])  # what must not be seen is not there
    management.desk.check(call.actor, _ACTION, "projects", thing_of(project))
    return project, management.control.database.vault


def _write(home: Home, vault: Vault, project: Project, target: Path, now: float) -> project_archive.Exported:
    """With a connection of its own: it may take long, and others ask control.db meanwhile."""
    with closing(Control(home.control_db, vault)) as control:
        removal = Removal(Desk(control, control.audit), Books.of(home))
        return project_archive.export(control, removal, home, project, target, now)
