"""What is known of one stored key: its cool-down, what it is refused for, what it has left."""

from collections import OrderedDict
from collections.abc import Mapping

from llm_intercept.policy import cooling
from llm_intercept.policy.attempts import Failure
from llm_intercept.policy.cooling import Headroom
from llm_intercept.store.pools import KeyRow

READ_EVERY_S = 1.0
MODELS = 200
"""Models that a key is remembered to be refused for; clients choose their names."""

type Pause = tuple[float, str]
"""Until when (Unix seconds), and why."""


class KeyState:
    """The key as a whole in `pause`; models that it may not use (403) in `denied`."""

    __slots__ = ("denied", "due", "headroom", "pause", "place", "repeated", "seen")

    def __init__(self, provider: str, credential: str) -> None:
        self.place = (provider, credential)
        self.pause: Pause | None = None
        self.denied: OrderedDict[str, Pause] = OrderedDict()
        self.repeated = 0
        self.headroom: Headroom | None = None
        self.due = 0.0  # when headers are worth reading again
        self.seen = 0.0

    @property
    def until(self) -> float:
        """When the last of its cool-downs is over; 0.0 for none."""
        pauses = [*self.denied.values(), *([self.pause] if self.pause else [])]
        return max((until for until, _ in pauses), default=0.0)

    def pause_of(self, model: str, now: float) -> Pause | None:
        """Why it is not to be used now. What is over is forgotten."""
        if self.pause is not None:
            if now < self.pause[0]:
                return self.pause
            self.pause = None
        denied = self.denied.get(model)
        if denied is not None and now >= denied[0]:
            del self.denied[model]
            return None
        return denied

    def read(self, headers: Mapping[str, str], now: float) -> bool:
        """Headroom out of an answer's headers; whether there was something new."""
        self.due = now + READ_EVERY_S
        if not any(name in headers for name in cooling.SIGNS):
            return False
        found = cooling.headroom(headers, now)
        if found is None or found == self.headroom:
            return False
        self.headroom, self.seen = found, now
        self._extend(cooling.exhausted_until(found, now), "nothing left of a limit")
        return True

    def refuse(self, model: str, failure: Failure, headers: Mapping[str, str], now: float) -> str:
        """Takes it out of use; the model that this is limited to, "" for the whole key.

        A 403 may be about the model alone, and a client that asks for one that nobody may use must not
        take the key away from everybody else.
        """
        status = failure.status or 0
        again = self._count(now) if status == 429 else 0
        wait = cooling.cooldown(status, headers, now, repeated=again, asked=failure.retry_after)
        self.seen = now
        why = f"{status} {failure.message[:160]}".strip()
        if status == 403:
            self.denied[model] = (now + wait, why)
            if len(self.denied) > MODELS:
                self.denied.popitem(last=False)
            return model
        self._extend(now + wait, why)
        self.read(headers, now)
        return ""

    def _count(self, now: float) -> int:
        """How often it was limited before. Calls under way at the same time are limited all at once: once."""
        if self.pause is None or now >= self.pause[0]:
            self.repeated += 1
        return max(0, self.repeated - 1)

    def succeed(self, now: float) -> None:
        """A call that began before the cool-down says nothing about how often it was limited."""
        if self.pause is None or now >= self.pause[0]:
            self.repeated = 0

    def clear(self, model: str) -> list[str]:
        """Puts it back into use; the models (or "") that it was out of use for."""
        found = [name for name in self.denied if model in ("", name)]
        for name in found:
            del self.denied[name]
        if not model and self.pause is not None:
            self.pause, self.repeated = None, 0
            found.append("")
        return found

    def row(self, model: str = "") -> KeyRow:
        pause = self.denied.get(model) if model else self.pause
        until, why = pause or (0.0, "")
        headroom = "" if model else cooling.as_json(self.headroom)
        return KeyRow(*self.place, model, int(until * 1e6), why, headroom, int(self.seen * 1e6))

    def restore(self, row: KeyRow, now: float) -> None:
        pause = (row.cooling_until_us / 1e6, row.reason)
        if row.model:
            if pause[0] > now:
                self.denied[row.model] = pause
            return
        self.headroom, self.seen = cooling.of_json(row.headroom), row.seen_us / 1e6
        self.pause = pause if pause[0] > now else None

    def _extend(self, until: float, why: str) -> None:
        if until > (self.pause[0] if self.pause else 0.0):
            self.pause = (until, why)
