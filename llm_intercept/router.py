"""Step 6: which targets a call may go to, in which order: routes, key pools and what is known of both.

Joins `policy/routing` (rows of an operator), the stored keys, `engine/health` and `engine/affinity` into
candidates; `policy/attempts` walks through them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b

from llm_intercept.course import Course, Timeouts, start_of
from llm_intercept.dispatch import uses_own_key
from llm_intercept.engine.affinity import Affinity
from llm_intercept.engine.health import Availability, Health, TargetKey
from llm_intercept.engine.resets import Resets
from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange
from llm_intercept.policy import routing
from llm_intercept.policy.attempts import Candidate, Rules
from llm_intercept.policy.bound import UNBOUND, Bound, bound_items, conversation_key, issued
from llm_intercept.policy.callfacts import facts_of
from llm_intercept.policy.models import ModelMap, Resolution
from llm_intercept.policy.pricing import Pricing
from llm_intercept.policy.routing import CallFacts, Route, RouteTarget
from llm_intercept.providers import Registry
from llm_intercept.providers.base import CREATING, MAPPED, Provider
from llm_intercept.secrecy import shown_name
from llm_intercept.settings import Settings, TimeoutOverrides
from llm_intercept.store.control import Control
from llm_intercept.store.credentials import StoredCredential
from llm_intercept.wire.usage import Usage

_REMEMBERED = 4096  # names of models come from clients


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which targets would be tried, in this order. `availability` None: none is kept of this key."""

    route: str
    resolution: str
    candidates: list[tuple[Candidate, Availability | None]]
    refusal: str = ""


@dataclass(slots=True)
class _Asked:
    """What decides about the targets of one call."""

    provider: str
    model: str
    own: bool
    route: Route | None
    bound: Bound
    home: tuple[str, str] | None  # (provider, key) that the conversation belongs to
    conversation: str = ""


class Router:
    """`price` gives USD per million tokens of (provider, model), one figure to compare by."""

    def __init__(
        self,
        control: Control,
        registry: Registry,
        models: ModelMap,
        health: Health,
        resets: Resets,
        affinity: Affinity,
        settings: Settings,
        price: Callable[[str, str], Decimal | None],
        chance: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._control = control
        self._registry = registry
        self._models = models
        self._health = health
        self._affinity = affinity
        retries = settings.retries
        self._usual_rules = Rules(retries.tries, retries.again, retries.backoff, retries.budget)
        self._own_rules = replace(self._usual_rules, own=True)
        self._tries_alone = settings.breaker.alone == "try"
        self._singles: dict[tuple[str, str, str | None], tuple[Candidate]] = {}
        self._price = price
        self._chance = chance
        self._now = now
        self._resets = resets
        resets.carry_out(control.resets)
        self._timeouts = Timeouts(**settings.timeouts.model_dump())
        self._provider_timeouts = {
            name: given.timeouts
            for name, given in settings.providers.items()
            if given.timeouts != TimeoutOverrides()
        }

    def set_out(self, exchange: Exchange, body: bytes) -> Refusal | None:
        """Gives the exchange its course; `body` is without content-encoding."""
        self._resets.carry_out(self._control.resets)
        found = self._resolve(exchange) if exchange.model and exchange.operation in MAPPED else None
        route = self._route(exchange, found, body) if self._control.routing and found else None
        asked = self._asked(exchange, found, route, body)
        candidates = self._only(asked) or self._candidates(asked)
        if not candidates:
            return self._all_unavailable(asked)
        rules = self._rules(asked)
        if found is None and exchange.operation in CREATING and exchange.method == "POST":
            rules = replace(rules, creates=True)
        exchange.course = Course(
            candidates,
            rules,
            start_of(exchange),
            self._chance,
            found=found,
            conversation=asked.conversation,
            route=route,
            alone=self._tries_alone and len(candidates) == 1,
        )
        exchange.route = route.name if route else ""
        return None

    def _only(self, asked: _Asked) -> Sequence[Candidate]:
        """The common case, at once: no route, and no more than one key, which is well. Else nothing."""
        if asked.route is not None:
            return ()
        keys = () if asked.own else self._control.keys(asked.provider)
        if len(keys) > 1:
            return ()
        place = (asked.provider, asked.model, keys[0].name if keys else None)
        found = self._singles.get(place)
        if found is None:
            if len(self._singles) >= _REMEMBERED:
                self._singles.clear()
            found = self._singles[place] = (Candidate(*place),)
        return found if not keys or self._health.state(_key(found[0])).usable else ()

    def explain(self, facts: CallFacts, dialect: str, provider: str) -> Explanation:
        """For a person: nothing is taken, nothing is sent."""
        found = self._models.resolve(facts.model, facts.project, provider, True)
        facts = replace(facts, alias=found.alias, tier=found.tier, dialect=dialect)
        route = routing.choose(self._control.routing, facts)
        called = found.provider or provider
        own = not (facts.token or facts.project)
        filled = self._filled(route, called, found)
        asked = _Asked(called, found.model, own, filled, UNBOUND, None)
        candidates = [
            (candidate, None if candidate.credential is None else self._health.state(_key(candidate)))
            for candidate in self._expanded(asked, self._targets(asked))
        ]
        mapped = found.alias or found.tier or found.provider
        said = f"{facts.model} -> {called}/{found.model}" if mapped else ""
        refusal = found.refusal.message if found.refusal and route is None else ""
        return Explanation(route.name if route else "", said, candidates, refusal)

    def remember(self, exchange: Exchange, response_id: str) -> None:
        """Who answered: what later calls, and the next turn of this conversation, may be bound to."""
        target, who, course = exchange.target, exchange.principal, exchange.course
        conversation = course.conversation if course is not None else ""
        if target is None or target.secret is None or who is None:
            return
        if not conversation and len(self._control.keys(exchange.provider.name)) < 2:
            return
        ids = () if exchange.operation in MAPPED else issued(exchange.response_body)
        self._affinity.remember(
            who.project, (response_id, *ids), conversation, exchange.provider.name, target.credential
        )

    def _resolve(self, exchange: Exchange) -> Resolution:
        project = exchange.principal.project if exchange.principal else ""
        return self._models.resolve(exchange.model, project, exchange.provider.name, exchange.explicit)

    def _route(self, exchange: Exchange, found: Resolution, body: bytes) -> Route | None:
        routes, who = self._control.routing, exchange.principal
        facts = facts_of(
            exchange.dialect,
            body,
            exchange.model,
            operation=exchange.operation,
            alias=found.alias,
            tier=found.tier,
            project=who.project if who else "",
            token=who.token if who else "",
            wanted=routing.features(routes),
        )
        route = routing.choose(routes, facts)
        return self._filled(route, found.provider or exchange.provider.name, found)

    @staticmethod
    def _filled(route: Route | None, provider: str, found: Resolution) -> Route | None:
        return routing.filled(route, provider, found.model) if route else None

    def _asked(
        self, exchange: Exchange, found: Resolution | None, route: Route | None, body: bytes
    ) -> _Asked:
        provider = found.provider if found and found.provider else exchange.provider.name
        model = found.model if found else exchange.model
        own = uses_own_key(exchange, moved=provider != exchange.provider.name)
        asked = _Asked(provider, model, own, route, UNBOUND, None)
        if own or exchange.principal is None or not self._has_choice(asked):
            return asked
        project = exchange.principal.project
        bound = bound_items(exchange.dialect, body)
        conversation = conversation_key(exchange.dialect, body, exchange.session_id)
        home = self._affinity.of(project, bound, conversation)
        return replace(asked, bound=bound, home=home, conversation=conversation)

    def _has_choice(self, asked: _Asked) -> bool:
        return asked.route is not None or len(self._control.keys(asked.provider)) > 1

    def _rules(self, asked: _Asked) -> Rules:
        route = asked.route
        if route is None:
            return self._own_rules if asked.own else self._usual_rules
        tries = self._usual_rules.tries if route.tries is None else route.tries
        budget = self._usual_rules.budget if route.budget is None else route.budget
        return replace(self._usual_rules, tries=tries, budget=budget)

    def limits(self, route: Route | None, provider: str) -> Timeouts:
        """Of a try with this provider: the route's count first, then the provider's."""
        own = self._provider_timeouts.get(provider)
        if route is None and own is None:
            return self._timeouts
        found = self._timeouts
        for source in (own, route.timeouts if route else None):
            if source is not None:
                found = replace(found, **source.model_dump(exclude_none=True))
        return found

    def _candidates(self, asked: _Asked) -> list[Candidate]:
        """Those that can be tried now; if nothing but cooling keys is left, these: the provider decides."""
        every = list(self._expanded(asked, self._targets(asked)))
        if asked.own or (len(every) == 1 and every[0].credential is None):
            return every
        every.sort(key=lambda c: c.longer)
        usable = [c for c in every if c.credential is None or self._health.state(_key(c)).usable]
        if usable and any(not c.longer for c in usable):
            return usable
        standing = [c for c in every if c.credential is None or not self._health.state(_key(c)).broken]
        return every if not standing and len(every) == 1 and self._tries_alone else standing

    def _targets(self, asked: _Asked) -> Iterator[tuple[RouteTarget, str, bool]]:
        """(target, reason, whether only for longer conversations)."""
        if asked.route is None:
            yield RouteTarget(provider=asked.provider, model=asked.model), "", False
            return
        for ranked in routing.ordered(asked.route, _View(self._health, self._price), self._chance):
            yield ranked.target, ranked.reason, False
        for ranked in routing.longer(asked.route):
            yield ranked.target, ranked.reason, True

    def _expanded(
        self, asked: _Asked, targets: Iterator[tuple[RouteTarget, str, bool]]
    ) -> Iterator[Candidate]:
        """A target is a candidate with each of its keys; a bound conversation stays where it is known."""
        found = _once(c for target, reason, far in targets for c in self._keyed(asked, target, reason, far))
        if asked.home is None:
            yield from found
            return
        provider, key = asked.home
        at_home = [c for c in found if (c.provider, c.credential) == (provider, key)]
        near = [c for c in found if c.provider == provider and c not in at_home]
        far = [c for c in found if c.provider != provider]
        match asked.bound.kind:
            case "key":
                yield from at_home or found
            case "provider":
                yield from at_home + near or found
            case _:
                yield from at_home + near + far if asked.route is None else found

    def _keyed(self, asked: _Asked, target: RouteTarget, reason: str, far: bool) -> Iterator[Candidate]:
        bare = Candidate(target.provider, target.model, None, target.overrides, reason, far)
        provider = self._registry.providers.get(target.provider)
        keys = [] if asked.own else self._keys(target, asked.conversation)
        if not keys:
            if asked.own or asked.route is None or (provider is not None and provider.key_optional):
                yield bare
            return
        for key in keys:
            yield replace(bare, credential=key.name)

    def _keys(self, target: RouteTarget, conversation: str) -> Sequence[StoredCredential]:
        pools = ("", target.pool)
        keys = [k for k in self._control.keys(target.provider) if not target.pool or k.pool in pools]
        if len(keys) < 2:
            return keys
        shares = [_share(conversation, k.name) if conversation else self._chance() for k in keys]
        places = {k.name: _place(k.weight, share) for k, share in zip(keys, shares, strict=True)}
        return sorted(keys, key=lambda k: places[k.name], reverse=True)

    def _all_unavailable(self, asked: _Asked) -> Refusal:
        every = list(self._expanded(asked, self._targets(asked)))
        if not every:
            return Refusal(
                "permission",
                "no_credential",
                f"None of the targets of route {asked.route.name if asked.route else ''!r} has a key here: "
                "`llm-intercept key list` shows what is stored.",
            )
        states = [self._health.state(_key(c)) for c in every]
        why = "; ".join(f"{c.provider}/{c.model}: {s.reason}" for c, s in zip(every, states, strict=True))
        return Refusal(
            "unavailable",
            "no_target_available",
            f"No target can take this call now ({why}).",
            retry_after=max(1.0, min(s.until for s in states) - self._now()),
        )


@dataclass(frozen=True, slots=True)
class _View:
    health: Health
    priced: Callable[[str, str], Decimal | None]

    def ttft_ms(self, target: RouteTarget) -> float | None:
        return self.health.ttft_ms(target.provider, target.model)

    def price(self, target: RouteTarget) -> Decimal | None:
        return self.priced(target.provider, target.model)

    def busy(self, target: RouteTarget) -> int:
        return self.health.busy(target.provider, target.model)


def blended_price(
    pricing: Pricing, providers: Mapping[str, Provider], provider: str, model: str
) -> Decimal | None:
    """USD per million tokens, three of four of them input: one figure to compare models by."""
    known = providers.get(provider)
    if known is None:
        return None
    usage = Usage(input=750_000, output=250_000)
    priced = pricing.price(known, model, usage, datetime.now(UTC))
    return Decimal(priced.cost_nanos).scaleb(-9) if priced.priced and priced.cost_nanos is not None else None


def _once(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The same model with the same key is one candidate, however many targets lead to it: keys without a pool
    belong to all of them."""
    found: list[Candidate] = []
    for one in candidates:
        if not any(_key(one) == _key(other) and one.overrides == other.overrides for other in found):
            found.append(one)
    return found


def _key(candidate: Candidate) -> TargetKey:
    """Under a name that may be kept and shown: clients choose those of models."""
    return TargetKey(candidate.provider, candidate.credential or "", shown_name(candidate.model))


def _place(weight: int, share: float) -> float:
    """The highest comes first: of many draws, as often as its weight says."""
    return share ** (1 / weight) if weight else -1.0


def _share(conversation: str, key: str) -> float:
    """A conversation's own draw for a key, always the same: the key whose prompt cache knows it."""
    digest = blake2b(f"{conversation}/{key}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
