"""In which order the targets of a route are tried: one function for each strategy, each with its reason.

What is known of targets at this moment is a `View`; chance is a parameter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol

from llm_intercept.policy.targets import RouteTarget

type Strategy = Literal["ordered", "weighted", "latency", "cheapest", "busy"]
type Chance = Callable[[], float]
"""Numbers in [0, 1)."""

MEASURED_AGAIN = 0.02
"""The share of calls by which `latency` finds out whether a slow target has become a fast one."""


class View(Protocol):
    """What is known of a target whose provider and model are filled in."""

    def ttft_ms(self, target: RouteTarget) -> float | None:
        """Its usual time to the first token."""

    def price(self, target: RouteTarget) -> Decimal | None:
        """USD per million tokens, one figure to compare by."""

    def busy(self, target: RouteTarget) -> int:
        """Calls under way."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A target in its place, and why it stands there, for people."""

    target: RouteTarget
    reason: str


def rank(strategy: Strategy, targets: Sequence[RouteTarget], view: View, chance: Chance) -> list[Ranked]:
    """All targets, the first to be tried first."""
    if len(targets) == 1:
        return [Ranked(targets[0], "the only target")]
    return _STRATEGIES[strategy](targets, view, chance)


def _ordered(targets: Sequence[RouteTarget], view: View, chance: Chance) -> list[Ranked]:
    reasons = ["first in order", *(f"number {place} in order" for place in range(2, len(targets) + 1))]
    return [Ranked(target, reason) for target, reason in zip(targets, reasons, strict=True)]


def _weighted(targets: Sequence[RouteTarget], view: View, chance: Chance) -> list[Ranked]:
    """Drawn one after the other, so that the second place is by weight as well."""
    total = sum(target.weight for target in targets)
    waiting = [target for target in targets if target.weight]
    found: list[Ranked] = []
    while waiting:
        target = waiting.pop(_drawn(waiting, chance()))
        found.append(Ranked(target, f"weight {target.weight} of {total}"))
    last = (target for target in targets if not target.weight)
    return found + [Ranked(target, "weight 0: after all others") for target in last]


def _drawn(targets: Sequence[RouteTarget], chance: float) -> int:
    """The place of the target that a number in [0, 1) falls on."""
    left = chance * sum(target.weight for target in targets)
    for place, target in enumerate(targets):
        left -= target.weight
        if left < 0:
            return place
    return len(targets) - 1


def _latency(targets: Sequence[RouteTarget], view: View, chance: Chance) -> list[Ranked]:
    """One that was never measured counts as the fastest, so that it gets measured."""
    measured = [(view.ttft_ms(target), target) for target in targets]
    ranked = sorted(measured, key=lambda pair: -1.0 if pair[0] is None else pair[0])
    found = [Ranked(target, _speed(ms)) for ms, target in ranked]
    best = ranked[0][0]
    if best is None:
        return found
    if chance() < MEASURED_AGAIN:
        return _again(found, chance())
    return [Ranked(found[0].target, f"fastest: {found[0].reason}"), *found[1:]]


def _speed(ms: float | None) -> str:
    return "not measured yet" if ms is None else f"{ms:.0f} ms to the first token"


def _again(ranked: list[Ranked], chance: float) -> list[Ranked]:
    """One of the slower targets first."""
    chosen = ranked.pop(1 + int(chance * (len(ranked) - 1)))
    return [Ranked(chosen.target, f"to measure it again: {chosen.reason}"), *ranked]


def _cheapest(targets: Sequence[RouteTarget], view: View, chance: Chance) -> list[Ranked]:
    """Those without a known price come last: unknown is not free."""
    priced = [(view.price(target), target) for target in targets]
    ranked = sorted(priced, key=lambda pair: (pair[0] is None, pair[0] or Decimal(0)))
    found = [Ranked(target, _price(price)) for price, target in ranked]
    if ranked[0][0] is None:
        return found
    return [Ranked(found[0].target, f"cheapest: {found[0].reason}"), *found[1:]]


def _price(price: Decimal | None) -> str:
    return "without a known price" if price is None else f"${price.normalize():f} per M tokens"


def _busy(targets: Sequence[RouteTarget], view: View, chance: Chance) -> list[Ranked]:
    ranked = sorted(((view.busy(target), target) for target in targets), key=lambda pair: pair[0])
    found = [Ranked(target, f"{calls} under way") for calls, target in ranked]
    return [Ranked(found[0].target, f"least busy: {found[0].reason}"), *found[1:]]


_STRATEGIES: Mapping[Strategy, Callable[[Sequence[RouteTarget], View, Chance], list[Ranked]]] = {
    "ordered": _ordered,
    "weighted": _weighted,
    "latency": _latency,
    "cheapest": _cheapest,
    "busy": _busy,
}
STRATEGIES: tuple[Strategy, ...] = tuple(_STRATEGIES)
