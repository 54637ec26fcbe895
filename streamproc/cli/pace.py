"""When each record of a replay is due."""

from collections.abc import Sequence

from streamproc.cli.record_file import DatedLine

__all__ = ["due_by_date", "due_by_rate"]


def due_by_rate(index: int, per_second: float) -> float:
    """Seconds after the start at which the record of this index (from 0) is due."""
    return index / per_second


def due_by_date(order: Sequence[DatedLine], speed: float) -> list[float]:
    """Seconds after the start at which each line is due, when time runs ``speed`` times as fast as it did."""
    return [(line.moment - order[0].moment).total_seconds() / speed for line in order]
