"""Times the stages of a batch, one after the other."""

import time
from collections.abc import Callable

from prometheus_client import Histogram

__all__ = ["Stopwatch"]


class Stopwatch:
    """Observes, at each lap, the time since the one before.

    Args:
        histogram: has the one label ``stage``.
        monotonic: the clock, in seconds.
    """

    __slots__ = ("_histogram", "_last", "_monotonic")

    def __init__(self, histogram: Histogram, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self._histogram = histogram
        self._monotonic = monotonic
        self._last = monotonic()

    def lap(self, stage: str) -> None:
        """A stage has ended, and the next begins."""
        now = self._monotonic()
        self._histogram.labels(stage).observe(now - self._last)
        self._last = now
