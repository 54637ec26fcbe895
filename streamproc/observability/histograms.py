"""Many observations at once: a batch costs a few microseconds, whatever the number of its notes."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from prometheus_client import Histogram

__all__ = ["observe_all"]


def observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """What ``observe`` does for each of the values, with one update a bucket.

    prometheus-client has no such method: this writes the fields that its ``observe`` writes, and a test compares
    the two.

    Args:
        histogram: one without labels, or with all of them given.
        values: none of them NaN.
    """
    bounds, buckets = histogram._upper_bounds, histogram._buckets  # noqa: SLF001 - see above
    for place, number in Counter([bisect_left(bounds, value) for value in values]).items():
        buckets[place].inc(number)
    histogram._sum.inc(sum(values))  # noqa: SLF001
