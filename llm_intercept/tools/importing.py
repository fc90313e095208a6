"""Projects, tokens and users out of somebody's table: all of them, or none and every reason why not.

They are made by `manage/` in one transaction, so that a dry run finds whatever the real one would.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from llm_intercept.errors import ConfigError, InterceptError
from llm_intercept.manage import Actor, Management
from llm_intercept.policy.allow import Policy, parsed
from llm_intercept.policy.cachecontrol import CacheMode
from llm_intercept.policy.tokens import parse_lifetime
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.projects import CaptureMode, Hangup, Project
from llm_intercept.store.tokens import NewToken
from llm_intercept.store.users import Role, User
from llm_intercept.tools.tables import Record

MOST_ERRORS = 20

type Kind = Literal["projects", "tokens", "users"]
type Made = Project | NewToken | User


class _DryRunError(Exception):
    """Undoes the transaction."""


def _listed(value: object) -> object:
    """In a cell of CSV, several words are separated by semicolons."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(";") if word.strip())
    return value


Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class _Restricted(_Row):
    models: Words = ()
    providers: Words = ()
    endpoints: Words = ()
    ips: Words = ()
    origins: Words = ()
    parameters: dict[str, Any] = Field(default_factory=dict)

    def policy(self) -> Policy:
        parts = ("models", "providers", "endpoints", "ips", "origins", "parameters")
        return parsed({part: value for part in parts if (value := getattr(self, part))})


class ProjectRow(_Restricted):
    name: str
    owner: str = ""
    members: Words = ()
    capture: CaptureMode | None = None
    hangup: Hangup = "cut"
    cache: CacheMode | None = None
    active: bool = True


class TokenRow(_Restricted):
    project: str
    name: str
    user: str = ""
    expires: str = ""
    max_requests: int | None = Field(None, ge=1)
    aws: bool = False


class UserRow(_Row):
    name: str
    email: str | None = None
    role: Role = "member"
    active: bool = True


@dataclass(frozen=True, slots=True)
class Importer:
    """Somebody who imports. `keep` is told what was made before it is committed."""

    management: Management
    actor: Actor
    unit: str = "line"  # what a record's number counts, for people

    def run(
        self,
        kind: Kind,
        records: Sequence[Record],
        *,
        dry_run: bool = False,
        keep: Callable[[list[Made]], None] = lambda made: None,
    ) -> list[Made]:
        if not records:
            raise ConfigError(f"there are no {kind} in the file")
        made: list[Made] = []
        try:
            with self.management.control.database.write():
                made = self._make(kind, records)
                self.management.audit.record(
                    self.actor, f"import.{kind}", Thing("home"), after={"number": len(made)}
                )
                if dry_run:
                    raise _DryRunError
                keep(made)
        except _DryRunError:
            pass
        return made

    def _make(self, kind: Kind, records: Sequence[Record]) -> list[Made]:
        """Goes on after a mistake, to tell of all of them at once."""
        makers: dict[Kind, Callable[[dict[str, Any]], Made]] = {
            "projects": self._project,
            "tokens": self._token,
            "users": self._user,
        }
        made: list[Made] = []
        wrong: list[str] = []
        for record in records:
            try:
                made.append(makers[kind](record.values))
            except ValidationError as error:
                wrong.append(f"{self.unit} {record.line}: {_sentence(error)}")
            except InterceptError as error:
                wrong.append(f"{self.unit} {record.line}: {error}")
        if wrong:
            shown = wrong[:MOST_ERRORS]
            if len(wrong) > len(shown):
                shown.append(f"and {len(wrong) - len(shown)} more")
            raise ConfigError("nothing was imported:\n" + "\n".join(f"  {line}" for line in shown))
        return made

    def _project(self, values: dict[str, Any]) -> Project:
        row = ProjectRow.model_validate(values)
        projects = self.management.projects
        made = projects.create(
            self.actor,
            row.name,
            capture=row.capture,
            owner=row.owner,
            members=row.members,
            policy=row.policy(),
            hangup=row.hangup,
            cache=row.cache,
        )
        return made if row.active else projects.change(self.actor, row.name, active=False)

    def _token(self, values: dict[str, Any]) -> NewToken:
        row = TokenRow.model_validate(values)
        return self.management.tokens.create(
            self.actor,
            row.project,
            row.name,
            user=row.user,
            lifetime=parse_lifetime(row.expires) if row.expires else None,
            aws=row.aws,
            policy=row.policy(),
            max_requests=row.max_requests,
        )

    def _user(self, values: dict[str, Any]) -> User:
        row = UserRow.model_validate(values)
        users = self.management.users
        made = users.create(self.actor, row.name, email=row.email, role=row.role)
        return made if row.active else users.change(self.actor, row.name, active=False)


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{where} is not known here"
    if first["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
