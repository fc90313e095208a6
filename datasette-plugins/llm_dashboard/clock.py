"""The one place that reads the clock for pages; tests replace `now`."""

import time


def now() -> int:
    """Epoch microseconds."""
    return time.time_ns() // 1000
