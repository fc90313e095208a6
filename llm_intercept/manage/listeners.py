"""Named listeners: created, changed, started, stopped and deleted by admins."""

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.manage.desk import Desk
from llm_intercept.policy import listeners as rules
from llm_intercept.policy.actor import Actor
from llm_intercept.providers import Registry
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.listeners import Listener

# What a WireGuard server leaves in the home folder, by its name.
_FILES = ("conf", "keys.json")


def thing_of(listener: Listener) -> Thing:
    return Thing("listener", listener.name, listener.id)


class Listeners:
    """The options are those of store/listeners.py; providers and projects are looked up here."""

    def __init__(self, desk: Desk, registry: Registry) -> None:
        self._desk = desk
        self._registry = registry
        self._store = desk.control.listeners

    def list(self, actor: Actor) -> builtins.list[Listener]:
        return self._store.list() if self._desk.sees(actor, "listeners") else []

    def get(self, actor: Actor, name: str) -> Listener:
        self._desk.see(actor, "listeners")
        return self._store.get(name)

    def create(
        self,
        actor: Actor,
        name: str,
        *,
        mode: str = "regular",
        provider: str = "",
        project: str = "",
        **options: Any,
    ) -> Listener:
        def work() -> Listener:
            options["provider"] = self._provider(rules.parse(mode), provider)
            return self._store.create(name, mode=mode, project=self._project(project), **options)

        return self._desk.change(
            actor,
            "listener.create",
            "listeners",
            work,
            thing=thing_of,
            named=name,
            after=lambda made: made,
        )

    def change(self, actor: Actor, name: str, **changes: Any) -> Listener:
        """What is given and not None; defaults count from the next call on."""
        was: builtins.list[str] = []

        def work() -> Listener:
            found = self._store.get(name)
            was.append(found.name)
            return self._store.change(name, **self._known(found, changes))

        changed = self._change(actor, "listener.change", name, work)
        for old, new in zip(self._files(was[0]), self._files(changed.name), strict=True):
            if old != new and old.exists():
                old.replace(new)
        return changed

    def start(self, actor: Actor, name: str) -> Listener:
        """What is wanted; the proxy makes it so."""
        return self._change(actor, "listener.start", name, lambda: self._store.want(name, "running"))

    def stop(self, actor: Actor, name: str, *, alive: bool) -> Listener:
        """`alive`: a proxy is there to do it; without one it is stopped at once."""

        def work() -> Listener:
            listener = self._store.want(name, "stopped")
            return listener if alive else self._store.set_state(listener.name, "stopped")

        return self._change(actor, "listener.stop", name, work)

    def delete(self, actor: Actor, name: str) -> Listener:
        """One that is stopped, for good, with its files; returns what it was."""
        deleted = self._desk.change(
            actor,
            "listener.delete",
            "listeners",
            lambda: self._store.delete(name),
            thing=thing_of,
            named=name,
            before=lambda: self._store.get(name),
        )
        for file in self._files(deleted.name):
            file.unlink(missing_ok=True)
        return deleted

    def _known(self, was: Listener, changes: dict[str, Any]) -> dict[str, Any]:
        """The changes, with the provider and the project as they are called."""
        mode, provider, project = (changes.get(key) for key in ("mode", "provider", "project"))
        parsed = rules.parse(mode or was.mode)
        if provider is not None or (mode and parsed.kind == "reverse"):
            provider = self._provider(parsed, provider or "")
        if project is not None:
            project = self._project(project)
        if changes.get("new_name") not in (None, was.name):
            self._check_limits(was)
        return {**changes, "provider": provider, "project": project}

    def _check_limits(self, was: Listener) -> None:
        """What limits have counted is counted under a name."""
        limits = [record.limit for record in self._desk.control.limits.list()]
        if any(each.scope == "listener" and each.name.lower() == was.name.lower() for each in limits):
            raise Conflict(
                f"a limit is set for the listener {was.name}, and goes by its name; remove the limit first "
                "(`llm-intercept limit list` shows it), or keep the name"
            )

    def _project(self, name: str) -> str:
        return self._desk.control.projects.get(name).name if name else ""

    def _provider(self, mode: rules.Mode, given: str) -> str:
        """A reverse proxy has the provider of its URL; others have the one that is named."""
        named = given.lower()
        if named and named not in self._registry.providers:
            raise NotFound(f"there is no provider {given!r}; `llm-intercept provider list` shows all")
        if mode.kind != "reverse":
            return named
        found = self._registry.by_host(mode.host, mode.port)
        if found is None:
            raise ConfigError(
                f"{mode.host} is no provider's host; give it to one in config.toml "
                "(providers.NAME.base_url), or name a provider and choose another mode than reverse"
            )
        if named and named != found.name:
            raise ConfigError(f"{mode.host} is {found.title}, not {named}; leave the provider out")
        return found.name

    def _files(self, name: str) -> builtins.list[Path]:
        return [self._desk.control.path.parent / f"wireguard-{name}.{kind}" for kind in _FILES]

    def _change(self, actor: Actor, action: str, name: str, work: Callable[[], Listener]) -> Listener:
        return self._desk.change(
            actor,
            action,
            "listeners",
            work,
            thing=thing_of,
            named=name,
            before=lambda: self._store.get(name),
            after=lambda changed: changed,
        )
