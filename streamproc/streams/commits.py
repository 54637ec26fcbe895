"""Commits: the ledger's committable offsets, stored with the consumer group, and the marks on them (``suspects``)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from streamproc.streams.app import StreamApp, consumer_thread
from streamproc.streams.ledger import OffsetLedger, Partition, Ticket
from streamproc.streams.suspects import AT_WORK, CLEAN, Commit, TakenUp, one_end_less

__all__ = ["Commits"]

log = structlog.get_logger(__name__)


StillSuspected = Callable[[Partition, int], bool]
"""Whether records of a partition, from an offset on, are suspected of having ended a process."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """What was stored last on a partition that carries a mark.

    Attributes:
        stored: offset and mark.
        begun: whether the record there was announced by this worker and is not done.
    """

    stored: Commit
    begun: bool = False

    def handed_over(self, offset: int, suspected: StillSuspected, partition: Partition) -> Commit:
        """What to store when the partition is given up in order, its next record to read being this one."""
        if offset > self.stored.offset or not suspected(partition, offset):
            return Commit(offset, AT_WORK if suspected(partition, offset) else CLEAN)
        # The record at the commit stays suspected as it was found: this process did not end with it.
        return Commit(offset, one_end_less(self.stored.mark) if self.begun else self.stored.mark)


class Commits:
    """Stores offsets; reads those that any worker of the group has stored."""

    def __init__(self, app: StreamApp, ledger: OffsetLedger) -> None:
        self._app = app
        self._ledger = ledger
        self._one_at_a_time = asyncio.Lock()
        self._marks: dict[Partition, _Mark] = {}

    async def commit(self, seconds: float, *, handing_over: StillSuspected | None = None) -> None:
        """Store what may be committed, within a time limit.

        What cannot be stored (the partition was lost, the broker is away) stays: it is stored next time, or read
        again by whoever has the partition now.

        Args:
            seconds: the limit.
            handing_over: tells what stays suspected; marks are taken off the rest, for nothing is under way any more.
        """
        try:
            async with asyncio.timeout(seconds), self._one_at_a_time:
                await self._commit(handing_over)
        except (CommitFailedError, IllegalStateError) as error:
            log.info("not committed: partitions were lost; their records are read again", reason=str(error))
        except (KafkaError, TimeoutError) as error:
            log.warning("not committed yet", reason=repr(error))
        finally:
            if handing_over is not None:
                self._marks = {}

    async def _commit(self, handing_over: StillSuspected | None) -> None:
        offsets = self._ledger.committable()
        commits = {
            each: Commit(at, AT_WORK if each in self._marks else CLEAN) for each, at in offsets.items()
        }
        if handing_over is not None:
            commits |= {
                each: mark.handed_over(offsets.get(each, mark.stored.offset), handing_over, each)
                for each, mark in self._marks.items()
            }
        if not commits:
            return
        await self._store(commits)
        self._ledger.committed(offsets)
        self._marks |= {each: _Mark(at) for each, at in commits.items() if each in self._marks}

    async def take_up(self, topic: str) -> dict[Partition, TakenUp]:
        """Mark the partitions of a topic that this worker was assigned; return what was stored there before.

        Raises:
            KafkaError: they were lost meanwhile, or the broker is away.
        """
        consumer = consumer_thread(self._app)._consumer  # noqa: SLF001 - Faust offers no other way to it
        assigned = [each for each in consumer.assignment() if each.topic == topic]
        async with self._one_at_a_time:
            stored = await self._run(consumer._coordinator.fetch_committed_offsets, assigned)  # noqa: SLF001 - with metadata
            known = {each: at for each, at in stored.items() if at.offset >= 0}
            fresh = [each for each in assigned if each not in known]
            begins = await self._call("beginning_offsets", fresh) if fresh else {}
            ends = await self._call("end_offsets", list(known)) if known else {}
            commits = {Partition(*each): Commit(offset, AT_WORK) for each, offset in begins.items()}
            # One that was announced stays so until it is begun again: this process, too, may end before.
            commits |= {
                Partition(*each): Commit(at.offset, at.metadata or AT_WORK) for each, at in known.items()
            }
            if commits:  # a worker may be given no partition
                await self._store(commits)
            self._marks = {each: _Mark(at) for each, at in commits.items()}
        return {
            Partition(*each): TakenUp(Commit(at.offset, at.metadata), ends.get(each, at.offset))
            for each, at in known.items()
        }

    async def announce(self, ticket: Ticket, mark: str, seconds: float) -> None:
        """Store that a record is begun, the oldest in flight of its partition; nothing where it was lost meanwhile.

        Raises:
            KafkaError: the partition was lost meanwhile, or the broker is away.
            TimeoutError: it took longer than so many seconds.
        """
        async with asyncio.timeout(seconds), self._one_at_a_time:
            if ticket.dropped:
                return
            self._ledger.begin_at(ticket)
            announced = Commit(ticket.offset, mark)
            await self._store({ticket.partition: announced})
            self._ledger.committed({ticket.partition: ticket.offset})
            if not ticket.dropped:
                self._marks[ticket.partition] = _Mark(announced, begun=True)

    async def committed(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """The group's committed offsets on all partitions of the topics; partitions without one are left out."""
        stored: dict[tuple[str, int], int] = {}
        consumer = consumer_thread(self._app)._consumer  # noqa: SLF001 - Faust offers no other way to it
        for topic in topics:
            for number in sorted(consumer.partitions_for_topic(topic) or ()):
                offset = await self._call("committed", TopicPartition(topic, number))
                if offset is not None:
                    stored[topic, number] = offset
        return stored

    async def _store(self, commits: Mapping[Partition, Commit]) -> None:
        await self._call(
            "commit",
            {TopicPartition(*each): OffsetAndMetadata(at.offset, at.mark) for each, at in commits.items()},
        )

    async def _call(self, method: str, argument: Any) -> Any:
        return await self._run(getattr(consumer_thread(self._app)._consumer, method), argument)  # noqa: SLF001 - as above

    async def _run(self, method: Any, argument: Any) -> Any:
        return await consumer_thread(self._app).call_thread(method, argument)
