"""Resets that a person asked for (rows in `control.db`), carried out once each."""

from collections.abc import Mapping

from llm_intercept.engine.health import Health


class Resets:
    """`asked`: (provider, credential, model), "" for all -> when, in epoch microseconds.

    The first time, what has happened since it was asked for stays: it was meant for what was before.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._seen: Mapping[tuple[str, str, str], int] | None = None
        self._done: dict[tuple[str, str, str], int] = {}

    def carry_out(self, asked: Mapping[tuple[str, str, str], int]) -> int:
        """How many breakers and cool-downs that ended; costs nothing while the mapping is the same one."""
        if asked is self._seen:
            return 0
        first, self._seen = self._seen is None, asked
        new = {place: at for place, at in asked.items() if self._done.get(place, -1) < at}
        self._done.update(new)
        return sum(
            self._health.reset(*place, before=at / 1e6 if first else None) for place, at in new.items()
        )
