"""Keys of providers: written only. Only admins see that there are any."""

import builtins
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from llm_intercept.errors import ConfigError
from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.providers import Registry
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.credentials import Credential


def thing_of(credential: Credential) -> Thing:
    return Thing("key", f"{credential.provider}/{credential.name}", credential.id)


class Keys:
    """The options are those of store/credentials.py; providers are checked by whoever asks."""

    def __init__(self, desk: Desk, registry: Registry) -> None:
        self._desk = desk
        self._registry = registry
        self._store = desk.control.credentials

    def list(self, actor: Actor, provider: str | None = None) -> builtins.list[Credential]:
        return self._store.list(provider) if self._desk.sees(actor, "keys") else []

    def get(self, actor: Actor, provider: str, name: str = "default") -> Credential:
        self._desk.see(actor, "keys")
        return self._store.get(provider, name)

    def create(self, actor: Actor, provider: str, secret: SecretStr, **options: Any) -> Credential:
        return self._desk.change(
            actor,
            "key.create",
            "keys",
            lambda: self._add(provider, secret, options),
            thing=thing_of,
            named=f"{provider}/{options.get('name', 'default')}",
            after=lambda made: made,
        )

    def _add(self, provider: str, secret: SecretStr, options: dict[str, Any]) -> Credential:
        self._check(provider, secret, options.get("base_url"))
        return self._store.add(provider, secret, **options)

    def _replace(self, provider: str, name: str, secret: SecretStr | None, url: str | None) -> None:
        """With what was learnt of the one before forgotten: the new one is tried by the next call."""
        was = self._store.opened(provider, name)
        if secret is None and was.secret.get_secret_value():
            raise ConfigError(
                "where a stored key is sent is decided together with the key, so that nobody can have it "
                "sent elsewhere: give the key as well as the base URL"
            )
        new = secret or SecretStr("")
        self._check(provider, new, was.base_url if url is None else url)
        self._store.replace(provider, name, new, url)
        self._desk.control.breakers.ask(provider, name)

    def _check(self, provider: str, secret: SecretStr, base_url: str | None) -> None:
        known = self._registry.providers.get(provider)
        if known is not None and known.key_problem is not None and secret.get_secret_value().strip():
            url = base_url or self._registry.base_url(known)
            own = not url or self._registry.by_host(urlsplit(url).hostname or "") is known
            if problem := known.key_problem(secret, own):
                raise ConfigError(problem)

    def change(
        self,
        actor: Actor,
        provider: str,
        name: str,
        *,
        weight: int | None = None,
        pool: str | None = None,
        secret: SecretStr | None = None,
        base_url: str | None = None,
    ) -> Credential:
        """What is not given stays. `secret` is another key in the place of this one."""

        def work() -> Credential:
            if secret is not None or base_url is not None:
                self._replace(provider, name, secret, base_url)
            if weight is not None:
                self._store.set_weight(provider, name, weight)
            if pool is not None:
                self._store.set_pool(provider, name, pool)
            return self._store.get(provider, name)

        return self._change(actor, "key.change", provider, name, work)

    def enable(self, actor: Actor, provider: str, name: str) -> Credential:
        return self._change(actor, "key.enable", provider, name, lambda: self._store.enable(provider, name))

    def disable(self, actor: Actor, provider: str, name: str) -> Credential:
        return self._change(actor, "key.disable", provider, name, lambda: self._store.disable(provider, name))

    def delete(self, actor: Actor, provider: str, name: str) -> Credential:
        """For good; returns what it was."""
        return self._desk.change(
            actor,
            "key.delete",
            "keys",
            lambda: self._store.remove(provider, name),
            thing=thing_of,
            named=f"{provider}/{name}",
            before=lambda: self._store.get(provider, name),
        )

    def _change(
        self, actor: Actor, action: str, provider: str, name: str, work: Callable[[], Credential]
    ) -> Credential:
        return self._desk.change(
            actor,
            action,
            "keys",
            work,
            thing=thing_of,
            named=f"{provider}/{name}",
            before=lambda: self._store.get(provider, name),
            after=lambda changed: changed,
        )
