"""What a call costs, in integer nano-USD. The provider's own figure first, then settings, then genai-prices.

Unknown is said to be unknown (`priced=False`), never zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from fnmatch import fnmatchcase

from genai_prices.data_snapshot import DataSnapshot, get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, TimeOfDateConstraint
from genai_prices.types import Provider as PriceProvider

from llm_intercept.policy.tariff import Tariff, tariff
from llm_intercept.policy.worst_case import Terms, Worst
from llm_intercept.providers.base import Provider
from llm_intercept.settings import PriceOverride
from llm_intercept.wire.usage import Usage

_CACHE_SIZE = 4096  # model names come from clients


@dataclass(frozen=True, slots=True)
class Priced:
    """`source`: "provider", "settings", "built-in", "genai-prices <model id>", or "" for unknown."""

    cost_nanos: int | None
    priced: bool
    source: str


UNPRICED = Priced(None, False, "")


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a price was found, ready for use; `by_clock` if it changes within a day."""

    tariff: Tariff | None
    source: str
    by_clock: bool = False


class Pricing:
    """`overrides` are the operator's, `built_in` the package's own list. Loads genai-prices' data at once."""

    def __init__(self, overrides: Sequence[PriceOverride], built_in: Sequence[PriceOverride] = ()) -> None:
        self._lists = (("settings", tuple(overrides)), ("built-in", tuple(built_in)))
        self._snapshot: DataSnapshot = get_snapshot()
        self._cache: dict[tuple[str, str, str, int, str], _Entry] = {}

    def price(
        self, provider: Provider | str, model: str, usage: Usage, when: datetime, host: str = ""
    ) -> Priced:
        """The cost of one call. `provider` is ours, or an id of genai-prices; `when` is timezone-aware."""
        if usage.cost_nanos is not None:
            return Priced(usage.cost_nanos, True, "provider")
        if not usage.known:
            return UNPRICED
        entry = self._entry(provider, model, when, host, usage.service_tier or "")
        nanos = entry.tariff.nanos(usage) if entry.tariff is not None else None
        if nanos is None:
            return UNPRICED
        return Priced(int(nanos.to_integral_value(ROUND_HALF_EVEN)), True, entry.source)

    def at_most(
        self,
        provider: Provider | str,
        model: str,
        worst: Worst,
        terms: Terms,
        when: datetime,
        host: str = "",
    ) -> int | None:
        """What so many tokens cost at most, in nano-USD; None without a known price."""
        found = self._entry(provider, model, when, host, terms.service_tier).tariff
        if found is None:
            return None
        possible = {"write": terms.caching, "1h": terms.caching_for_an_hour, "audio": terms.audio}
        without = frozenset(meaning for meaning, can_be in possible.items() if not can_be)
        nanos = found.at_most(worst.input, worst.output, terms.searches, without=without)
        return int(nanos.to_integral_value(ROUND_CEILING))

    def _entry(self, provider: Provider | str, model: str, when: datetime, host: str, tier: str) -> _Entry:
        name = provider if isinstance(provider, str) else provider.name
        key = (name, model, host, when.astimezone(UTC).toordinal(), tier)
        entry = self._cache.get(key)
        if entry is None:
            entry = self._listed(name, model, when) or self._catalogued(provider, model, when, host, tier)
            if not entry.by_clock:
                if len(self._cache) >= _CACHE_SIZE:
                    self._cache.clear()
                self._cache[key] = entry
        return entry

    def _listed(self, provider: str, model: str, when: datetime) -> _Entry | None:
        day = when.astimezone(UTC).date().isoformat()
        for source, entries in self._lists:
            matching = [e for e in entries if e.since <= day and _matches(e, provider, model)]
            if matching:
                # The newest that has begun; of equal ones the last.
                latest = max(enumerate(matching), key=lambda pair: (pair[1].since, pair[0]))[1]
                return _Entry(tariff(_as_prices(latest)), source)
        return None

    def _catalogued(
        self, provider: Provider | str, model: str, when: datetime, host: str, tier: str
    ) -> _Entry:
        known_as = provider if isinstance(provider, str) else provider.price_provider
        found = self._model(known_as, host, model)
        if found is None:
            return _Entry(None, "")
        seller, info = found
        # A model borrowed from another seller's list has no special conditions here.
        context = _context(tier) if any(info is own for own in seller.models) else {}
        prices = info.get_prices(when, context)
        return _Entry(tariff(prices), f"genai-prices {info.id}", _changes_within_day(info))

    def _model(self, known_as: str | None, host: str, model: str) -> tuple[PriceProvider, ModelInfo] | None:
        for provider_id, url in ((known_as, None), (None, f"https://{host}/" if host else None)):
            if not (provider_id or url) or not model:
                continue
            try:
                seller = self._snapshot.find_provider(None, provider_id, url)
            except LookupError:
                continue
            info = seller.find_model(model, all_providers=self._snapshot.providers)
            if info is not None:
                return seller, info
        return None


def _matches(entry: PriceOverride, provider: str, model: str) -> bool:
    return fnmatchcase(provider.lower(), entry.provider.lower()) and fnmatchcase(
        model.lower(), entry.model.lower()
    )


def _as_prices(entry: PriceOverride) -> ModelPrice:
    """Counters without a price of their own fall to the more general one."""
    named: dict[str, Decimal | None] = {
        "input_mtok": entry.input,
        "output_mtok": entry.output,
        "cache_read_mtok": entry.cache_read,
        "cache_write_mtok": entry.cache_write,
        "cache_write_1h_mtok": entry.cache_write_1h,
    }
    return ModelPrice(**{key: price for key, price in named.items() if price is not None})


def _context(tier: str) -> dict[str, str]:
    """What decides between variants of a price: OpenAI and Anthropic name all of it in one field."""
    if not tier:
        return {}
    return {"service_tier": tier, "processing": "batch"} if tier == "batch" else {"service_tier": tier}


def _changes_within_day(info: ModelInfo) -> bool:
    conditional = [] if isinstance(info.prices, ModelPrice) else info.prices
    constraints = [*(c.constraint for c in conditional), *(v.constraint for v in info.price_variants or ())]
    return any(isinstance(constraint, TimeOfDateConstraint) for constraint in constraints)
