"""Resets of breakers and of keys that cool down: asked for by an admin, carried out by the proxy."""

from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.store.audit_rows import Thing


class Breakers:
    """What store/breakers.py does, by somebody."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def reset(self, actor: Actor, provider: str = "", credential: str = "", model: str = "") -> None:
        """ "" stands for all."""
        place = {"provider": provider, "key": credential, "model": model}
        self._desk.change(
            actor,
            "breaker.reset",
            "breakers",
            lambda: self._desk.control.breakers.ask(provider, credential, model),
            thing=Thing("breaker", "/".join(value or "*" for value in place.values())),
            after=lambda _: place,
        )
