"""Records that kill or hang the process: found after an unclean exit, alone, and dead the third time.

While a worker has a partition the group's commit on it carries a mark, and a worker that ends as it should takes the mark
off. Whoever is assigned a marked partition knows that somebody did not, and that one of the records from the commit on may
be why. These are taken one by one, with nothing else under way, and each is announced by a commit before it is begun. A
record that was announced twice, after it was met among others once, is dead.

All of it stands in the metadata of commits: nothing else outlives a process, and whoever gets the partition reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog
from aiokafka.errors import KafkaError

from streamproc.errors import FatalRecordError
from streamproc.observability.clock import Clock
from streamproc.streams.dead_letter import Cause
from streamproc.streams.ledger import Partition, Ticket

__all__ = ["AT_WORK", "CLEAN", "MOST_ENDS", "Announcer", "Commit", "Suspects"]

log = structlog.get_logger(__name__)

CLEAN = ""
"""The mark of a partition that was handed over as it should be."""

AT_WORK = "at work"
"""The mark of a partition that a worker has."""

MOST_ENDS = 3
"""How many processes a record may take with it."""

ANNOUNCE_AGAIN_SECONDS = 0.5
COMMIT_SECONDS = 5.0

_ALONE = "alone "


@dataclass(frozen=True, slots=True)
class Commit:
    """What the group has stored of a partition.

    Attributes:
        offset: of the next record to read.
        mark: the metadata.
    """

    offset: int
    mark: str


class Announcer(Protocol):
    """What is needed of the group's commits."""

    async def announce(self, ticket: Ticket, mark: str) -> None:
        """Store that a record is begun, the oldest in flight of its partition.

        Raises:
            KafkaError: not now.
        """
        ...

    async def commit(self, seconds: float) -> None:
        """Store what may be committed, within a time limit."""
        ...


class Suspects:
    """Which records must be taken alone, and what becomes of them.

    Args:
        window: how many records behind the commits, of all partitions together, may have been under way.
        commits: where they are announced.
        clock: the source of time.
    """

    def __init__(self, window: int, commits: Announcer, clock: Clock) -> None:
        self._window, self._share = window, window
        self._announcer = commits
        self._clock = clock
        self._found: dict[Partition, Commit] = {}

    def find(self, commits: Mapping[Partition, Commit]) -> int:
        """Take up the partitions of a new assignment; return how many of them were not handed over as they should be.

        Args:
            commits: of its partitions, as they were found; those without a commit are left out.
        """
        self._found = {partition: each for partition, each in commits.items() if each.mark != CLEAN}
        # A worker's partitions share what it has under way about evenly. One that had more is found out an end or two later:
        # meanwhile the commits move on.
        self._share = max(1, self._window // max(len(self._found), 1))
        return len(self._found)

    def suspected(self, ticket: Ticket) -> bool:
        """Whether the record may have ended a process."""
        commit = self._found.get(ticket.partition)
        return commit is not None and ticket.offset < commit.offset + self._share

    async def begin(self, ticket: Ticket) -> Cause | None:
        """Announce a suspected record, with which nothing else is under way; returns why it is dead instead, or None."""
        ends = self._ends(ticket)
        if ends >= MOST_ENDS:
            message = f"{ends} workers ended or hung while this record was at work, the last ones with nothing else; see their logs"
            return Cause(FatalRecordError(message), "process", ends)
        while not ticket.dropped:
            try:
                await self._announcer.announce(ticket, f"{_ALONE}{ends}")
            except KafkaError as error:
                log.info("a record cannot be announced yet", reason=repr(error))
                await self._clock.sleep(ANNOUNCE_AGAIN_SECONDS)
            else:
                break
        return None

    async def end(self) -> None:
        """A suspected record is done: nobody may take it for the cause of what happens next."""
        await self._announcer.commit(COMMIT_SECONDS)

    def _ends(self, ticket: Ticket) -> int:
        """How many processes may have ended with it so far."""
        commit = self._found[ticket.partition]
        alone = commit.mark.removeprefix(_ALONE)
        # The announced one is the record at the commit; those behind it were at most met among others.
        return 1 + int(alone) if alone.isdecimal() and ticket.offset == commit.offset else 1
