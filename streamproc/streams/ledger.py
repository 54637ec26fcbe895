"""The offset ledger: which records are in flight, and how far each partition may be committed.

Faust's own acknowledgement can commit past a record that is still in flight. Here a partition's committable
offset only ever moves over records whose every output is confirmed, strictly in order of offset.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

__all__ = ["OffsetLedger", "Partition", "Ticket"]


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Ticket:
    """One record in flight. Given by :meth:`OffsetLedger.track`, handed back to :meth:`OffsetLedger.release`."""

    __slots__ = ("done", "dropped", "offset", "partition", "since")

    def __init__(self, partition: Partition, offset: int, since: float) -> None:
        self.partition = partition
        self.offset = offset
        self.since = since
        self.done = False
        self.dropped = False


class _Lane:
    """The tickets of one partition, oldest first."""

    __slots__ = ("committable", "committed", "last", "tickets")

    def __init__(self) -> None:
        self.tickets: deque[Ticket] = deque()
        self.last = -1
        self.committable: int | None = None
        self.committed: int | None = None


class OffsetLedger:
    """Tracks records in flight, by partition.

    Args:
        monotonic: the clock for ages; one that stands still during outages.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lanes: dict[Partition, _Lane] = {}
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """How many tracked records are not released yet."""
        return self._in_flight

    def track(self, partition: Partition, offset: int) -> Ticket | None:
        """Take a record into the books; None where it is there already (a record delivered twice)."""
        lane = self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = _Lane()
        if offset <= lane.last:
            return None
        lane.last = offset
        ticket = Ticket(partition, offset, self._monotonic())
        lane.tickets.append(ticket)
        self._in_flight += 1
        return ticket

    def release(self, ticket: Ticket) -> None:
        """Every output of the record is confirmed. A ticket of a partition lost meanwhile is ignored."""
        if ticket.done or ticket.dropped:
            return
        ticket.done = True
        self._in_flight -= 1
        lane = self._lanes[ticket.partition]
        tickets = lane.tickets
        while tickets and tickets[0].done:
            lane.committable = tickets.popleft().offset + 1

    def committable(self) -> dict[Partition, int]:
        """For each partition that moved: the offset to commit, which is that of the next record to read."""
        return {
            partition: lane.committable
            for partition, lane in self._lanes.items()
            if lane.committable is not None and lane.committable != lane.committed
        }

    def begin_at(self, ticket: Ticket) -> None:
        """The oldest record in flight of its partition is this one: what comes before it may be committed."""
        self._lanes[ticket.partition].committable = ticket.offset

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """The group has stored these offsets."""
        for partition, offset in offsets.items():
            lane = self._lanes.get(partition)
            if lane is not None:
                lane.committed = offset

    def revoke(self, partitions: Iterable[Partition] | None = None) -> None:
        """Forget partitions (None: all); their tickets release nothing any more."""
        for partition in list(self._lanes) if partitions is None else list(partitions):
            lane = self._lanes.pop(partition, None)
            if lane is None:
                continue
            for ticket in lane.tickets:
                self._in_flight -= not ticket.done
                ticket.dropped = True

    def oldest_age_seconds(self) -> float:
        """How long the oldest record in flight has waited; 0 when none is."""
        # The head of each lane is unreleased by construction, and the oldest of its lane.
        heads = [lane.tickets[0].since for lane in self._lanes.values() if lane.tickets]
        return max(0.0, self._monotonic() - min(heads)) if heads else 0.0
