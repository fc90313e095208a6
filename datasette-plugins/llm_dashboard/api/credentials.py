"""Providers and the keys that are stored for them. Keys go in and never come out."""

from dataclasses import asdict, replace
from typing import Any

from pydantic import Field, SecretStr

from llm_dashboard.api.fields import Name, Pool
from llm_dashboard.api.operation import Call, Model, Nothing, Table, View
from llm_dashboard.api.paging import Page, Paged, sliced
from llm_dashboard.api.problem import Problem
from llm_intercept.errors import NotFound
from llm_intercept.keytest import KeyTest, run_test
from llm_intercept.manage import Management
from llm_intercept.policy.actor import Actor
from llm_intercept.providers.base import Provider
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.credentials import Credential, StoredCredential

table = Table(
    "credentials", "Keys of providers, encrypted. Written only: an answer has a hint of them at most."
)
type Secret = SecretStr
_SECRET = Field(max_length=20_000, description="the key; stored encrypted, never answered")


class CredentialView(View):
    """A stored key, without the key."""

    id: str
    provider: str
    name: str
    hint: str = Field(description="how it begins and ends")
    base_url: str | None
    enabled: bool
    weight: int = Field(description="its share beside the provider's other keys")
    pool: str = Field(description="empty: in every pool")
    created_at: str


class ProviderView(View):
    """Where traffic may go."""

    name: str
    title: str
    dialect: str
    base_url: str | None
    hosts: list[str]
    env: str | None = Field(description="the variable that usually has its key")
    key_optional: bool


class Tested(View):
    """What came of trying a key."""

    provider: str
    ok: bool
    status: int | None = Field(description="what the provider answered; null: it was not reached")
    url: str
    sentence: str


class Models(View):
    """What a provider lists."""

    provider: str
    models: list[str]


class CredentialFilters(Paged):
    """Which keys."""

    provider: str = Field("", max_length=64)


class CredentialCreate(Model):
    """A key to be stored."""

    provider: str = Field(min_length=1, max_length=64)
    name: Name = "default"
    key: Secret = _SECRET
    base_url: str | None = Field(
        None, max_length=500, description="use this key elsewhere: a relay, a region"
    )
    weight: int = Field(1, ge=1, le=1_000_000)
    pool: Pool = ""


class CredentialChange(Model):
    """What is left out stays."""

    weight: int | None = Field(None, ge=1, le=1_000_000)
    pool: Pool | None = Field(None, description="empty: in every pool")
    key: Secret | None = Field(None, max_length=20_000, description="in the place of the one before")
    base_url: str | None = Field(
        None, max_length=500, description="only with a key; empty: the provider's own"
    )
    enabled: bool | None = None


class CredentialTrial(Model):
    """A key to be tried, and not stored."""

    provider: str = Field(min_length=1, max_length=64)
    key: Secret = _SECRET
    base_url: str | None = Field(None, max_length=500)


@table.get("/providers", "List providers", Page[ProviderView], query=Paged, command="provider list")
def providers(management: Management, call: Call[Paged, Nothing]) -> object:
    """Built in, or written into config.toml."""
    registry = management.registry
    known = [
        replace(provider, base_url=registry.base_url(provider) or provider.base_url)
        for _, provider in sorted(registry.providers.items())
    ]
    return sliced(known, call.query, "providers", lambda provider: provider.name)


@table.get("/credentials", "List keys", Page[CredentialView], query=CredentialFilters, command="key list")
def list_(management: Management, call: Call[CredentialFilters, Nothing]) -> object:
    """In the order in which they are used. Admins only: others get an empty list."""
    found = management.keys.list(call.actor, call.query.provider or None)
    return sliced(found, call.query, "credentials", lambda credential: credential.id)


@table.post(
    "/credentials",
    "Store a key",
    CredentialView,
    body=CredentialCreate,
    status=201,
    creates=True,
    command="key add",
    gives={"credential": "/id"},
)
def create(management: Management, call: Call[Nothing, CredentialCreate]) -> object:
    """Used from the next call on. Admins only."""
    body = call.body
    provider = _provider(management, body.provider)
    return management.keys.create(
        call.actor,
        provider.name,
        body.key,
        name=body.name,
        base_url=body.base_url or None,
        weight=body.weight,
        pool=body.pool,
    )


@table.get("/credentials/{credential}", "Show a key", CredentialView, command="key list")
def get(management: Management, call: Call[Nothing, Nothing]) -> object:
    """By its id. Admins only."""
    return _found(management, call.actor, call.path["credential"])


@table.patch(
    "/credentials/{credential}",
    "Change a key",
    CredentialView,
    body=CredentialChange,
    command="key set",
    commands=("key enable", "key disable"),
)
def change(management: Management, call: Call[Nothing, CredentialChange]) -> object:
    """Its weight, its pool, whether it is used, and the key itself, from the next call on. Admins only."""
    _may(management, call, "key.change")
    found, body = _found(management, call.actor, call.path["credential"]), call.body
    given = {"weight": body.weight, "pool": body.pool, "secret": body.key, "base_url": body.base_url}
    if any(value is not None for value in given.values()):
        found = management.keys.change(call.actor, found.provider, found.name, **given)
    if body.enabled is not None and body.enabled != found.enabled:
        switch = management.keys.enable if body.enabled else management.keys.disable
        found = switch(call.actor, found.provider, found.name)
    return found


@table.delete("/credentials/{credential}", "Delete a key", CredentialView, command="key remove")
def delete(management: Management, call: Call[Nothing, Nothing]) -> object:
    """For good. Answers with what it was, without the key. Admins only."""
    _may(management, call, "key.delete")
    found = _found(management, call.actor, call.path["credential"])
    return management.keys.delete(call.actor, found.provider, found.name)


@table.post(
    "/credentials/test",
    "Try a key that is not stored",
    Tested,
    body=CredentialTrial,
    where="here",
    command="provider test --key-env",
)
async def test_unsaved(call: Call[Nothing, CredentialTrial]) -> object:
    """Asks the provider for its list of models; that costs nothing. Admins only."""
    return await _tried(call, *await _unsaved(call))


@table.post(
    "/credentials/models",
    "List a provider's models with a key that is not stored",
    Models,
    body=CredentialTrial,
    where="here",
    command="provider models --key-env",
    codes=("provider_failed",),
)
async def models_unsaved(call: Call[Nothing, CredentialTrial]) -> object:
    """As the provider lists them. Admins only."""
    return await _listed(call, *await _unsaved(call))


@table.post(
    "/credentials/{credential}/test", "Try a stored key", Tested, where="here", command="provider test --name"
)
async def test(call: Call[Nothing, Nothing]) -> object:
    """Asks the provider for its list of models; that costs nothing. Admins only."""
    return await _tried(call, *await _saved(call))


@table.get(
    "/credentials/{credential}/models",
    "List a provider's models",
    Models,
    where="here",
    command="provider models --name",
    codes=("provider_failed",),
)
async def models(call: Call[Nothing, Nothing]) -> object:
    """As the provider lists them for this key. Admins only."""
    return await _listed(call, *await _saved(call))


def _provider(management: Management, name: str) -> Provider:
    found = management.registry.providers.get(name.lower())
    if found is None:
        raise NotFound(f"there is no provider {name!r}; /-/api/providers lists them")
    return found


def _found(management: Management, actor: Actor, id_: str) -> Credential:
    management.desk.see(actor, "keys")
    for credential in management.keys.list(actor):
        if credential.id == id_:
            return credential
    raise NotFound(f"there is no key {id_!r}; /-/api/credentials lists them")


async def _unsaved(call: Call[Nothing, CredentialTrial]) -> tuple[Provider, StoredCredential]:
    body = call.body

    def look(management: Management) -> Provider:
        _allowed(management, call.actor, body.provider)
        return _provider(management, body.provider)

    provider = await call.stage.manage(look)
    return provider, StoredCredential(provider.name, "unsaved", body.key, body.base_url or None)


async def _saved(call: Call[Any, Any]) -> tuple[Provider, StoredCredential]:
    def look(management: Management) -> tuple[Provider, StoredCredential]:
        _allowed(management, call.actor, call.path["credential"])
        found = _found(management, call.actor, call.path["credential"])
        return _provider(management, found.provider), management.control.credentials.opened(
            found.provider, found.name
        )

    return await call.stage.manage(look)


def _allowed(management: Management, actor: Actor, named: str) -> None:
    """To use a key is as much as to change it."""
    management.desk.check(actor, "key.test", "keys", Thing("key", named))


def _may(management: Management, call: Call[Any, Any], action: str) -> None:
    """Before anything is looked up, so that who may not leaves a row."""
    management.desk.check(call.actor, action, "keys", Thing("key", call.path["credential"]))


async def _test(call: Call[Any, Any], provider: Provider, key: StoredCredential) -> KeyTest:
    stage = call.stage
    found = await run_test(stage.registry, provider, key, stage.settings, stage.home, call.now_us / 1e6)
    return replace(found, sentence=_without(found.sentence, key))


async def _tried(call: Call[Any, Any], provider: Provider, key: StoredCredential) -> dict[str, object]:
    return asdict(await _test(call, provider, key))


async def _listed(call: Call[Any, Any], provider: Provider, key: StoredCredential) -> dict[str, object]:
    found = await _test(call, provider, key)
    if not found.ok:
        raise Problem("provider_failed", found.sentence)
    return {"provider": found.provider, "models": list(found.models)}


def _without(text: str, key: StoredCredential) -> str:
    """A provider may repeat what it was sent."""
    secret = key.secret.get_secret_value().strip()
    return text.replace(secret, "[the key]") if secret else text
