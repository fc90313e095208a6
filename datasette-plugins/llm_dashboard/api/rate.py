"""How many requests the API takes from one actor and from one address: token buckets in memory."""

import math
from dataclasses import dataclass

_MOST_BUCKETS = 10_000
_BURST_S = 10.0


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Rates:
    """`per_minute` requests, of which a sixth may come at once; 0 takes everything."""

    def __init__(self, per_minute: int) -> None:
        self._per_second = per_minute / 60
        self._size = max(1.0, self._per_second * _BURST_S)
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key: str, now: float) -> int:
        """0: go on; else the seconds until there is room again."""
        if not self._per_second:
            return 0
        bucket = self._buckets.get(key)
        if bucket is None:
            self._forget(now)
            bucket = self._buckets[key] = _Bucket(self._size, now)
        bucket.left = min(self._size, bucket.left + max(0.0, now - bucket.at) * self._per_second)
        bucket.at = now
        if bucket.left < 1:
            return max(1, math.ceil((1 - bucket.left) / self._per_second))
        bucket.left -= 1
        return 0

    def _forget(self, now: float) -> None:
        """Those that are full again, once there are too many; all, if that does not help."""
        if len(self._buckets) < _MOST_BUCKETS:
            return
        full_after = self._size / self._per_second
        self._buckets = {key: b for key, b in self._buckets.items() if now - b.at < full_after}
        if len(self._buckets) >= _MOST_BUCKETS:
            self._buckets.clear()
