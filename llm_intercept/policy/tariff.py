"""What one model charges at one moment, made ready for adding up quickly; exact to the last digit.

genai-prices says what each unit costs; the arithmetic is done here because its own takes up to 80 us a
call. The semantics are its own too and are tested against it: a counter includes those that are more
special (`input` the cached part of it), and each part is charged at its most special price.
"""

from dataclasses import dataclass
from decimal import Decimal

from genai_prices.types import ModelPrice, TieredPrices

from llm_intercept.wire.usage import Usage

# price key -> (counter of Usage, what it counts, units that the price is for). A counter is a part of
# another one if it counts everything that the other does and more.
_UNITS: dict[str, tuple[str, frozenset[str], int]] = {
    "input_mtok": ("input", frozenset({"in"}), 10**6),
    "output_mtok": ("output", frozenset({"out"}), 10**6),
    "cache_read_mtok": ("cache_read", frozenset({"in", "read"}), 10**6),
    "cache_write_mtok": ("cache_write", frozenset({"in", "write"}), 10**6),
    "cache_write_1h_mtok": ("cache_write_1h", frozenset({"in", "write", "1h"}), 10**6),
    "input_audio_mtok": ("audio_input", frozenset({"in", "audio"}), 10**6),
    "output_audio_mtok": ("audio_output", frozenset({"out", "audio"}), 10**6),
    "cache_audio_read_mtok": ("audio_cache_read", frozenset({"in", "audio", "read"}), 10**6),
    "input_image_mtok": ("image_input", frozenset({"in", "image"}), 10**6),
    "output_image_mtok": ("image_output", frozenset({"out", "image"}), 10**6),
    "cache_image_read_mtok": ("image_cache_read", frozenset({"in", "image", "read"}), 10**6),
    "output_reasoning_mtok": ("reasoning", frozenset({"out", "reasoning"}), 10**6),
    "web_searches_kcount": ("web_searches", frozenset({"web"}), 1000),
}
_BY_COUNTER = {counter: meaning for counter, meaning, _ in _UNITS.values()}
_NANO = 10**9


@dataclass(frozen=True, slots=True)
class _Unit:
    """`rates`: (from more than so many input tokens on, nano-USD for one), highest first.

    `parts` are the priced units within this one, as positions in the tariff; `needs` are counters that
    make no sense without this one, and `crossings` pairs of counters that overlap in this one.
    """

    counter: str
    rates: tuple[tuple[int, Decimal], ...]
    parts: tuple[int, ...]
    needs: tuple[str, ...]
    crossings: tuple[tuple[str, str], ...]

    def rate(self, total_input: int) -> Decimal:
        for start, nanos in self.rates:
            if total_input > start:
                return nanos
        raise AssertionError("the last rate starts below zero")

    def contradicted(self, usage: Usage) -> bool:
        """Its counter is missing although others say that it is not zero."""
        return any(getattr(usage, name) for name in self.needs) or any(
            getattr(usage, one) and getattr(usage, other) for one, other in self.crossings
        )


@dataclass(frozen=True, slots=True)
class Tariff:
    """The prices of one model; the most special unit first."""

    units: tuple[_Unit, ...]
    per_call: Decimal  # nano-USD

    def nanos(self, usage: Usage) -> Decimal | None:
        """Exact nano-USD; None where the counters contradict one another."""
        total = self.per_call
        leaves: list[int] = []
        for unit in self.units:
            count = getattr(usage, unit.counter)
            if count is None:
                if unit.contradicted(usage):
                    return None
                count = 0
            for position in unit.parts:
                count -= leaves[position]
            if count < 0:
                return None
            leaves.append(count)
            if count:
                total += unit.rate(usage.input or 0) * count
        return total

    def at_most(
        self, input_tokens: int, output_tokens: int, searches: int = 0, *, without: frozenset[str]
    ) -> Decimal:
        """Nano-USD for so many tokens and searches, each at the dearest price that it can have.

        `without`: meanings that cannot occur in this call ("write", "1h", "audio").
        """
        total = self.per_call
        for side, tokens in (("in", input_tokens), ("out", output_tokens), ("web", searches)):
            rates = [
                nanos
                for unit in self.units
                if side in (meaning := _BY_COUNTER[unit.counter]) and not meaning & without
                for start, nanos in unit.rates
                if start < input_tokens
            ]
            total += max(rates, default=Decimal(0)) * tokens
        return total


def tariff(prices: ModelPrice) -> Tariff | None:
    """None for a model that is not charged by tokens (but hours, characters, pages)."""
    known = {key: price for key, price in vars(prices).items() if price is not None}
    if not any(key.endswith("_mtok") for key in known):
        return None
    keys = sorted((key for key in known if key in _UNITS), key=lambda key: -len(_UNITS[key][1]))
    meanings = [_UNITS[key][1] for key in keys]
    units = tuple(_unit(key, known[key], meanings) for key in keys)
    per_call = known.get("requests_kcount")
    return Tariff(units, per_call * (_NANO // 1000) if isinstance(per_call, Decimal) else Decimal(0))


def _unit(key: str, price: Decimal | TieredPrices, meanings: list[frozenset[str]]) -> _Unit:
    counter, meaning, per = _UNITS[key]
    return _Unit(
        counter,
        _rates(price, per),
        tuple(i for i, other in enumerate(meanings) if meaning < other),
        tuple(name for name, other in _BY_COUNTER.items() if meaning < other),
        tuple(
            (one, other)
            for one, first in _BY_COUNTER.items()
            for other, second in _BY_COUNTER.items()
            if one < other and first | second == meaning and first < meaning and second < meaning
        ),
    )


def _rates(price: Decimal | TieredPrices, per: int) -> tuple[tuple[int, Decimal], ...]:
    scale = _NANO // per
    if isinstance(price, Decimal):
        return ((-1, price * scale),)
    steps = [(-1, price.base * scale), *((tier.start, tier.price * scale) for tier in price.tiers)]
    return tuple(reversed(steps))
