"""Counts what became of published records, by source position, as a consumer of the output topics sees it."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec
import numpy as np

from streamproc.events.position import SourcePosition

__all__ = ["Fate", "Summary", "Tally"]


class Fate(StrEnum):
    """What became of a record of ``notes.new``."""

    TAGGED = "tagged"
    DELETED = "deleted"
    DEAD = "dead"


class Summary(msgspec.Struct, frozen=True):
    """A run in figures. ``notes_in`` = ``tagged`` + ``deleted`` + ``dead`` when nothing is lost.

    Latencies are from the moment a record was handed to the producer until a consumer had its outcome.
    """

    notes_in: int
    tagged: int
    deleted: int
    dead: int
    tags_per_note: float
    notes_per_second: float
    p50_ms: float
    p99_ms: float
    start_up_seconds: float


@dataclass(frozen=True, slots=True)
class _Published:
    moment: float
    size: int


@dataclass(frozen=True, slots=True)
class _Outcome:
    fate: Fate
    moment: float
    tags: int


class Tally:
    """Published records and their outcomes; either may be told first, repetitions of an outcome count once."""

    def __init__(self) -> None:
        self._published: dict[SourcePosition, _Published] = {}
        self._outcomes: dict[SourcePosition, _Outcome] = {}
        self.waiting_records = 0
        self.waiting_bytes = 0

    def published(self, position: SourcePosition, moment: float, size: int) -> None:
        """Take down that a record was published.

        Args:
            position: where Kafka put it.
            moment: seconds on a monotonic clock, before it was sent.
            size: bytes of its value.
        """
        self._published[position] = _Published(moment, size)
        if position not in self._outcomes:
            self.waiting_records += 1
            self.waiting_bytes += size

    def outcome(self, position: SourcePosition, fate: Fate, moment: float, tags: int = 0) -> bool:
        """Take down an outcome; return whether it is the first of its record."""
        if position in self._outcomes:
            return False
        self._outcomes[position] = _Outcome(fate, moment, tags)
        published = self._published.get(position)
        if published is not None:
            self.waiting_records -= 1
            self.waiting_bytes -= published.size
        return True

    def summary(self, start_up_seconds: float) -> Summary:
        """The figures so far, of records that were published by this run."""
        seen = {
            position: outcome for position, outcome in self._outcomes.items() if position in self._published
        }
        tagged = [outcome for outcome in seen.values() if outcome.fate is Fate.TAGGED]
        latencies = [
            1000 * (outcome.moment - self._published[position].moment) for position, outcome in seen.items()
        ]
        begin = min((record.moment for record in self._published.values()), default=0.0)
        seconds = max((outcome.moment for outcome in seen.values()), default=begin) - begin
        p50, p99 = np.percentile(latencies, [50, 99]) if latencies else (0.0, 0.0)
        return Summary(
            notes_in=len(self._published),
            tagged=len(tagged),
            deleted=sum(outcome.fate is Fate.DELETED for outcome in seen.values()),
            dead=sum(outcome.fate is Fate.DEAD for outcome in seen.values()),
            tags_per_note=round(sum(each.tags for each in tagged) / len(tagged), 2) if tagged else 0.0,
            notes_per_second=round(len(seen) / seconds, 1) if seconds > 0 else 0.0,
            p50_ms=round(float(p50), 1),
            p99_ms=round(float(p99), 1),
            start_up_seconds=round(start_up_seconds, 1),
        )
