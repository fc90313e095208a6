"""Many at once: users, projects or tokens, all of them or none."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from llm_dashboard.api.fields import Policy
from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_dashboard.api.projects import ProjectCreate
from llm_dashboard.api.tokens import NewTokenView, TokenCreate, with_text
from llm_dashboard.api.users import UserCreate
from llm_intercept.manage import Management
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.tokens import NewToken
from llm_intercept.tools.importing import Importer, Kind, Made
from llm_intercept.tools.tables import Record

table = Table("import", "Many users, projects or tokens at once: all of them, or none and every reason.")
_MOST = 2000


class _Import(Model):
    dry_run: bool = Field(False, description="check everything, and make nothing")


class UserImport(_Import):
    """Users to be made."""

    rows: list[UserCreate] = Field(min_length=1, max_length=_MOST)


class ProjectImport(_Import):
    """Projects to be made."""

    rows: list[ProjectCreate] = Field(min_length=1, max_length=_MOST)


class TokenImport(_Import):
    """Tokens to be made."""

    rows: list[TokenCreate] = Field(min_length=1, max_length=_MOST)


class Imported(View):
    """What was made, or would be."""

    dry_run: bool
    number: int
    names: list[str]


class ImportedTokens(Imported):
    """The one answer that has their texts."""

    items: list[NewTokenView] = Field(description="none for a dry run")


@table.post("/import/users", "Import users", Imported, body=UserImport, creates=True, command="import users")
def users(management: Management, call: Call[Nothing, UserImport]) -> object:
    """A mistake is told with the number of its row, from 1. Admins only."""
    return _told(call, _made(management, call, "users", call.body.rows))


@table.post(
    "/import/projects",
    "Import projects",
    Imported,
    body=ProjectImport,
    creates=True,
    command="import projects",
)
def projects(management: Management, call: Call[Nothing, ProjectImport]) -> object:
    """A mistake is told with the number of its row, from 1. Admins only."""
    return _told(call, _made(management, call, "projects", call.body.rows))


@table.post(
    "/import/tokens", "Import tokens", ImportedTokens, body=TokenImport, creates=True, command="import tokens"
)
def tokens(management: Management, call: Call[Nothing, TokenImport]) -> object:
    """Their texts are in this answer, and never again. Admins, and members for their projects."""
    made = _made(management, call, "tokens", call.body.rows)
    texts = [] if call.body.dry_run else [with_text(new) for new in made if isinstance(new, NewToken)]
    return {**_told(call, made), "items": texts}


def _made(
    management: Management, call: Call[Nothing, Any], kind: Kind, rows: Sequence[BaseModel]
) -> list[Made]:
    # Before any row is looked at; whose project a token is for is asked for each.
    management.desk.check(call.actor, f"import.{kind}", kind, Thing("home"), own=kind == "tokens")
    records = [Record(number, _record(row)) for number, row in enumerate(rows, 1)]
    return Importer(management, call.actor, "row").run(kind, records, dry_run=call.body.dry_run)


def _record(row: BaseModel) -> dict[str, Any]:
    """As a line of a file says it: a policy is not a thing of its own there."""
    values = row.model_dump(exclude_unset=True)
    policy = values.pop("policy", None)
    if policy is not None:
        values |= Policy.model_validate(policy).model_dump(exclude_defaults=True)
    for name in ("capture", "cache"):
        if values.get(name) == "default":
            del values[name]
    if "kind" in values:
        values["aws"] = values.pop("kind") == "aws"
    return values


def _told(call: Call[Nothing, Any], made: Sequence[Made]) -> dict[str, Any]:
    names = [new.token.name if isinstance(new, NewToken) else new.name for new in made]
    return {"dry_run": call.body.dry_run, "number": len(names), "names": names}
