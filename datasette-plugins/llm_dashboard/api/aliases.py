"""Aliases: names of models that lead to others. Those of config.toml are shown, and not changed."""

from typing import Literal

from pydantic import Field

from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_dashboard.api.paging import Page, Paged, sliced
from llm_intercept.manage import Management
from llm_intercept.store.aliases import LONGEST, Alias

table = Table("aliases", "Names of models that lead to other models, or providers.")


class AliasView(View):
    """An alias."""

    name: str = Field(description="of a model, or a pattern")
    target: str = Field(description="provider/model, a model, or another alias")
    project: str = Field(description="empty: for all")
    origin: Literal["control.db", "config.toml"] = Field(
        "control.db", description="those of config.toml can only be changed there"
    )
    created_at: str | None = None
    changed_at: str | None = None


class AliasSet(Model):
    """An alias to be made, or changed. It goes before one of the same name in config.toml."""

    name: str = Field(min_length=1, max_length=LONGEST)
    target: str = Field(min_length=1, max_length=LONGEST)
    project: str = Field("", max_length=64, description="only for calls of this project")


class AliasPlace(Model):
    """Which alias of that name."""

    project: str = Field("", max_length=64, description="empty: the one for all")


@table.get("/aliases", "List aliases", Page[AliasView], query=Paged, command="alias list")
def list_(management: Management, call: Call[Paged, Nothing]) -> object:
    """Those that were set, then those of config.toml. Admins only: others get an empty list."""
    found = [AliasView.model_validate(alias) for alias in management.aliases.list(call.actor)]
    if management.desk.sees(call.actor, "aliases"):
        found += [
            AliasView(name=name, target=target, project=project, origin="config.toml")
            for project, names in management.aliases.settings.items()
            for name, target in names.items()
        ]
    return sliced(found, call.query, "aliases", lambda one: f"{one.origin} {one.project} {one.name}")


@table.put(
    "/aliases", "Set an alias", AliasView, body=AliasSet, command="alias set", gives={"alias": "/name"}
)
def put(management: Management, call: Call[Nothing, AliasSet]) -> Alias:
    """From the next call on. One that makes a loop is refused. Admins only."""
    body = call.body
    return management.aliases.set(call.actor, body.name, body.target, body.project)


@table.get("/aliases/{alias}", "Show an alias", AliasView, query=AliasPlace, command="alias list")
def get(management: Management, call: Call[AliasPlace, Nothing]) -> Alias:
    """One that was set. Admins only."""
    return management.aliases.get(call.actor, call.path["alias"], call.query.project)


@table.delete("/aliases/{alias}", "Remove an alias", AliasView, query=AliasPlace, command="alias remove")
def delete(management: Management, call: Call[AliasPlace, Nothing]) -> Alias:
    """One that was set. Answers with what it was. Admins only."""
    return management.aliases.delete(call.actor, call.path["alias"], call.query.project)
