"""Records that kill or hang the process: found after an unclean exit, alone, and dead the third time.

While a worker has a partition the group's commit on it carries a mark, and a worker that gives the partition up in order takes
the mark off. Whoever is assigned a marked partition knows that somebody did not, and that one of the records from the commit
on may be why. These are taken one by one, with nothing else under way in any agent, and each is announced by a commit before
it is begun. A record that was announced twice, after it was met among others once, is dead.

All of it stands in the metadata of commits: nothing else outlives a process, and whoever gets the partition reads it.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import structlog
from aiokafka.errors import KafkaError

from streamproc.errors import FatalRecordError
from streamproc.observability.clock import Clock
from streamproc.streams.dead_letter import Cause
from streamproc.streams.ledger import Partition, Ticket

__all__ = ["AT_WORK", "CLEAN", "MOST_ENDS", "Announcer", "Commit", "Suspects", "TakenUp", "one_end_less"]

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


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A partition as it was found when it was assigned.

    Attributes:
        commit: what the group had stored of it.
        end: the offset behind its last record. What comes later was under way in no process that ended before.
    """

    commit: Commit
    end: int


def one_end_less(mark: str) -> str:
    """The mark as it was before a record was announced whose process did not end with it."""
    return f"{_ALONE}{max(_ends(mark) - 2, 0)}"


def _ends(mark: str) -> int:
    """How many processes may have ended with the record at a commit of this mark."""
    alone = mark.removeprefix(_ALONE)
    return 1 + int(alone) if mark != alone and alone.isdecimal() else 1


class Announcer(Protocol):
    """What is needed of the group's commits."""

    async def announce(self, ticket: Ticket, mark: str, seconds: float) -> None:
        """Store that a record is begun, the oldest in flight of its partition.

        Raises:
            KafkaError: not now.
            TimeoutError: not within so many seconds.
        """
        ...

    async def commit(self, seconds: float) -> None:
        """Store what may be committed, within a time limit."""
        ...


@dataclass(frozen=True, slots=True)
class _Suspected:
    """Records of a partition: from the commit to before ``until``."""

    commit: Commit
    until: int


class Suspects:
    """Which records must be taken alone, and what becomes of them.

    Args:
        window: how many records behind the commits, of all partitions together, may have been under way.
        commits: where they are announced.
        clock: the source of time.
        others_idle: holds while it lasts what other agents do; entered when they do nothing.
    """

    def __init__(
        self,
        window: int,
        commits: Announcer,
        clock: Clock,
        others_idle: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self._window = window
        self._announcer = commits
        self._clock = clock
        self._others_idle = others_idle
        self._found: dict[Partition, _Suspected] = {}

    def find(self, taken: Mapping[Partition, TakenUp]) -> int:
        """Take up the partitions of a new assignment; return on how many of them records are suspected.

        Args:
            taken: its partitions as they were found; those without a commit are left out.
        """
        marked = {
            each: at for each, at in taken.items() if at.commit.mark != CLEAN and at.end > at.commit.offset
        }
        # A worker's partitions share what it has under way about evenly. One that had more is found out an end or two later:
        # meanwhile the commits move on.
        share = max(1, self._window // max(len(marked), 1))
        self._found = {
            each: _Suspected(at.commit, min(at.commit.offset + share, at.end)) for each, at in marked.items()
        }
        return len(self._found)

    def suspected(self, ticket: Ticket) -> bool:
        """Whether the record may have ended a process."""
        return self.pending(ticket.partition, ticket.offset)

    def pending(self, partition: Partition, offset: int) -> bool:
        """Whether records of the partition from this one on are suspected."""
        found = self._found.get(partition)
        return found is not None and offset < found.until

    def quiet(self) -> AbstractAsyncContextManager[None]:
        """Nothing else is under way while it lasts."""
        return self._others_idle()

    async def begin(self, ticket: Ticket) -> Cause | None:
        """Announce a suspected record, with which nothing else is under way; returns why it is dead instead, or None."""
        commit = self._found[ticket.partition].commit
        # The announced one is the record at the commit; those behind it were at most met among others.
        ends = _ends(commit.mark) if ticket.offset == commit.offset else 1
        if ends >= MOST_ENDS:
            message = f"{ends} workers ended or hung while this record was at work, the last ones with nothing else; see their logs"
            return Cause(FatalRecordError(message), "process", ends)
        while not ticket.dropped:
            try:
                await self._announcer.announce(ticket, f"{_ALONE}{ends}", COMMIT_SECONDS)
            except (KafkaError, TimeoutError) as error:
                log.info("a record cannot be announced yet", reason=repr(error))
                await self._clock.sleep(ANNOUNCE_AGAIN_SECONDS)
            else:
                break
        return None

    async def end(self) -> None:
        """A suspected record is done: nobody may take it for the cause of what happens next."""
        await self._announcer.commit(COMMIT_SECONDS)
