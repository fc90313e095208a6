"""Token usage in one convention, whatever the provider calls its counters.

`input` includes cached tokens; `cache_read` and `cache_write` (itself the sum of the 5-minute
and the 1-hour part, `cache_write_1h`) are subsets of `input`. `output` includes reasoning;
`reasoning` is a subset of it. `None` means that the provider did not say.
"""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Usage:
    """Counters of one call, in tokens; `cost_nanos` (nano-USD) only where the provider names a price."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    audio_cache_read: int | None = None
    image_input: int | None = None
    image_output: int | None = None
    image_cache_read: int | None = None
    web_searches: int | None = None
    cost_nanos: int | None = None
    service_tier: str | None = None

    def absorb(self, later: "Usage") -> None:
        """Takes over each value that `later` knows: counters are cumulative, the last one wins."""
        for name in _NAMES:
            value = getattr(later, name)
            if value is not None:
                setattr(self, name, value)

    @property
    def known(self) -> bool:
        """Whether the provider reported any token counter."""
        return self.input is not None or self.output is not None


_NAMES = tuple(field.name for field in fields(Usage))
