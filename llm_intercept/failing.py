"""Failures on purpose as the proxy runs them: whose settings count for a call, and the state of each run.

A run is what follows a change of the settings: its calls are counted from 1 and its minutes begin
empty. `policy/failures.py` decides; here are the chance and the clock that it is given.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import get_args

from llm_intercept.errors import STATUS_OF, Refusal, RefusalKind
from llm_intercept.exchange import Exchange
from llm_intercept.policy.failures import CallFacts, Decision, Failures, decide
from llm_intercept.store.control import Control
from llm_intercept.store.failures import SCOPES, Key

MINUTE = 60.0
CODE = "simulated_failure"

_KINDS: dict[int, RefusalKind] = {STATUS_OF[kind]: kind for kind in get_args(RefusalKind.__value__)}
_KINDS |= {402: "budget", 408: "timeout", 529: "unavailable"}
_SAYS = {
    "ip_blocked": "calls from this address are not allowed",
    "rate_limited": "too many requests in a minute",
    "timeout": "the provider did not answer in time",
    "error_injection": "the provider answered with the status {status}",
}


class _Run:
    """The calls under one version of a scope's settings."""

    def __init__(self, settings: Failures) -> None:
        self.settings = settings
        self._number = 0
        self._recent: deque[float] = deque()

    def next(self, client_ip: str, now: float) -> CallFacts:
        while self._recent and self._recent[0] <= now - MINUTE:
            self._recent.popleft()
        self._number += 1
        frees_in = self._recent[0] + MINUTE - now if self._recent else MINUTE
        return CallFacts(client_ip, self._number, len(self._recent), frees_in)

    def count(self, now: float) -> None:
        """A call that was let in; those that the limit turned away do not make it last longer."""
        if self.settings.rate_limiting.enabled:
            self._recent.append(now)


class Failing:
    """Decides once for each call. `clock` gives seconds that only ever grow."""

    def __init__(self, control: Control, clock: Callable[[], float]) -> None:
        self._control = control
        self._clock = clock
        self._chance = random.Random()  # failures guard nothing
        self._runs: dict[Key, _Run] = {}

    def fate(self, exchange: Exchange) -> Decision | None:
        """None where nothing is simulated for its listener or its project."""
        if not self._control.failing:
            return None
        project = exchange.principal.project if exchange.principal else ""
        names = {"listener": exchange.listener, "project": project}
        for scope in SCOPES:
            settings = self._control.failing.get((scope, names[scope]))
            if settings is not None:
                return self._decide((scope, names[scope]), settings, exchange.client_ip)
        return None

    def _decide(self, key: Key, settings: Failures, client_ip: str) -> Decision:
        run = self._runs.get(key)
        if run is None or run.settings is not settings:  # set anew, perhaps to the same
            run = self._runs[key] = _Run(settings)
        now = self._clock()
        call = run.next(client_ip, now)
        decision = decide(settings, call, self._draw(settings.seed, call.number))
        if decision.kind not in ("ip_blocked", "rate_limited"):
            run.count(now)
        return decision

    def _draw(self, seed: int | None, number: int) -> Callable[[], float]:
        return self._chance.random if seed is None else random.Random(f"{seed}:{number}").random


def refusal(decision: Decision) -> Refusal:
    """What the client is told, in its provider's own type words: that it was simulated the text says."""
    status, kind = decision.status, str(decision.kind)
    other: RefusalKind = "internal" if status >= 500 else "invalid_request"
    message = f"Simulated by llm-intercept ({kind}): {_SAYS[kind].format(status=status)}."
    return Refusal(_KINDS.get(status, other), CODE, message, decision.retry_after, status)
